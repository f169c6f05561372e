"""Run the measurements named, or all, and print their table: `python -m benchmarks [NAME…]`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks import content, decisions, stages, start
from benchmarks.figures import Figure, render_table

MEASUREMENTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": start.measure,
    "stages": stages.measure,
    "growth": stages.measure_growth,
    "content": content.measure,
    "decisions": decisions.measure,
}


def main(names: list[str]) -> int:
    """Measure and print; 2 where a name is not known. A slow figure is no failure."""
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        print(f"there is no measurement {unknown[0]!r}: {', '.join(MEASUREMENTS)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for name in names or MEASUREMENTS:
        print(f"measuring {name}…", file=sys.stderr, flush=True)
        figures += MEASUREMENTS[name]()
    print(render_table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
