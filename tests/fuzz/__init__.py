"""Bytes that a fuzzer makes, against every parser of foreign files."""
