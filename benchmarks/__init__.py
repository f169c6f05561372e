"""How fast policyd is, beside a peer measured in the same minute on the same machine: `python -m benchmarks`."""
