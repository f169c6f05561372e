"""A run costs the same for every stage: entries in the record, objects in the store, waits for the disk.

Counted and not timed, on real runs of 2, 12 and 22 stages: ten more stages add what ten more did before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from policyd.adapters.stores.sqlite_record import open_record
from tests.cli.workshop import open_workshop

ADDED = 10
ENTRIES = 3  # decision, start, end
OBJECTS = 5  # admit decision and its input, product, link, provenance
WAITS = 2 * OBJECTS  # the file, and the folder with its name; the record's own waits are SQLite's


@dataclass(frozen=True)
class Cost:
    """What one run left, and how often it waited for the disk meanwhile."""

    entries: int
    objects: int
    stored_bytes: int
    waits: int


def render_pipeline(stages: int) -> str:
    lines = ["policyd: pipeline/v1", "name: many", "stages:"]
    for number in range(stages):
        lines += [f"  - name: stage-{number:03}", "    kind: build"]
        lines += [f"    needs: [stage-{number - 1:03}]"] if number else []
        lines.append(f"    run: printf '%01024d' {number} > \"$OUT/product\"")
        lines.append("    outputs: [{name: product, path: product}]")
    return "\n".join((*lines, ""))


def cost_of(stages: int) -> Cost:
    """Run so many stages in a store of their own."""
    waits = 0
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        nonlocal waits
        waits += 1
        fsync(descriptor)

    with open_workshop() as shop:
        shop.write(render_pipeline(stages))
        with mock.patch("os.fsync", counted):
            shop.call("run", "--jobs", "1", "pipeline.yaml").require(0)
        objects = [path.stat().st_size for path in (shop.store / "content" / "sha256").rglob("*") if path.is_file()]
        record = open_record(shop.store / "record" / "record.sqlite")
        try:
            with record.snapshot() as log:
                entries = log.head().size
        finally:
            record.close()
        return Cost(entries, len(objects), sum(objects), waits)


@pytest.fixture(scope="module")
def costs(bwrap: Path) -> tuple[Cost, Cost, Cost]:
    return cost_of(2), cost_of(2 + ADDED), cost_of(2 + 2 * ADDED)


def test_every_stage_has_three_entries_in_the_record(costs: tuple[Cost, Cost, Cost]) -> None:
    few, more, most = (cost.entries for cost in costs)

    assert more - few == most - more == ADDED * ENTRIES


def test_every_stage_leaves_five_objects(costs: tuple[Cost, Cost, Cost]) -> None:
    few, more, most = (cost.objects for cost in costs)

    assert more - few == most - more == ADDED * OBJECTS


def test_what_a_stage_leaves_does_not_grow_with_the_stages_before_it(costs: tuple[Cost, Cost, Cost]) -> None:
    few, more, most = (cost.stored_bytes for cost in costs)

    # Signatures in DER differ by a byte or two. One name or digest of each earlier stage would be a tenth more.
    assert most - more == pytest.approx(more - few, rel=0.02)


def test_policyd_waits_for_the_disk_ten_times_a_stage_at_most(costs: tuple[Cost, Cost, Cost]) -> None:
    few, more, most = (cost.waits for cost in costs)

    # The first digest with a new first byte makes a folder, which is waited for once: by chance, never 256 times over.
    by_chance = ADDED
    assert 0 < more - few <= ADDED * WAITS + by_chance
    assert 0 < most - more <= ADDED * WAITS + by_chance
