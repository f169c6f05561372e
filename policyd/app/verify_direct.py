"""`policyd verify` with trust given on the command line: no settings, no store, no network.

Whatever lies beside the artifact (settings, a trust policy, a store) is not looked at: trust is the key or the identity
that was named, and nothing else. Every bundle has to hold; one that fails is a reason to refuse, never to look away
(docs/threats.md, T7 and T31).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.adapters.artifacts import Artifact, file_ids, list_folder, names_digest, read_artifact
from policyd.adapters.output import read_input
from policyd.adapters.strict_modes import read_safe_file
from policyd.attestation.bundle import Bundle
from policyd.attestation.direct import (
    Asked,
    IdentityTrust,
    KeyTrust,
    needed_digests,
    needs_package,
    verify_direct,
)
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, Envelope
from policyd.attestation.findings import CHECKS, DirectCheck, DirectVerification, State
from policyd.attestation.formats.reading import Piece, add_log_entry, find_claimed_type, read_evidence
from policyd.attestation.keys import MAX_PEM_CHARACTERS, DigestName, read_public_key
from policyd.errors import (
    DocumentError,
    ExitCode,
    InputTooLarge,
    KeyUnusable,
    PolicydError,
    SubjectMismatch,
    UsageError,
    VerificationFailed,
    worst,
)
from policyd.models.base import rfc3339

if TYPE_CHECKING:
    from policyd.attestation.keyless.identity import AskedIdentity
    from policyd.attestation.keyless.trusted_root import TrustedRoot

MAX_BUNDLES = 100_000
#: All bundles of one command are held while the artifact is read.
MAX_BUNDLE_BYTES_TOTAL = 1024 * 1024 * 1024
#: How a bundle beside its artifact is called (sigstore's clients write the first).
BUNDLE_ENDINGS = (".sigstore.json", ".sigstore")
#: What cosign's annotation calls a bundle that is no attestation.
MESSAGE_SIGNATURE = "message-signature"
#: From this many bundles on a second process pays for itself.
MANY = 64
_ARTIFACT = 12
_FILES = 13


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """One bundle and what was found."""

    path: str
    found: DirectVerification


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A file of evidence that can't be read, and why."""

    path: str
    error: DocumentError


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Evidence of another type than the one asked for, in a file that lists several: it was not looked at."""

    path: str
    predicate_type: str  # as it claims


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is to be verified: files of evidence, or a signature on its own; and a log entry that came apart from it."""

    bundles: Sequence[Path] = ()
    signature: Path | None = None
    certificate: Path | None = None
    log_entry: Path | None = None


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """The answer of `policyd verify` with trust given directly. `checks` are those of no single bundle."""

    artifact: str
    kind: str
    sha256: str | None
    files: int
    trust: str
    bundles: tuple[VerifiedBundle, ...]
    checks: tuple[DirectCheck, ...] = ()
    error: PolicydError | None = None
    left_out: tuple[LeftOut, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """Zero only where there was a bundle, and all held."""
        codes = [bundle.found.exit_code for bundle in self.bundles]
        if self.error is not None:
            codes.append(self.error.exit_code)
        return worst(*codes) if codes else ExitCode.REFUSED

    @property
    def verified(self) -> bool:
        """True where every check of every bundle held."""
        return self.exit_code is ExitCode.OK

    @property
    def first_error(self) -> PolicydError | None:
        """The error that decided, for the one line that explains the exit code."""
        errors = [bundle.found.error for bundle in self.bundles if bundle.found.error is not None]
        return next((error for error in [*errors, self.error] if error and error.exit_code is self.exit_code), None)

    def to_json(self) -> dict[str, object]:
        """Return the answer as `--format json` prints it."""
        return {
            "schema": "policyd.verify-direct/v1",
            "artifact": {"name": self.artifact, "kind": self.kind, "sha256": self.sha256, "files": self.files},
            "trust": self.trust,
            "verified": self.verified,
            "exit_code": int(self.exit_code),
            "checks": [_check_to_json(check) for check in self.checks],
            "bundles": [bundle_to_json(bundle) for bundle in self.bundles],
            "left_out": [{"bundle": one.path, "predicate_type": one.predicate_type} for one in self.left_out],
            "error": error_to_json(self.first_error),
        }


def read_key_trust(key: Path, trusted_root: Path | None) -> KeyTrust:
    """Return the trust in who has the key in a PEM file, under a trusted root where one is named.

    Both files decide, so nobody else may be able to change them: `UnsafePermissions` (StrictModes).
    """
    content = read_safe_file(key, max_bytes=MAX_PEM_CHARACTERS)
    try:
        pem = content.decode("ascii")
    except UnicodeDecodeError as error:
        raise KeyUnusable("the file holds no PEM", where=str(key), fix="name the signer's public key") from error
    return KeyTrust(read_public_key(pem, where=str(key)), None if trusted_root is None else _read_root(trusted_root))


def read_identity_trust(identity: AskedIdentity, trusted_root: Path) -> IdentityTrust:
    """Return the trust in who has an identity, under the trusted root in a file."""
    return IdentityTrust(identity, _read_root(trusted_root))


def verify_directly(
    artifact: str,
    *,
    evidence: Evidence,
    asked: Asked,
    now: Callable[[], datetime],
) -> DirectAnswer:
    """Verify `artifact` (a path, or a digest) by `evidence`; by the bundles beside its files where none is named.

    Raises `UsageError` for a request that can't be used. A bundle that doesn't parse is an answer: all are looked at.
    """
    # 1. The evidence, each file read once; of files that list several attestations those of the type asked for.
    paths = list(evidence.bundles)
    if not paths and evidence.signature is None:
        paths = find_bundles(artifact)
    left_out: list[LeftOut] = []
    parsed = _read_all(paths, evidence, asked, left_out)
    good = [one.bundle for one in parsed if isinstance(one, Piece)]
    _require_type(good, asked)

    # 2. The artifact, each file read once, with the digests that any of them needs.
    names: set[DigestName] = {"sha256"}
    keep_content = False
    for bundle in good:
        wanted, content = needed_digests(bundle, asked)
        names |= wanted
        keep_content = keep_content or content
    named = [path for path in (evidence.signature, evidence.certificate, evidence.log_entry) if path is not None]
    try:
        read = read_artifact(
            artifact,
            names,
            keep_content=keep_content,
            with_package=any(needs_package(bundle) for bundle in good),
            leave_out=file_ids([*paths, *named]),
        )
    except VerificationFailed as error:
        check = DirectCheck(_ARTIFACT, CHECKS[_ARTIFACT], State.FAILED, error.cause)
        return DirectAnswer(artifact, "file", None, 0, describe_trust(asked), (), (check,), error)

    # 3. Every bundle against the artifact.
    found = _verify_all(parsed, asked, read, now())
    answers = tuple(VerifiedBundle(_place_of(piece), one) for piece, one in zip(parsed, found, strict=True))

    # 4. A folder: every file in it has a bundle that speaks of it.
    checks, incomplete = _require_all_files(read, found)
    sha256 = read.files[0].digests.get("sha256") if len(read.files) == 1 else None
    return DirectAnswer(
        artifact=read.name,
        kind=read.kind,
        sha256=None if sha256 is None else sha256.hex(),
        files=len(read.files),
        trust=describe_trust(asked),
        bundles=answers,
        checks=checks,
        error=incomplete,
        left_out=tuple(left_out),
    )


def find_bundles(artifact: str) -> list[Path]:
    """Return the bundles that lie beside an artifact's files under their usual names.

    `UsageError` where there are none. Where they lie gives them no weight: they have to hold like any other.
    """
    found: list[Path] = []
    if not names_digest(artifact):
        path = Path(artifact)
        if path.is_dir():
            there = set(list_folder(path))
            found = [path / (name + end) for name in sorted(there) for end in BUNDLE_ENDINGS if name + end in there]
        else:
            found = [beside for end in BUNDLE_ENDINGS if (beside := path.with_name(path.name + end)).is_file()]
    if not found:
        raise UsageError(
            "there is no bundle to verify it with",
            where=artifact,
            fix=f"name it with --bundle, or put it beside the file as NAME{BUNDLE_ENDINGS[0]}",
        )
    return found


def _read_all(
    paths: Sequence[Path], evidence: Evidence, asked: Asked, left_out: list[LeftOut]
) -> list[Piece | _Unreadable]:
    """Return every piece of evidence that is to be verified, and for each file that can't be read the reason."""
    if len(paths) > MAX_BUNDLES:
        raise UsageError(f"more than {MAX_BUNDLES} bundles", where="--bundle", fix="verify them in several commands")
    parsed: list[Piece | _Unreadable] = []
    total = 0
    for path in paths:
        try:
            content = read_input(path, max_bytes=MAX_ENVELOPE_BYTES)
        except InputTooLarge as error:
            parsed.append(_Unreadable(str(path), error))
            continue
        total += len(content)
        if total > MAX_BUNDLE_BYTES_TOTAL:
            raise InputTooLarge(
                f"the bundles have more than {MAX_BUNDLE_BYTES_TOTAL} bytes together",
                where=str(path),
                fix="verify them in several commands",
            )
        try:
            parsed += _select(read_evidence(content, where=str(path)), asked, left_out)
        except DocumentError as error:
            parsed.append(_Unreadable(str(path), error))
        if len(parsed) > MAX_BUNDLES:
            raise UsageError(
                f"more than {MAX_BUNDLES} bundles", where="--bundle", fix="verify them in several commands"
            )
    if evidence.signature is not None:
        parsed.append(_read_detached(evidence.signature, evidence.certificate))
    if evidence.log_entry is None:
        return parsed
    return _add_log_entry(parsed, evidence.log_entry)


def _read_detached(signature: Path, certificate: Path | None) -> Piece | _Unreadable:
    from policyd.attestation.formats.cosign import (
        MAX_CERTIFICATE_FILE_BYTES,
        MAX_SIGNATURE_FILE_BYTES,
        read_detached,
    )

    content = read_input(signature, max_bytes=MAX_SIGNATURE_FILE_BYTES)
    pem = None if certificate is None else read_input(certificate, max_bytes=MAX_CERTIFICATE_FILE_BYTES)
    try:
        bundle = read_detached(content, pem, where=str(signature), certificate_where=str(certificate))
    except DocumentError as error:
        return _Unreadable(str(signature), error)
    return Piece(str(signature), bundle, listed=False)


def _add_log_entry(parsed: Sequence[Piece | _Unreadable], path: Path) -> list[Piece | _Unreadable]:
    from policyd.attestation.formats.rekor import MAX_ENTRY_BYTES, read_rekor_entry

    pieces = [one for one in parsed if isinstance(one, Piece)]
    if len(pieces) != len(parsed):
        return list(parsed)  # nothing holds anyway
    try:
        entry = read_rekor_entry(read_input(path, max_bytes=MAX_ENTRY_BYTES), where=str(path))
    except DocumentError as error:
        return [_Unreadable(str(path), error)]
    return list(add_log_entry(pieces, entry, where=str(path)))


def _select(pieces: Sequence[Piece], asked: Asked, left_out: list[LeftOut]) -> Sequence[Piece]:
    """Return those pieces of a file that are to be verified; of one that lists several, those of what is asked for.

    That is attestations of one type, or signatures of files. Types are as claimed, since nothing is verified yet:
    whoever could change one here could as well take the attestation out of the file. One whose type can't be read
    stays, and so does all of a file with none of the type: it is refused for it.
    """
    others = [
        LeftOut(one.where, other)
        for one in pieces
        if one.listed and (other := _find_other_type(one.bundle, asked)) is not None
    ]
    if len(others) == len(pieces):
        return pieces
    left_out += others
    places = {one.path for one in others}
    return [one for one in pieces if one.where not in places]


def _find_other_type(bundle: Bundle, asked: Asked) -> str | None:
    """Return what `bundle` claims to be, if that is something else than what is asked for."""
    if asked.predicate_type == "":
        return None
    if not isinstance(bundle.content, Envelope):
        return None if asked.predicate_type is None else MESSAGE_SIGNATURE
    claimed = find_claimed_type(bundle)
    return None if claimed == asked.predicate_type else claimed


def _require_type(bundles: Sequence[Bundle], asked: Asked) -> None:
    """Raise `UsageError` where an attestation is handed in and nobody said which type is wanted.

    What an attestation says may be that a test failed: exit code 0 without a look at its type would be a trap.
    """
    if asked.predicate_type is None and bundles and all(isinstance(bundle.content, Envelope) for bundle in bundles):
        raise UsageError(
            "the bundle is an attestation: say which type is asked for",
            where="--type",
            fix="add --type slsaprovenance1, a predicate type's URI, or `--type any` to look at it yourself",
        )


def _verify_all(
    parsed: Sequence[Piece | _Unreadable], asked: Asked, artifact: Artifact, now: datetime
) -> list[DirectVerification]:
    def verify(number: int) -> DirectVerification:
        piece = parsed[number]
        if isinstance(piece, _Unreadable):
            return DirectVerification((DirectCheck(1, CHECKS[1], State.FAILED, piece.error.cause),), piece.error)
        return verify_direct(piece.bundle, asked, artifact.files, now=now, where=piece.where)

    workers = min(os.cpu_count() or 1, len(parsed) // (MANY // 2))
    if len(parsed) < MANY or workers < 2 or not hasattr(os, "fork"):
        return [verify(number) for number in range(len(parsed))]
    from policyd.adapters.forking import map_in_processes

    return map_in_processes(verify, len(parsed), workers)


def _place_of(piece: Piece | _Unreadable) -> str:
    return piece.where if isinstance(piece, Piece) else piece.path


def _require_all_files(
    artifact: Artifact, found: Collection[DirectVerification]
) -> tuple[tuple[DirectCheck, ...], PolicydError | None]:
    if artifact.kind != "folder":
        return (), None
    spoken_of = frozenset().union(*(one.files for one in found))
    missing = [file.name for file in artifact.files if file.name not in spoken_of]
    name = "every file of the folder has a bundle that speaks of it"
    if not missing:
        return (DirectCheck(_FILES, name, State.HELD, f"{len(artifact.files)} files"),), None
    shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    error = SubjectMismatch(
        f"{len(missing)} of {len(artifact.files)} files are in no bundle that holds: {shown}",
        where=artifact.name,
        fix="take them out of the folder, or hand in their bundles",
    )
    return (DirectCheck(_FILES, name, State.FAILED, error.cause),), error


def _read_root(path: Path) -> TrustedRoot:
    from policyd.attestation.keyless.trusted_root import MAX_TRUSTED_ROOT_BYTES, read_trusted_root

    # Whoever can write it, or swap a folder above it, decides whom we trust: as with operator settings.
    return read_trusted_root(read_safe_file(path, max_bytes=MAX_TRUSTED_ROOT_BYTES), where=str(path))


def describe_trust(asked: Asked) -> str:
    """Return whom `asked` trusts, in words."""
    trust = asked.trust
    if isinstance(trust, IdentityTrust):
        return f"{trust.identity.describe()}, under the trusted root sha256:{trust.root.sha256}"
    root = "" if trust.root is None else f", under the trusted root sha256:{trust.root.sha256}"
    return f"the key sha256:{trust.key.sha256}{root}"


def bundle_to_json(bundle: VerifiedBundle) -> dict[str, object]:
    """Return a bundle and what was found as `--format json` prints them."""
    found, signer = bundle.found, bundle.found.signer
    return {
        "bundle": bundle.path,
        "verified": found.verified,
        "exit_code": int(found.exit_code),
        "checks": [_check_to_json(check) for check in found.checks],
        "signer": None
        if signer is None
        else {
            "key_sha256": signer.key_sha256,
            "key_kind": signer.key_kind,
            "identity": signer.identity,
            "issuer": signer.issuer,
            "certificate": dict(signer.facts),
        },
        "predicate_type": found.predicate_type,
        "times": [{"at": rfc3339(moment), "by": source} for moment, source in found.times],
        "log_entries": [{"log": url, "index": index} for url, index in found.log_entries],
        "error": error_to_json(found.error),
    }


def _check_to_json(check: DirectCheck) -> dict[str, object]:
    return {
        "number": check.number,
        "name": check.name,
        "state": check.state.value,
        "passed": check.passed,
        "detail": check.detail,
    }


def error_to_json(error: PolicydError | None) -> dict[str, object] | None:
    """Return an error as `--format json` prints it."""
    return None if error is None else {"cause": error.cause, "where": error.where, "fix": error.fix}
