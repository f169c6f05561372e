from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.stores import database
from policyd.adapters.stores.database import SCHEMA_VERSION, create_database, open_database, transaction
from policyd.errors import StoreError, UnsafePermissions, UsageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.sqlite"


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_newest_migration_is_the_schema_version() -> None:
    numbers = [int(script.name[:4]) for script in sorted(database._MIGRATIONS.iterdir())]

    assert numbers == list(range(1, SCHEMA_VERSION + 1))


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    connection = create_database(path)

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_the_files_are_for_their_owner_alone(path: Path) -> None:
    connection = create_database(path)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")

    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    connection.close()


def test_opening_again_migrates_nothing(path: Path) -> None:
    create_database(path).close()
    before = path.read_bytes()

    create_database(path).close()

    assert path.read_bytes() == before


def test_a_migration_that_was_cut_off_is_done_again(path: Path) -> None:
    """A policyd killed between making the file and filling it."""
    path.touch(mode=0o600)

    connection = create_database(path)

    assert connection.execute("SELECT size FROM head").fetchone() == (0,)
    connection.close()


def test_a_reader_can_not_write(path: Path) -> None:
    create_database(path).close()
    connection = open_database(path)

    with pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM head")
    connection.close()


def test_there_is_nothing_to_read_where_nothing_was_written(path: Path) -> None:
    with pytest.raises(UsageError, match="no record here"):
        open_database(path)
    path.touch(mode=0o600)
    with pytest.raises(UsageError, match="never written"):
        open_database(path)

    assert path.read_bytes() == b""


@pytest.mark.parametrize("opener", [create_database, open_database])
@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("PRAGMA user_version = 99", "newer policyd"),
        ("PRAGMA application_id = 1", "not a record of policyd"),
        ("CREATE TRIGGER t AFTER INSERT ON entries BEGIN UPDATE entries SET content = x'00'; END", "did not make"),
        ("CREATE VIEW v AS SELECT 1", "did not make"),
    ],
)
def test_a_database_that_is_not_ours_is_refused(
    path: Path, opener: Callable[[Path], sqlite3.Connection], statement: str, cause: str
) -> None:
    create_database(path).close()
    change(path, statement)

    with pytest.raises(StoreError, match=cause):
        opener(path)


def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE theirs (x)")
    path.chmod(0o600)

    with pytest.raises(StoreError, match="not a record of policyd"):
        create_database(path)


def test_a_damaged_file_is_said(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    path.chmod(0o600)

    with pytest.raises(StoreError, match="damaged") as raised:
        create_database(path)

    assert raised.value.where == str(path)


def test_a_file_that_others_can_write_is_refused(path: Path) -> None:
    create_database(path).close()
    path.chmod(0o666)

    with pytest.raises(UnsafePermissions):
        create_database(path)
    with pytest.raises(UnsafePermissions):
        open_database(path)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    create_database(tmp_path / "elsewhere").close()
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafePermissions):
        create_database(path)


def test_a_writer_that_never_ends_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    first, second = create_database(path), create_database(path)

    with (
        transaction(first, path, write=True),
        pytest.raises(StoreError, match=re.escape("another policyd has been writing")),
        transaction(second, path, write=True),
    ):
        pass
    first.close()
    second.close()
