"""Many small computations on all cores: the same code over the same values, in copies of this process.

The copies inherit what there is to compute on, so only numbers and results travel. A copy that ends before its time is
an error, never a shorter list.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import TypeVar, cast

R = TypeVar("R")

#: What the copies compute: set before they are made, so that it needs no pickling.
_compute: Callable[[int], object] | None = None


def map_in_processes(compute: Callable[[int], R], count: int, workers: int) -> list[R]:
    """Return `compute(0)` to `compute(count - 1)`, in order. Results must be picklable; an exception is raised here."""
    from concurrent.futures import ProcessPoolExecutor

    global _compute
    _compute = compute
    try:
        # Not a Pool: that one waits for ever where a process was killed.
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as executor:
            found = list(executor.map(_call, range(count), chunksize=max(1, count // (workers * 4))))
    finally:
        _compute = None
    return cast("list[R]", found)


def _call(number: int) -> object:
    assert _compute is not None
    return _compute(number)
