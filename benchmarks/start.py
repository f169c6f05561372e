"""How long a command takes to start: `--version`, and one workflow checked, everything included."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.commands import ROOT, Ended, call
from benchmarks.figures import Figure, fastest

WORKFLOW = ROOT / "tests" / "vectors" / "pipeline" / "workflow" / "workflow.yml"
NATIVE = ROOT / "samples" / "python-package" / "pipeline.yaml"
_REFUSED = 1  # what the workflow deserves
_TIMES = 15


def measure() -> Iterator[Figure]:
    """Measure `policyd --version` and `policyd check` beside a Python that does nothing."""
    python = 1000 * fastest(partial(call, [sys.executable, "-c", "pass"]), times=_TIMES)
    for name, args, expected, budget in (
        ("policyd --version", ["--version"], 0, 150),
        ("policyd check of one workflow", ["check", str(WORKFLOW)], _REFUSED, 500),
        ("policyd check of one native pipeline", ["check", str(NATIVE)], 0, 500),
    ):
        took = 1000 * fastest(partial(_policyd, args, expected), times=_TIMES)
        yield Figure(name, took, "ms", budget, peer="python -c pass", peer_value=python)


def _policyd(args: list[str], expected: int) -> Ended:
    return call([sys.executable, "-m", "policyd", *args], expected=expected)
