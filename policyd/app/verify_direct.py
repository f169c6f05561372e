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
from policyd.attestation.bundle import Bundle, read_bundle
from policyd.attestation.direct import Asked, IdentityTrust, KeyTrust, needed_digests, verify_direct
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, Envelope
from policyd.attestation.findings import CHECKS, DirectCheck, DirectVerification, State
from policyd.attestation.keys import MAX_PEM_CHARACTERS, DigestName, read_public_key
from policyd.attestation.material import BundleVersion
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
            "bundles": [_bundle_to_json(bundle) for bundle in self.bundles],
            "error": _error_to_json(self.first_error),
        }


def read_key_trust(key: Path, trusted_root: Path | None) -> KeyTrust:
    """Return the trust in who has the key in a PEM file, under a trusted root where one is named."""
    content = read_input(key, max_bytes=MAX_PEM_CHARACTERS)
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
    bundles: Sequence[Path],
    asked: Asked,
    now: Callable[[], datetime],
) -> DirectAnswer:
    """Verify `artifact` (a path, or a digest) by `bundles`; by those beside its files where none are named.

    Raises `UsageError` for a request that can't be used. A bundle that doesn't parse is an answer: all are looked at.
    """
    # 1. The bundles, each read once.
    paths = list(bundles) or find_bundles(artifact)
    parsed = _read_all(paths, asked.oldest)
    good = [one for one in parsed if isinstance(one, Bundle)]
    _require_type(good, asked)

    # 2. The artifact, each file read once, with the digests that any of them needs.
    names: set[DigestName] = {"sha256"}
    keep_content = False
    for bundle in good:
        wanted, content = needed_digests(bundle, asked)
        names |= wanted
        keep_content = keep_content or content
    try:
        read = read_artifact(artifact, names, keep_content=keep_content, leave_out=file_ids(paths))
    except VerificationFailed as error:
        check = DirectCheck(_ARTIFACT, CHECKS[_ARTIFACT], State.FAILED, error.cause)
        return DirectAnswer(artifact, "file", None, 0, _describe(asked), (), (check,), error)

    # 3. Every bundle against the artifact.
    found = _verify_all(parsed, [str(path) for path in paths], asked, read, now())
    answers = tuple(VerifiedBundle(str(path), one) for path, one in zip(paths, found, strict=True))

    # 4. A folder: every file in it has a bundle that speaks of it.
    checks, incomplete = _require_all_files(read, found)
    sha256 = read.files[0].digests.get("sha256") if len(read.files) == 1 else None
    return DirectAnswer(
        artifact=read.name,
        kind=read.kind,
        sha256=None if sha256 is None else sha256.hex(),
        files=len(read.files),
        trust=_describe(asked),
        bundles=answers,
        checks=checks,
        error=incomplete,
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


def _read_all(paths: Sequence[Path], oldest: BundleVersion) -> list[Bundle | DocumentError]:
    if len(paths) > MAX_BUNDLES:
        raise UsageError(f"more than {MAX_BUNDLES} bundles", where="--bundle", fix="verify them in several commands")
    parsed: list[Bundle | DocumentError] = []
    total = 0
    for path in paths:
        content = read_input(path, max_bytes=MAX_ENVELOPE_BYTES)
        total += len(content)
        if total > MAX_BUNDLE_BYTES_TOTAL:
            raise InputTooLarge(
                f"the bundles have more than {MAX_BUNDLE_BYTES_TOTAL} bytes together",
                where=str(path),
                fix="verify them in several commands",
            )
        try:
            parsed.append(read_bundle(content, where=str(path), oldest=oldest))
        except DocumentError as error:
            parsed.append(error)
    return parsed


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
    parsed: Sequence[Bundle | DocumentError], names: Sequence[str], asked: Asked, artifact: Artifact, now: datetime
) -> list[DirectVerification]:
    def verify(number: int) -> DirectVerification:
        bundle = parsed[number]
        if isinstance(bundle, DocumentError):
            return _unreadable(bundle)
        return verify_direct(bundle, asked, artifact.files, now=now, where=names[number])

    workers = min(os.cpu_count() or 1, len(parsed) // (MANY // 2))
    if len(parsed) < MANY or workers < 2 or not hasattr(os, "fork"):
        return [verify(number) for number in range(len(parsed))]
    from policyd.adapters.forking import map_in_processes

    return map_in_processes(verify, len(parsed), workers)


def _unreadable(error: DocumentError) -> DirectVerification:
    return DirectVerification((DirectCheck(1, CHECKS[1], State.FAILED, error.cause),), error)


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

    return read_trusted_root(read_input(path, max_bytes=MAX_TRUSTED_ROOT_BYTES), where=str(path))


def _describe(asked: Asked) -> str:
    trust = asked.trust
    if isinstance(trust, IdentityTrust):
        return f"{trust.identity.describe()}, under the trusted root sha256:{trust.root.sha256}"
    root = "" if trust.root is None else f", under the trusted root sha256:{trust.root.sha256}"
    return f"the key sha256:{trust.key.sha256}{root}"


def _bundle_to_json(bundle: VerifiedBundle) -> dict[str, object]:
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
        "error": _error_to_json(found.error),
    }


def _check_to_json(check: DirectCheck) -> dict[str, object]:
    return {
        "number": check.number,
        "name": check.name,
        "state": check.state.value,
        "passed": check.passed,
        "detail": check.detail,
    }


def _error_to_json(error: PolicydError | None) -> dict[str, object] | None:
    return None if error is None else {"cause": error.cause, "where": error.where, "fix": error.fix}
