"""The world: files, processes, engines, keys, clocks. Everything the core must not touch itself."""
