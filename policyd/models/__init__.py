"""The documents policyd reads and writes."""
