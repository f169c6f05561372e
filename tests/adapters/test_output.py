from __future__ import annotations

import os
from pathlib import Path

import pytest

from policyd.adapters.output import read_input
from policyd.errors import InputTooLarge, UsageError


def test_what_is_read_is_asked_of_what_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at the path first may find a file there and open a pipe, and wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "is_file", lambda _: True)

    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(UsageError, match="not a regular file"):
            read_input(path, max_bytes=10)


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"ten bytes.")

    assert read_input(tmp_path / "file", max_bytes=10) == b"ten bytes."
    with pytest.raises(InputTooLarge):
        read_input(tmp_path / "file", max_bytes=9)
    with pytest.raises(UsageError, match="no such file"):
        read_input(tmp_path / "none", max_bytes=9)
