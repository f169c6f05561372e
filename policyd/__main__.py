"""`python -m policyd`."""

from policyd.cli.main import run

run()
