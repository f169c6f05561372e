"""What a measurement found: policyd's figure, its budget, and a peer's figure from the same run.

A figure alone says more about the machine than about policyd, so each comes with a peer: something smaller that does
the unavoidable part of the work. The ratio of the two is what can be compared between machines. Nothing here passes
or fails; deterministic tests (tests/run/test_growth.py) hold what must not grow.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `budget` is the figure's most (or, with `at_least`, its least), in its unit."""

    name: str
    value: float
    unit: str
    budget: float | None = None
    at_least: bool = False
    peer: str = ""
    peer_value: float | None = None

    @property
    def ratio(self) -> float | None:
        """The figure in peers."""
        return self.value / self.peer_value if self.peer_value else None


def fastest(*works: Callable[[], object], times: int) -> list[float]:
    """Return the seconds that each of `works` takes when nothing disturbs it: the fewest of `times`.

    After one round to warm up they take turns, so that what else goes on in the machine meets them alike.
    """
    rounds = [[seconds(work) for work in works] for _ in range(1 + times)]
    return [min(took) for took in zip(*rounds[1:], strict=True)]


def typical(work: Callable[[], object], *, times: int) -> float:
    """Return the median of the seconds that `work` takes, for work whose cost varies by its nature (a disk)."""
    work()
    return statistics.median(seconds(work) for _ in range(times))


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes once."""
    start = perf_counter()
    work()
    return perf_counter() - start


def render_table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("measurement", "policyd", "budget", "peer", "its figure", "ratio")]
    for figure in figures:
        budget = f"{'≥' if figure.at_least else '≤'} {_number(figure.budget)} {figure.unit}" if figure.budget else ""
        peer_value = f"{_number(figure.peer_value)} {figure.unit}" if figure.peer_value is not None else ""
        ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else ""
        rows.append((figure.name, f"{_number(figure.value)} {figure.unit}", budget, figure.peer, peer_value, ratio))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
