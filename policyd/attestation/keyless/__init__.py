"""Keyless signatures: a certificate of minutes, a public log, and a pinned file that says whose of each count."""
