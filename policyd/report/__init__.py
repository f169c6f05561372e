"""Decisions, plans, runs and audits as people and machines read them. Pure functions from models to text.

Foreign text (names, messages, output of stages) reaches an output through `policyd.report.text` alone.
"""
