"""One use case a file. The only place that names both the core and adapters."""
