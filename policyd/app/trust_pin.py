"""`policyd trust pin`: make a trust policy the one that counts here. An explicit act, and never a step back.

Where one is pinned, the next counts only by the signatures that lead from the one to the other; no digest and no option
stands in for them. Where none is pinned yet, a person compares the digest with what the maintainers say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input, write_output
from policyd.adapters.settings import read_trust_file
from policyd.adapters.settings_edit import write_pin
from policyd.adapters.stores.trust_versions import TrustVersions
from policyd.app.trust_files import Pinned, find_between, find_pinned, read_document, signed_path
from policyd.attestation.trust_chain import (
    MAX_DOCUMENT_BYTES,
    TrustDocument,
    read_trust_document,
    render_envelope,
    require_unexpired,
    roll_forward,
    verify_own_signatures,
)
from policyd.attestation.trust_changes import describe_changes
from policyd.errors import PolicydError, UsageError, VerificationFailed
from policyd.models.base import Sha256


@dataclass(frozen=True, slots=True)
class PinnedNow:
    """What is pinned after the call, and how it came to be."""

    document: TrustDocument
    path: Path
    settings: Path
    walked: tuple[int, ...]  # versions that were verified one by one; empty where nothing changed
    changes: tuple[str, ...]
    first: bool = False  # nothing was pinned before


def pin_trust(
    files: Sequence[Path],
    *,
    digest: Sha256 | None,
    confirm: Callable[[TrustDocument], bool] | None,
    settings: Path | None,
    now: datetime,
) -> PinnedNow:
    """Pin the newest trust policy in `files`; the others are versions on the way, as are those beside it.

    `digest` is what its document must have. Where nothing is pinned yet it is needed, or `confirm`, which shows the
    document to a person and returns whether that is the one. Raises `VerificationFailed` with the number of the check
    where a version does not hold, and leaves everything as it was.
    """
    pinned = find_pinned(settings)
    offered = [read_document(path) for path in files]
    at, newest = max(enumerate(offered), key=lambda one: one[1].trust.version)

    # 1. The digest that was asked for, whatever else holds.
    if digest is not None and newest.sha256 != digest:
        raise VerificationFailed(
            f"its digest is sha256:{newest.sha256}, not the one given",
            where=newest.source,
            fix="get the file again, and ask its maintainers for its digest by another way",
        )

    # 2. The first one: by a person who compared, or the digest that somebody did compare.
    if pinned.document is None:
        _require_good_start(newest, now)
        if digest is None and (confirm is None or not confirm(newest)):
            raise UsageError(
                f"nothing was pinned: nobody said that sha256:{newest.sha256} is the right digest",
                where=newest.source,
                fix=f"compare it with what its maintainers say, and give it: --digest sha256:{newest.sha256}",
            )
        return _write(pinned, files[at], newest, (newest,), first=True)

    # 3. From the pinned one on, version by version.
    known = {document.trust.version for document in offered}
    between = [
        document
        for document in find_between(files[at], after=pinned.document.trust.version, before=newest.trust.version)
        if document.trust.version not in known
    ]
    walked = roll_forward(pinned.document, [*offered, *between], now=now)
    if not walked:
        # The same one; perhaps the state folder does not know it yet.
        require_unexpired(pinned.document, now=now)
        _remember(pinned, pinned.document)
        return PinnedNow(pinned.document, Path(pinned.settings.trust_policy.path), pinned.path, (), ())
    return _write(pinned, files[at], newest, walked, first=False)


def _require_good_start(document: TrustDocument, now: datetime) -> None:
    """What even a person's word does not make good: one that has expired, or whose own signatures do not hold."""
    if document.signed:
        verify_own_signatures(document, now=now)
    require_unexpired(document, now=now)


def _write(
    pinned: Pinned,
    source: Path,
    document: TrustDocument,
    walked: Sequence[TrustDocument],
    *,
    first: bool,
) -> PinnedNow:
    trust = document.trust
    # 1. Never behind what this machine has pinned before, whatever the settings say now.
    versions = TrustVersions(Path(pinned.settings.state))
    versions.require_not_behind(trust.name, trust.version, document.sha256, where=document.source)
    # 2. The document, beside the one that was pinned.
    path = _keep(Path(pinned.settings.trust_policy.path), source, document)
    if read_trust_file(path, settings=pinned.path).sha256 != document.sha256:  # as every command will read it
        raise UsageError("the file changed meanwhile", where=str(path), fix="pin it again")
    # 3. The settings, then the memory: cut short between the two, what is pinned is verified and new.
    write_pin(pinned.path, path, document.sha256)
    _remember(pinned, document)
    old = pinned.document
    return PinnedNow(
        document=document,
        path=path,
        settings=pinned.path,
        walked=tuple(one.trust.version for one in walked),
        changes=() if old is None else describe_changes(old.trust, trust),
        first=first,
    )


def _keep(current: Path, source: Path, document: TrustDocument) -> Path:
    """Return where the document stands for policyd to read: beside the one that was pinned."""
    if source.absolute().parent == current.absolute().parent:
        return source.absolute()
    if document.signed:
        path, content = signed_path(current, document.trust.version), render_envelope(document.envelope)
    else:
        path, content = current.with_name(f"{current.stem}.yaml"), document.envelope.payload
    if path.exists() and _names_another(path, document):
        raise UsageError(
            "another file lies where the trust policy would be kept", where=str(path), fix="move it away first"
        )
    write_output(path, content)
    return path


def _names_another(path: Path, document: TrustDocument) -> bool:
    try:
        there = read_trust_document(read_input(path, max_bytes=MAX_DOCUMENT_BYTES), where=str(path))
    except PolicydError:
        return True
    return there.sha256 != document.sha256


def _remember(pinned: Pinned, document: TrustDocument) -> None:
    trust = document.trust
    TrustVersions(Path(pinned.settings.state)).remember(
        trust.name, trust.version, document.sha256, where=document.source
    )
