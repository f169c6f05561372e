"""Run the measurements named, or all, and print their tables: `python -m benchmarks [NAME…]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks import check, compliance, content, decisions, replay, rules, signing, stages, start, verifying
from benchmarks.figures import Figure, render_table

MEASUREMENTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": start.measure,
    "stages": stages.measure,
    "growth": stages.measure_growth,
    "content": content.measure,
    "decisions": decisions.measure,
    "check": check.measure,
    "replay": replay.measure,
    "verifying": verifying.measure,
    "signing": signing.measure,
}
#: What is told in lines of its own.
REPORTS: dict[str, Callable[[], Iterator[str]]] = {
    "rules": rules.measure,
    "compliance": compliance.measure,
}


def main(names: list[str]) -> int:
    """Measure and print; 2 where a name is not known. A slow figure is no failure."""
    known = [*MEASUREMENTS, *REPORTS]
    if unknown := [name for name in names if name not in known]:
        print(f"there is no measurement {unknown[0]!r}: {', '.join(known)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    lines: list[str] = []
    for name in names or known:
        print(f"measuring {name}…", file=sys.stderr, flush=True)
        if name in MEASUREMENTS:
            figures += MEASUREMENTS[name]()
        else:
            lines += ["", *REPORTS[name]()]
    if figures:
        print(render_table(figures))
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
