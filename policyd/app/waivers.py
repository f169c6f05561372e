"""The waivers that gates are given: the files of a folder, read once, with the operator's terms.

They may lie in the repository that is judged, because they count by signature alone. A branch can leave a revocation
out, so those that this machine has seen are kept in the operator's state folder too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from policyd.adapters.settings import Authority
from policyd.adapters.sources.discovery import read_beneath
from policyd.adapters.stores.files import write_whole
from policyd.adapters.strict_modes import require_safe_folder
from policyd.attestation.waivers import (
    MAX_WAIVER_BYTES,
    ReadRevocation,
    ReadWaiver,
    WaiverTerms,
    read_waiver_file,
    verify_revocation,
)
from policyd.errors import InputTooLarge, PolicydError, SettingsError, SourceError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, WaiverNote, WaiverState
from policyd.policy.waiver_book import WaiverBook, note_unreadable

FOLDER = "waivers"
SUFFIX = ".json"
MAX_FILES = 500  # each costs a few signature checks at the gates that it is for
_REVOCATIONS = "revoked-waivers"  # in the state folder


def load_waivers(root: Path, authority: Authority | None) -> WaiverBook:
    """Return the waivers of the project at `root`, or of the folder that operator settings name instead.

    What can't be read lifts nothing and is noted. Raises `InputTooLarge` for a folder with too many files and
    `SettingsError` for an operator's folder that can't be used.
    """
    return _load(root, authority, *_find_folder(root, authority))


def load_operator_waivers(authority: Authority) -> WaiverBook:
    """Return the waivers of the operator's own folder, none where there is no such folder: for judging without source.

    Revocations that this machine has seen count either way.
    """
    folder = authority.settings.waivers.folder
    return _load(None, authority, _operator_folder(folder) if folder is not None else None, "")


def remember_revocations(book: WaiverBook, authority: Authority) -> None:
    """Keep the revocations among `book`'s files in the state folder, so that leaving them out changes nothing."""
    for content in (book.files or {}).values():
        try:
            read = read_waiver_file(content, where="waivers")
            if isinstance(read, ReadRevocation):
                verify_revocation(read, authority.trust)
                keep_revocation(read, authority)
        except SettingsError:
            raise
        except PolicydError:
            continue  # noted where waivers are judged


def keep_revocation(read: ReadRevocation, authority: Authority) -> None:
    """Write a revocation to the state folder, where it is not yet."""
    folder = Path(authority.settings.state) / _REVOCATIONS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_safe_folder(folder)
    path = folder / f"{read.revocation.waiver_sha256}{SUFFIX}"
    if not path.exists():
        write_whole(path, read.content)


def used_by(decision: Decision) -> tuple[Sha256, ...]:
    """Return the digests of the waiver files that lifted something in `decision`."""
    used = {note.evidence_sha256 for note in decision.waivers if note.state is WaiverState.USED}
    return tuple(sorted(sha256 for sha256 in used if sha256 is not None))


def find_folder(root: Path, authority: Authority | None) -> Path:
    """Return the folder that waivers of the project at `root` lie in; it need not be there."""
    folder, _ = _find_folder(root, authority)
    return folder


def _find_folder(root: Path, authority: Authority | None) -> tuple[Path, str]:
    """Return the folder, and what stands before a file's name where it is shown."""
    if authority is not None and authority.settings.waivers.folder is not None:
        folder = _operator_folder(authority.settings.waivers.folder)
        return folder, f"{folder}/"
    return root / FOLDER, f"{FOLDER}/"


def _operator_folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_absolute() or not folder.is_dir():
        raise SettingsError(
            "the folder of waivers is not an absolute path of a folder that is there",
            where=f"waivers.folder: {name}",
            fix="make the folder, or take the setting out to use `waivers` of each project",
        )
    return folder


def _load(root: Path | None, authority: Authority | None, folder: Path | None, shown: str) -> WaiverBook:
    waivers: list[ReadWaiver] = []
    revocations: list[ReadRevocation] = []
    unreadable: list[WaiverNote] = []
    files: dict[Sha256, bytes] = {}
    for name, content in _read_files(folder, shown, unreadable) if folder is not None else ():
        files[sha256_hex(content)] = content
        try:
            read = read_waiver_file(content, where=name)
        except PolicydError as error:
            unreadable.append(note_unreadable(name, error, content))
            continue
        if isinstance(read, ReadWaiver):
            waivers.append(read)
        else:
            revocations.append(read)
    terms = None
    if authority is not None:
        revoked = dict(_kept_revocations(authority))
        for revocation in revocations:
            try:
                revoked[revocation.revocation.waiver_sha256] = verify_revocation(revocation, authority.trust)
            except PolicydError as error:
                unreadable.append(note_unreadable(revocation.source, error, revocation.content))
        terms = WaiverTerms(authority.trust, authority.settings.waivers.max_days, revoked)
    named = {read.waiver.file for read in waivers if read.waiver.file is not None}
    gone = frozenset(file for file in named if root is not None and not _is_there(root, file))
    return WaiverBook(tuple(waivers), tuple(unreadable), terms, gone, files)


def _read_files(folder: Path, shown: str, unreadable: list[WaiverNote]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file that may be a waiver; what can't be read is noted."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink():
        # Whoever may change where it leads could swap all of them between two looks.
        error = SourceError("this is a link, not a folder", where=shown, fix="put the folder there")
        unreadable.append(note_unreadable(shown.rstrip("/"), error, None))
        return
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(MAX_FILES * 4 + 1), strict=False)]
    except OSError as error:
        failed = SourceError(f"it can't be read: {error.strerror}", where=shown, fix="make it a folder you may read")
        unreadable.append(note_unreadable(shown.rstrip("/"), failed, None))
        return
    waivers = sorted(name for name in names if name.endswith(SUFFIX))
    if len(waivers) > MAX_FILES or len(names) > MAX_FILES * 4:
        raise InputTooLarge(
            f"there are more than {MAX_FILES} waivers, or too much beside them",
            where=shown,
            fix="remove those that have expired: `policyd waiver list` says which",
        )
    for name in waivers:
        # Names are bytes: those that are no UTF-8 are shown escaped.
        source = shown + os.fsencode(name).decode("utf-8", "backslashreplace")
        try:
            content = read_beneath(folder, name, max_bytes=MAX_WAIVER_BYTES)
        except PolicydError as error:
            unreadable.append(note_unreadable(source, error, None))
            continue
        yield source, content


def _kept_revocations(authority: Authority) -> Iterable[tuple[Sha256, str]]:
    """Yield the waivers whose revocation was kept: verified when it was written, in a folder of the operator's."""
    folder = Path(authority.settings.state) / _REVOCATIONS
    if not folder.is_dir():
        return
    require_safe_folder(folder)
    for name in sorted(os.listdir(folder)):
        if not name.endswith(SUFFIX):
            continue
        try:
            read = read_waiver_file(read_beneath(folder, name, max_bytes=MAX_WAIVER_BYTES), where=str(folder / name))
        except PolicydError:
            yield name.removesuffix(SUFFIX), "a revocation of it was kept, and is damaged"
            continue
        if isinstance(read, ReadRevocation):
            yield read.revocation.waiver_sha256, f"by {read.revocation.revoked_by}: {read.revocation.reason}"


def _is_there(root: Path, file: str) -> bool:
    return not file.startswith("/") and ".." not in file.split("/") and (root / file).is_file()
