"""Frozen bytes of pipeline files, in any dialect, become a pipeline, flat facts and a source map."""
