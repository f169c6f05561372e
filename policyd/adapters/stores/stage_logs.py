"""What stages printed: one file a stage, written as it comes, so that it can be read while and after a run dies.

A log is no evidence: its digest is in the stage record, and whoever reads the file compares.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from policyd.errors import StoreError, UsageError
from policyd.models.base import Name, RunId, Sha256

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class StageLog:
    """The open log of one stage."""

    def __init__(self, path: Path) -> None:
        """Make the file; it must not be there yet."""
        self._path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        """Return the log itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Close the file; what was written stays."""
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Add what the stage printed. Raises `StoreError` where it can't be written."""
        self._digest.update(chunk)
        view = memoryview(chunk)
        try:
            while view:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            raise self._unwritable(error) from error

    def sha256(self) -> Sha256:
        """Return the digest of everything written so far."""
        return self._digest.hexdigest()

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"a stage's log can't be written: {(error.strerror or str(error)).lower()}",
            where=str(self._path),
            fix="free space in the store or correct its owner, then run the pipeline again",
        )


class StageLogs:
    """The logs of all runs below one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; runs get folders of their own in it."""
        self._folder = folder

    def open(self, run_id: RunId, stage: Name) -> StageLog:
        """Return the new log of a stage of a run."""
        return StageLog(self._folder / run_id / f"{stage}.log")

    def list_stages(self, run_id: RunId) -> tuple[Name, ...]:
        """Return the stages of the run that printed, or began to, by name."""
        folder = self._folder / run_id
        return tuple(sorted(path.stem for path in folder.glob("*.log"))) if folder.is_dir() else ()

    def digest(self, run_id: RunId, stage: Name) -> Sha256:
        """Return the digest of a stage's log as it lies there now."""
        with self.read(run_id, stage) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def read(self, run_id: RunId, stage: Name) -> io.BufferedReader:
        """Return the log of a stage, open for reading from its beginning. Raises `UsageError` where there is none."""
        # The name comes from a command line: nothing but a name may become part of a path.
        path = self._folder / run_id / f"{stage}.log"
        try:
            if not _NAME.fullmatch(stage):
                raise FileNotFoundError(stage)
            return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError as error:
            raise UsageError(
                f"there is no log of stage {stage}", where=f"run {run_id}", fix="`policyd show` lists the run's stages"
            ) from error
