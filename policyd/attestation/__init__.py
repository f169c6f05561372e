"""Statements, envelopes and bundles; verification against a trust policy; the release chain; summaries."""
