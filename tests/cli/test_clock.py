"""A clock set back decides nothing: neither before the newest entry of the record nor before the evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyd.attestation.dsse import read_base64
from tests.cli.conftest import Released
from tests.cli.workshop import Workshop, one_stage

pytestmark = pytest.mark.xdist_group("cli-released")


def clock(shift: str) -> str:
    """Return Python that shifts the clock of the policyd started after it."""
    return (
        "from datetime import timedelta\n"
        "from policyd.adapters import clock\n"
        "real = clock.now\n"
        f"clock.now = lambda: real() + timedelta({shift})\n"
    )


def entries(shop: Workshop) -> int:
    return int(shop.call("record", "verify", "--format", "json").require(0).json["size"])


def test_a_run_is_refused_while_the_clock_is_behind_the_record(released: Released) -> None:
    shop = released.shop
    before = entries(shop)

    said = shop.policyd("run", "pipeline.yaml", script=clock("hours=-1"))

    said.require_one_error(3, "the clock says", "before the newest entry of the record", f"record entry {before - 1}")
    assert entries(shop) == before
    assert "set this machine's clock right" in said.err


def test_verify_is_undecided_while_the_clock_is_behind(released: Released) -> None:
    said = released.shop.policyd("verify", released.artifact, script=clock("hours=-1")).require(3)
    document = released.shop.policyd("verify", released.artifact, "--format", "json", script=clock("hours=-1")).require(
        3
    )

    said.require_error("the clock says", "before the newest entry of the record")
    assert document.json["verified"] is False
    assert "the clock says" in document.json["error"]["cause"]


def test_a_summary_from_the_future_is_undecided_without_any_store(released: Released, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    summary.write_bytes(released.shop.object(released.summary_sha256).read_bytes())
    made = json.loads(read_base64(json.loads(summary.read_bytes())["dsseEnvelope"]["payload"], where=""))["predicate"]
    # A moment before it was made, and after the keys became valid.
    script = (
        "from datetime import datetime, timedelta\n"
        "from policyd.adapters import clock\n"
        f"clock.now = lambda: datetime.fromisoformat({made['timeVerified']!r}) - timedelta(milliseconds=1)\n"
    )

    released.shop.policyd("verify", released.artifact, "--bundle", summary).require(0)
    said = released.shop.policyd("verify", released.artifact, "--bundle", summary, script=script)

    said.require(3).require_error("the clock says", "before the summary")


def test_a_clock_that_goes_back_during_a_run_admits_no_further_stage(fresh: Workshop, bwrap: Path) -> None:
    fresh.write(one_stage("'true'", kind="scan"))
    script = (
        "from datetime import timedelta\n"
        "from policyd.adapters import clock\n"
        "from policyd.cli.progress import open_progress\n"
        "import policyd.app.run as run\n"
        "real, started = clock.now, run.RunState\n"
        "def begin(**values):\n"
        "    clock.now = lambda: real() - timedelta(hours=1)\n"
        "    return started(**values)\n"
        "run.RunState = begin\n"
    )

    said = fresh.policyd("run", "pipeline.yaml", script=script).require(3)

    assert "before the newest entry of the record" in said.err
    (run,) = fresh.call("runs", "--format", "json").require(0).json["runs"]
    assert run["state"] == "failed"


def test_an_entry_rewritten_to_an_earlier_time_is_found(fresh: Workshop, bwrap: Path) -> None:
    """Whoever sets the clock back would want the record to agree."""
    import sqlite3

    fresh.policyd("run", "pipeline.yaml").require(0)
    with sqlite3.connect(fresh.store / "record" / "record.sqlite") as database:
        number, content = database.execute("SELECT number, content FROM entries ORDER BY number DESC").fetchone()
        event = json.loads(content)
        event["at"] = "2020-01-01T00:00:00.000000Z"
        earlier = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
        assert len(earlier) == len(content)
        for name, statement in database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            assert statement
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE entries SET content = ? WHERE number = ?", (earlier, number))
    database.close()

    said = fresh.policyd("run", "pipeline.yaml", script=clock("minutes=-1"))

    assert said.code == 1, said
    said.require_error("record")
