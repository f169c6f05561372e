"""Words on a terminal: one command a file, options in, one call to `app`, render, exit code."""
