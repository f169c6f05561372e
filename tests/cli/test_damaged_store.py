"""A store that was damaged, or is full: refused or undecided with the right code, and never half-written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Released
from tests.cli.workshop import Workshop, one_stage, put_back

pytestmark = pytest.mark.xdist_group("cli-released")


def listed(released: Released) -> dict[str, list[str]]:
    """Return the evidence of the run by what it is."""
    manifest = released.run["manifest"]
    return {
        "plan": [manifest["plan_sha256"]],
        "decision": manifest["decisions"],
        "attestation": manifest["attestations"],
    }


@pytest.mark.parametrize("what", ["plan", "decision", "attestation"])
@pytest.mark.parametrize("harm", ["removed", "cut", "changed"])
def test_listed_evidence_that_is_missing_or_damaged_is_undecided(released: Released, what: str, harm: str) -> None:
    """What the manifest lists and nobody has is never skipped (docs/threats.md, T7 and T38)."""
    for sha256 in listed(released)[what]:
        with put_back(released.shop.object(sha256)) as file:
            content = file.read_bytes()
            file.unlink()
            if harm != "removed":
                file.write_bytes(content[:-1] if harm == "cut" else content.replace(b"a", b"b", 1))

            said = released.shop.call("verify", released.artifact).require(3)

            assert "not verified" in said.out
            said.require_error(sha256[:12])
            record = released.shop.call("record", "verify", "--format", "json").require(3).json
            assert [problem["sha256"] for problem in record["evidence_problems"]] == [sha256]


def test_a_manifest_that_is_damaged_proves_nothing(released: Released) -> None:
    with put_back(released.shop.object(released.manifest_sha256)) as file:
        file.chmod(0o600)
        file.write_bytes(file.read_bytes() + b" ")

        said = released.shop.call("verify", released.artifact).require(3)

        assert "not verified" in said.out
        said.require_error(released.manifest_sha256)
        assert "no manifest" in released.shop.call("show", released.run_id).require(0).out
        released.shop.call("record", "verify").require(3)


def test_a_damaged_product_is_undecided_in_the_record(released: Released) -> None:
    (build,) = (stage for stage in released.run["manifest"]["stages"] if stage["name"] == "build")
    with put_back(released.shop.object(build["products"][0]["sha256"])) as file:
        file.chmod(0o600)
        file.write_bytes(b"HELLO\n")

        assert "damaged" in released.shop.call("record", "verify").require(3).out


def test_a_damaged_source_file_is_put_right_by_the_run_that_reads_the_source_again(released: Released) -> None:
    """The stage sees the bytes that were judged (docs/threats.md, T3); samples/attacks damages them in the middle."""
    sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"  # of hello\n
    with put_back(released.shop.object(sha256)) as file:
        file.chmod(0o600)
        file.write_bytes(b"HELLO\n")

        released.shop.call("run", "pipeline.yaml").require(0)

        assert file.read_bytes() == b"hello\n"


def test_a_damaged_source_file_of_another_size_stops_the_run_that_would_store_it(released: Released) -> None:
    sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    with put_back(released.shop.object(sha256)) as file:
        file.chmod(0o600)
        file.write_bytes(b"")

        released.shop.call("run", "pipeline.yaml").require_one_error(3, "is damaged", sha256)


def test_a_log_that_was_changed_is_not_shown_as_the_stages(released: Released) -> None:
    log = released.shop.store / "logs" / released.run_id / "test.log"
    with put_back(log):
        log.write_bytes(b"all tests passed\n")
        released.shop.call("logs", released.run_id, "test").require_one_error(3, "log of stage test")

        log.unlink()
        said = released.shop.call("logs", released.run_id).require(3)

    said.require_error("is missing")


def test_a_record_that_lost_its_last_entry_is_refused(released: Released) -> None:
    """docs/threats.md, T15."""
    with put_back(released.shop.store / "record" / "record.sqlite") as database:
        change(database, "DELETE FROM entries WHERE number = (SELECT max(number) FROM entries)")

        released.shop.call("record", "verify").require_one_error(1)
        released.shop.call("record", "export", released.shop.home / "tiles").require_one_error(1)


@pytest.mark.parametrize("entry", ["manifest", "run_started", "decision"])
def test_a_record_that_was_rewritten_is_refused(released: Released, entry: str) -> None:
    with put_back(released.shop.store / "record" / "record.sqlite") as database:
        change(
            database,
            "UPDATE entries SET content = CAST(replace(CAST(content AS TEXT), '2026-', '2025-') AS BLOB) "
            f'WHERE CAST(content AS TEXT) LIKE \'%"kind":"{entry}"%\'',
        )

        released.shop.call("record", "verify").require_one_error(1)
        if entry == "manifest":
            assert "not verified" in released.shop.call("verify", released.artifact).require(1).out


def test_rows_removed_from_the_index_make_nothing_verified(released: Released) -> None:
    database = released.shop.store / "record" / "record.sqlite"
    with put_back(database):
        change(database, "DELETE FROM runs")

        assert "not verified" in released.shop.call("verify", released.artifact).require(1).out
        assert "index of runs differs" in released.shop.call("record", "verify").require(0).out


def test_a_record_that_is_no_database_is_an_error(released: Released) -> None:
    with put_back(released.shop.store / "record" / "record.sqlite") as database:
        database.write_bytes(b"nonsense" * 1000)

        for command in (["runs"], ["record", "verify"], ["verify", released.artifact], ["run", "pipeline.yaml"]):
            released.shop.call(*command).require_one_error(3, "damaged", "record.sqlite")


def test_the_whole_store_put_back_to_yesterday_is_refused(fresh: Workshop, bwrap: Path) -> None:
    """Only a checkpoint outside the store can tell (docs/threats.md, T39)."""
    fresh.call("run", "pipeline.yaml").require(0)
    subprocess.run(["cp", "-a", fresh.store, fresh.home / "yesterday"], check=True)
    fresh.call("run", "pipeline.yaml").require(0)
    subprocess.run(["rm", "-rf", fresh.store], check=True)
    (fresh.home / "yesterday").rename(fresh.store)

    for command in (
        ["record", "verify"],
        ["verify", fresh.places.targets / "local" / "greeting"],
        ["run", "pipeline.yaml"],
    ):
        said = fresh.call(*command).require(1)
        said.require_error()

    subprocess.run(["rm", "-rf", fresh.places.state], check=True)
    assert "rollback not detectable" in fresh.call("record", "verify").require(0).out


def change(database: Path, statement: str) -> None:
    """Change the record's database as somebody with write access could."""
    import sqlite3

    connection = sqlite3.connect(database)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement)
    connection.commit()
    connection.close()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small file system at `folder`; skip where this machine does not let us."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"can't mount a small file system: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_while_products_are_stored_fails_the_stage_and_keeps_the_record(
    fresh: Workshop, bwrap: Path, root: None
) -> None:
    fresh.write(one_stage('head -c 20000000 /dev/zero > "$OUT/big"', "outputs: [{name: big, path: big}]"))
    with small_disk(fresh.store, "8m"):
        said = fresh.call("run", "pipeline.yaml").require(3)

        said.require_error("no space left on device", str(fresh.store), "free space")
        assert said.out == ""
        assert list((fresh.store / "content" / "incoming").iterdir()) == []
        (run,) = fresh.call("runs", "--format", "json").require(0).json["runs"]
        assert run["state"] == "failed"
        assert "no space left" in fresh.call("show", run["run_id"]).require(0).out
        fresh.call("record", "verify").require(0)

        fresh.write(one_stage('echo small > "$OUT/big"', "outputs: [{name: big, path: big}]"))
        fresh.call("run", "pipeline.yaml").require(0)


def test_a_disk_that_fills_with_what_a_stage_prints_keeps_the_record(fresh: Workshop, bwrap: Path, root: None) -> None:
    fresh.write(one_stage("head -c 20000000 /dev/zero | tr '\\0' x"))
    with small_disk(fresh.store, "8m"):
        said = fresh.call("run", "pipeline.yaml").require(3)

        said.require_error(str(fresh.store), "free space")
        assert said.out == ""
        (run,) = fresh.call("runs", "--format", "json").require(0).json["runs"]
        assert run["state"] in ("failed", "unfinished")
        assert fresh.call("logs", run["run_id"]).require(0).out.startswith("build | xxx")
        fresh.call("record", "verify").require(0)


@pytest.mark.parametrize("left_kib", [0, 8, 32, 64, 128])
def test_a_disk_that_is_full_leaves_a_record_that_verifies(
    fresh: Workshop, bwrap: Path, root: None, left_kib: int
) -> None:
    """Wherever the last byte goes: one error, and what was recorded before is whole."""
    fresh.write(one_stage('echo small > "$OUT/a"', "outputs: [{name: a, path: a}]"))
    with small_disk(fresh.store, "4m"):
        fresh.call("run", "pipeline.yaml").require(0)
        fill(fresh.store, left_kib)

        said = fresh.call("run", "pipeline.yaml").require(3)

        said.require_error(str(fresh.store))
        assert said.out == ""
        (fresh.store / "ballast").unlink()
        report = fresh.call("record", "verify", "--format", "json").require(0).json
        assert report["evidence_problems"] == []
        runs = fresh.call("runs", "--format", "json").require(0).json["runs"]
        assert runs[-1]["state"] == "succeeded"
        assert all(run["state"] in ("failed", "unfinished") for run in runs[:-1])
        fresh.call("run", "pipeline.yaml").require(0)


def fill(folder: Path, left_kib: int) -> None:
    """Fill the file system of `folder` up to some KiB."""
    stat = subprocess.run(["df", "-k", "--output=avail", folder], capture_output=True, text=True, check=True).stdout
    with (folder / "ballast").open("wb") as file:
        file.write(b"x" * 1024 * (int(stat.split()[-1]) - left_kib))
