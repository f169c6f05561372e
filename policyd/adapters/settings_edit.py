"""The one thing that policyd writes into operator settings: which trust policy is pinned.

Everything else in the file stays as its operator wrote it, comments too. What would be written is read again first: it
has to say what was meant, and nothing else may have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from policyd.adapters.settings import MAX_SETTINGS_BYTES, read_operator_settings
from policyd.adapters.stores.files import write_whole
from policyd.adapters.strict_modes import read_safe_file, require_safe_file
from policyd.errors import PolicydError, SettingsError
from policyd.models.base import Sha256
from policyd.models.settings import OperatorSettings, PinnedFile
from policyd.pipeline.source_map import LINE_END, SourceMap
from policyd.pipeline.yaml_reader import read_yaml_with_places


def write_pin(path: Path, trust_path: Path, sha256: Sha256) -> None:
    """Make the settings at `path` name and pin the trust policy at `trust_path`.

    Raises `SettingsError` where the file can't be changed so, and leaves it as it was.
    """
    content = read_safe_file(path, max_bytes=MAX_SETTINGS_BYTES)
    settings = read_operator_settings(content, path)
    pinned = PinnedFile(path=str(trust_path), sha256=sha256)
    wanted = settings.model_copy(update={"trust_policy": pinned})
    changed = next((one for one in _candidates(content, path, pinned) if _says(one, wanted, path)), None)
    if changed is None:
        raise _by_hand("trust_policy is written in a way that policyd can't change", path, pinned)
    try:
        write_whole(path, changed, mode=require_safe_file(path).stat().st_mode & 0o777)
    except OSError as error:
        raise _by_hand(f"the settings can't be written: {(error.strerror or '').lower()}", path, pinned) from error


def _candidates(content: bytes, path: Path, pinned: PinnedFile) -> Iterator[bytes]:
    """Yield ways to write the pin; which of them is right, reading shows."""
    places = read_yaml_with_places(content, file=str(path)).source_map
    text = places.text
    written = json.dumps(pinned.path, ensure_ascii=False)
    here = _span(places, "path")
    there = _span(places, "sha256")
    # 1. Both values are there.
    first, second = sorted([(here, written), (there, str(pinned.sha256))])
    if first[0][1] <= second[0][0]:
        yield _replace(_replace(text, *second), *first).encode()
    # 2. Only the path is: the digest goes behind it, on a line of its own or, between braces, on the same.
    column = places.place_of(("trust_policy", "path"), key=True).column
    yield _replace(text, here, f"{written}\n{' ' * (column - 1)}sha256: {pinned.sha256}").encode()
    yield _replace(text, here, f"{written}, sha256: {pinned.sha256}").encode()


def _span(places: SourceMap, field: str) -> tuple[int, int]:
    """Return the characters of the text that a field's value has (of `trust_policy` itself, where it isn't there)."""
    place = places.place_of(("trust_policy", field))
    starts = [0, *(match.end() for match in LINE_END.finditer(places.text))]
    return starts[place.line - 1] + place.column - 1, starts[place.end_line - 1] + place.end_column - 1


def _replace(text: str, span: tuple[int, int], by: str) -> str:
    return text[: span[0]] + by + text[span[1] :]


def _says(content: bytes, wanted: OperatorSettings, path: Path) -> bool:
    try:
        return read_operator_settings(content, path) == wanted
    except PolicydError:
        return False


def _by_hand(cause: str, path: Path, pinned: PinnedFile) -> SettingsError:
    return SettingsError(
        cause,
        where=str(path),
        fix=f"write it yourself: trust_policy.path: {pinned.path}, trust_policy.sha256: {pinned.sha256}",
    )
