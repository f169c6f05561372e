"""The SQLite file under the record: how it is opened, migrated, and how its errors read.

Write-ahead log with a wait for the disk at every commit (`synchronous=FULL`): what `COMMIT` returned from survives a
power cut, and a killed writer leaves the state before its transaction. The file is not trusted: schema objects that
run on their own are refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from policyd.adapters.stores.files import locked
from policyd.adapters.strict_modes import require_safe_file
from policyd.errors import StoreError, UsageError

SCHEMA_VERSION = 1  # the number of the last file in migrations/
APPLICATION_ID = 0x706C6379  # "plcy", in the file's header
BUSY_SECONDS = 10.0  # a commit takes milliseconds; a hundred waiting writers still fit

_MIGRATIONS = Path(__file__).parent / "migrations"
_FULL, _BUSY, _LOCKED, _CORRUPT, _NOT_A_DATABASE = 13, 5, 6, 11, 26  # sqlite.org/rescode.html, primary codes


def create_database(path: Path) -> sqlite3.Connection:
    """Return the database at `path`, open for writing, made or migrated where needed.

    Its folder exists and belongs to the caller alone.
    """
    with translated(path):
        if not path.exists():
            # SQLite would create it with the umask's mode; its -wal and -shm take over the mode of this one.
            with locked(path.parent):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        require_safe_file(path)
        connection = _connect(path, "mode=rw")
        try:
            version = _require_ours(connection, path)
            if version < SCHEMA_VERSION:
                with locked(path.parent):
                    _migrate(connection, path)
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """Return the database at `path`, open for reading; needs no write access to it.

    Raises `UsageError` if it is not there, `StoreError` if it can't be read.
    """
    if not path.is_file():
        raise UsageError(
            "there is no record here", where=str(path), fix="check `store` in the settings, or run a pipeline first"
        )
    require_safe_file(path)
    with translated(path):
        try:
            return _open_reading(path, "mode=ro")
        except sqlite3.OperationalError:
            # On a read-only medium SQLite can't make the shared memory it reads a write-ahead log with. If no log is
            # there, all is in the main file, and nobody can change that file while we read.
            log = path.with_name(path.name + "-wal")
            if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
                raise
            return _open_reading(path, "mode=ro&immutable=1")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path, *, write: bool) -> Iterator[None]:
    """Run the block in one transaction: all of it is durable at the end, or nothing of it ever was.

    A reading one sees one unchanging state.
    """
    with translated(path):
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise into `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _store_error(error, path) from error
    except OSError as error:
        raise StoreError(
            f"the record can't be used: {(error.strerror or str(error)).lower()}",
            where=str(error.filename or path),
            fix="check that the store is there and that you may use it",
        ) from error


def _open_reading(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        connection.execute("PRAGMA query_only = ON")
        version = _require_ours(connection, path)
    except BaseException:
        connection.close()
        raise
    if version == 0:
        connection.close()
        raise UsageError("the record was never written to", where=str(path), fix="run a pipeline first")
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # Threads take turns under the record's own lock, so the check for one thread is off.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _require_ours(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the schema; refuse a database that is not a record of ours."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    objects: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != APPLICATION_ID and (application or version or objects):
        raise StoreError("not a record of policyd", where=str(path), fix="check `store` in the settings")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"a newer policyd wrote this record (format {version}, this one reads {SCHEMA_VERSION})",
            where=str(path),
            fix="use the newer policyd",
        )
    # A trigger could change what is written behind our back, a view could stand in for a table.
    foreign = connection.execute("SELECT name FROM sqlite_schema WHERE type NOT IN ('table', 'index')").fetchone()
    if foreign is not None:
        raise StoreError(
            f"the record holds {foreign[0]!r}, which policyd did not make",
            where=str(path),
            fix="find out who changed the store, and put back a copy that verifies",
        )
    return version


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to `SCHEMA_VERSION`, one transaction a step."""
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise StoreError(
            "this file system can't hold the record: it has no write-ahead log",
            where=str(path),
            fix="put the store on a local disk",
        )
    for number in range(connection.execute("PRAGMA user_version").fetchone()[0] + 1, SCHEMA_VERSION + 1):
        (script,) = _MIGRATIONS.glob(f"{number:04}_*.sql")
        with transaction(connection, path, write=True):
            for statement in _split(script.read_text(encoding="utf-8")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")


def _split(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would commit the transaction they belong to."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _store_error(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _FULL:
        return StoreError(
            "the disk is full: the record could not be written, and is as it was before",
            where=str(path),
            fix="free space on that file system and try again",
        )
    if code in (_BUSY, _LOCKED):
        return StoreError(
            f"another policyd has been writing the record for {BUSY_SECONDS:.0f} s",
            where=str(path),
            fix="wait for it to end, or end it, and try again",
        )
    if code in (_CORRUPT, _NOT_A_DATABASE):
        return StoreError(
            f"the record's file is damaged: {error}",
            where=str(path),
            fix="keep it for examination, and put back a copy of the store that verifies",
        )
    return StoreError(
        f"the record can't be used: {error}", where=str(path), fix="check the store's folder, its owner and its disk"
    )
