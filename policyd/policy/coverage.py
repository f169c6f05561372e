"""Which lines of rules the tests reached, from what the embedded engine reports.

A line counts as reached when any expression on it was evaluated, true or not; that is line coverage, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """The lines of one file that hold code: those reached, and those that were not."""

    path: str
    reached: tuple[int, ...]
    missed: tuple[int, ...]

    @property
    def percent(self) -> float:
        """How much of the file was reached; 100 where there is nothing to reach."""
        lines = len(self.reached) + len(self.missed)
        return 100.0 if not lines else 100.0 * len(self.reached) / lines


def unite_coverage(entries: Iterable[Mapping[str, object]], paths: Iterable[str]) -> tuple[FileCoverage, ...]:
    """Return the coverage of `paths`: a line reached in one of the reports was reached."""
    reached: dict[str, set[int]] = {path: set() for path in paths}
    lines: dict[str, set[int]] = {path: set() for path in reached}
    for entry in entries:
        path = entry.get("path")
        if not isinstance(path, str) or path not in reached:
            continue
        reached[path] |= _lines(entry.get("covered"))
        lines[path] |= _lines(entry.get("covered")) | _lines(entry.get("not_covered"))
    return tuple(
        FileCoverage(path, tuple(sorted(reached[path])), tuple(sorted(lines[path] - reached[path])))
        for path in sorted(reached)
    )


def total_percent(files: Iterable[FileCoverage]) -> float:
    """Return the coverage over all lines of all files."""
    counted = tuple(files)
    total = FileCoverage(
        "",
        tuple(line for file in counted for line in file.reached),
        tuple(line for file in counted for line in file.missed),
    )
    return total.percent


def _lines(value: object) -> set[int]:
    return {line for line in value if isinstance(line, int)} if isinstance(value, list) else set()
