"""How long a command takes to start: `--version`, and one workflow checked, everything included."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.commands import ROOT, Ended, Home, call, open_home
from benchmarks.figures import Figure, fastest

WORKFLOW = ROOT / "tests" / "vectors" / "pipeline" / "workflow" / "workflow.yml"
NATIVE = ROOT / "samples" / "python-package" / "pipeline.yaml"
_REFUSED = 1  # what the workflow deserves
_TIMES = 15


def measure() -> Iterator[Figure]:
    """Measure `policyd --version` and `policyd check` beside a Python that does nothing."""
    workflow, native = ["check", "--no-cache", str(WORKFLOW)], ["check", "--no-cache", str(NATIVE)]
    with open_home() as home:
        measured: list[tuple[str, int, partial[Ended]]] = [
            ("policyd --version", 150, partial(_policyd, ["--version"])),
            ("policyd check of a workflow", 500, partial(_policyd, workflow, expected=_REFUSED)),
            ("policyd check of a native pipeline", 500, partial(_policyd, native)),
            ("the same with operator settings", 500, partial(_policyd, native, home=home)),
        ]
        python, *took = fastest(
            partial(call, [sys.executable, "-c", "pass"]), *(work for _, _, work in measured), times=_TIMES
        )
    for (name, budget, _), value in zip(measured, took, strict=True):
        yield Figure(name, 1000 * value, "ms", budget, peer="python -c pass", peer_value=1000 * python)


def _policyd(args: list[str], *, home: Home | None = None, expected: int = 0) -> Ended:
    return call([sys.executable, "-m", "policyd", *args], home=home, expected=expected)
