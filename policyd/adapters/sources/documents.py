"""Inputs of gates that somebody kept as files, for judging them again.

Links are not followed and only regular files are read, as everywhere where files are looked for.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from policyd.adapters.beneath import opened_folder_beneath
from policyd.adapters.sources.discovery import MAX_DEPTH, MAX_ENTRIES, SKIPPED_FOLDERS, Found, read_beneath
from policyd.errors import InputTooLarge, PolicydError, SourceError

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024  # the input of a pipeline of 10 MB
_SUFFIX = ".json"
#: What every input of a gate has; a JSON file without them is for somebody else.
_MARKS = (b'"gate"', b'"evaluated_at"')


def find_input_documents(root: Path) -> Iterator[Found]:
    """Yield every file below the folder `root` that may be the input of a gate, sorted by folder and name."""
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in _walk(root_fd):
            try:
                content = read_beneath(root, path, max_bytes=MAX_DOCUMENT_BYTES)
            except PolicydError as error:
                yield Found(path, None, error)
                continue
            if is_input_document(content):
                yield Found(path, content)
    finally:
        os.close(root_fd)


def is_input_document(content: bytes) -> bool:
    """Say whether a JSON file looks like the input of a gate."""
    return all(mark in content for mark in _MARKS)


def _walk(root_fd: int) -> Iterator[str]:
    pending: list[tuple[str, ...]] = [()]
    seen = 0
    while pending:
        parts = pending.pop()
        try:
            with opened_folder_beneath(root_fd, parts) as folder:
                names = sorted(os.listdir(folder))
                modes = {name: os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode for name in names}
        except OSError as error:
            raise SourceError(
                f"a folder can't be read: {error.strerror}", where="/".join(parts) or ".", fix="see who may read it"
            ) from error
        seen += len(names)
        if seen > MAX_ENTRIES or len(parts) > MAX_DEPTH:
            raise InputTooLarge("there is too much below this folder", where="/".join(parts) or ".", fix="name a part")
        yield from ("/".join((*parts, name)) for name in names if name.endswith(_SUFFIX) and stat.S_ISREG(modes[name]))
        folders = [name for name in names if stat.S_ISDIR(modes[name]) and name not in SKIPPED_FOLDERS]
        pending.extend((*parts, name) for name in reversed(folders))
