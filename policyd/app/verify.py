"""`policyd verify`: may this artifact leave for this target? From evidence alone, offline, without project settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.stores.store import Store, open_store
from policyd.app.evidence import MAX_BUNDLE_BYTES, StoredEvidence
from policyd.app.judging import open_judge
from policyd.app.record import log_keys, require_clock
from policyd.app.recorded import RecordedManifests, find_recorded_manifests
from policyd.app.release import Released, decide_release
from policyd.app.waivers import load_operator_waivers
from policyd.attestation.bundle import read_attestation
from policyd.attestation.policy_sets import require_listed
from policyd.attestation.release_chain import Check
from policyd.attestation.summary import VerifiedSummary, verify_summary
from policyd.errors import (
    DocumentError,
    EvidenceMissing,
    ExitCode,
    IdentityNotTrusted,
    PolicydError,
    SubjectMismatch,
    UsageError,
)
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.settings import ProjectSettings
from policyd.models.statement import MANIFEST_V1, VSA_V1
from policyd.models.strict_json import read_json

MAX_BUNDLES = 10_000


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer of `policyd verify`: the artifact, the target, every check made, and how it ended."""

    artifact: str
    sha256: Sha256
    target: str
    checks: tuple[Check, ...]
    exit_code: ExitCode
    error: PolicydError | None = None

    @property
    def verified(self) -> bool:
        """True where every check was made and held."""
        return self.exit_code is ExitCode.OK

    def to_json(self) -> dict[str, object]:
        """Return the answer as `--format json` prints it."""
        error = self.error
        return {
            "schema": "policyd.verify/v1",
            "artifact": self.artifact,
            "sha256": self.sha256,
            "target": self.target,
            "verified": self.verified,
            "exit_code": int(self.exit_code),
            "checks": [
                {"number": check.number, "name": check.name, "passed": check.passed, "detail": check.detail}
                for check in self.checks
            ],
            "error": None if error is None else {"cause": error.cause, "where": error.where, "fix": error.fix},
        }


def verify_artifact(
    artifact: Path,
    *,
    settings: Path | None,
    target: str | None,
    bundles: Sequence[Path],
    now: Callable[[], datetime],
    engine: str | None = None,
) -> Verified:
    """Verify `artifact` for `target` over the store's evidence, or over `bundles` where any are given.

    Trust comes from operator settings; nothing beside the artifact or in a bundle adds to it. `now` reads the clock: it
    is asked when the evidence is at hand, which another policyd may just have written. Raises `UsageError` or
    `DocumentError` for a request that can't be used.
    """
    authority = require_authority(settings, repository=None)
    sha256 = digest_file(artifact)
    wanted = _choose_target(target, authority)
    if bundles:
        return _verify_bundles(artifact.name, sha256, wanted, bundles, authority, now, engine)
    with open_store(Path(authority.settings.store), Path(authority.settings.state)) as store:
        try:
            manifests = find_recorded_manifests(store, sha256)
        except EvidenceMissing as missing:
            return Verified(artifact.name, sha256, wanted, (), missing.exit_code, missing)
        if not manifests:
            error = SubjectMismatch(
                f"no run in the store made sha256:{sha256}",
                where=artifact.name,
                fix="the file was changed after its run, or was made elsewhere: hand in its evidence with --bundle",
            )
            return Verified(artifact.name, sha256, wanted, (), ExitCode.REFUSED, error)
        return _walk(artifact.name, sha256, wanted, manifests, StoredEvidence(store), store, authority, now, engine)


def _walk(
    name: str,
    sha256: Sha256,
    target: str,
    manifests: Sequence[bytes],
    evidence: Mapping[Sha256, bytes],
    store: Store | None,
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
) -> Verified:
    """Walk the chain from each manifest, newest first, until one allows; else say how the newest ended."""
    log = RecordedManifests(store, authority.trust) if store else None
    waivers = load_operator_waivers(authority)
    with open_judge(authority, ProjectSettings(policyd="project/v1"), engine=engine, waivers=waivers) as judge:
        require_listed(judge.layer_refs, authority.trust, where=authority.settings.trust_policy.path)
        try:
            moment = require_clock(store, log_keys(authority.trust), now) if store else now()
        except PolicydError as error:
            return Verified(name, sha256, target, (), error.exit_code, error)
        first: Released | None = None
        for bundle in manifests:
            answer = decide_release(
                name=name,
                artifact_sha256=sha256,
                target=target,
                manifest_bundle=bundle,
                evidence=evidence,
                trust=authority.trust,
                log=log,
                judge=judge,
                now=moment,
            )
            if answer.exit_code is ExitCode.OK:
                first = answer
                break
            first = first or answer
    assert first is not None
    return Verified(name, sha256, target, first.checks, first.exit_code, first.error)


def _verify_bundles(
    name: str,
    sha256: Sha256,
    target: str,
    paths: Sequence[Path],
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
) -> Verified:
    found = _read_bundles(paths)
    uri = authority.settings.targets[target].uri
    summaries = [content for kind, content in found if kind == VSA_V1]
    manifests = [content for kind, content in found if kind == MANIFEST_V1]
    if summaries:
        return _verify_summaries(name, sha256, target, uri, summaries, authority, now())
    if not manifests:
        error = EvidenceMissing(
            "there is neither a verification summary nor a run manifest among the bundles",
            where=", ".join(path.name for path in paths),
            fix="hand in the summary of the release, or the manifest with all it lists",
        )
        return Verified(name, sha256, target, (), error.exit_code, error)
    evidence = {sha256_hex(content): content for _, content in found}
    with _find_store(authority) as store:
        return _walk(name, sha256, target, manifests, evidence, store, authority, now, engine)


def _verify_summaries(
    name: str,
    sha256: Sha256,
    target: str,
    uri: str,
    summaries: Sequence[bytes],
    authority: Authority,
    now: datetime,
) -> Verified:
    """Verify each summary handed in; all must hold. One that fails is a reason to refuse, not one to look away."""
    checks: list[Check] = []
    for content in summaries:
        where = f"summary sha256:{sha256_hex(content)[:12]}"
        try:
            summary = verify_summary(
                content, authority.trust, artifact_sha256=sha256, target_uri=uri, now=now, where=where
            )
            _require_known_policy(summary, authority, where)
        except PolicydError as error:
            checks.append(Check(len(checks) + 1, "the verification summary holds", passed=False, detail=error.cause))
            code = ExitCode.REFUSED if isinstance(error, DocumentError) else error.exit_code
            return Verified(name, sha256, target, tuple(checks), code, error)
        signers = ", ".join(sorted(summary.statement.signers))
        detail = f"{summary.summary.resource_uri}, SLSA Build level {summary.build_level}, signed by {signers}"
        checks.append(Check(len(checks) + 1, "the verification summary holds", passed=True, detail=detail))
    return Verified(name, sha256, target, tuple(checks), ExitCode.OK)


def _require_known_policy(summary: VerifiedSummary, authority: Authority, where: str) -> None:
    digest = (summary.summary.policy.digest or {}).get("sha256")
    if digest not in authority.trust.policy_sets:
        raise IdentityNotTrusted(
            f"the summary was made under the policy set sha256:{digest}, which the trust policy does not allow",
            where=where,
            fix="have the artifact released under a policy set that counts",
        )


def digest_file(artifact: Path) -> Sha256:
    """Return the SHA-256 of a file that a user named, of any size; `UsageError` where it can't be read."""
    if not artifact.is_file():
        raise UsageError("there is no such file", where=str(artifact), fix="name the file to verify")
    try:
        with artifact.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the file can't be read: {(error.strerror or str(error)).lower()}",
            where=str(artifact),
            fix="name a file that you may read",
        ) from error


def _choose_target(target: str | None, authority: Authority) -> str:
    known = authority.settings.targets
    if target is None:
        if len(known) != 1:
            raise UsageError(
                "say for which target the artifact is to be verified",
                where=f"targets: {', '.join(sorted(known)) or 'none are configured'}",
                fix="add --target NAME",
            )
        return next(iter(known))
    if target not in known:
        raise UsageError(
            f"there is no target called {target}",
            where=f"targets: {', '.join(sorted(known)) or 'none are configured'}",
            fix="use one of those, or add it to operator settings",
        )
    return target


def _read_bundles(paths: Sequence[Path]) -> list[tuple[str, bytes]]:
    """Return predicate type (as claimed, to sort by) and bytes of each file; "" for one that is no statement."""
    if len(paths) > MAX_BUNDLES:
        raise UsageError(f"more than {MAX_BUNDLES} bundles", where="--bundle", fix="verify against the store")
    contents = ((path, read_input(path, max_bytes=MAX_BUNDLE_BYTES)) for path in paths)
    return [(_claimed_type(content, path), content) for path, content in contents]


def _claimed_type(content: bytes, path: Path) -> str:
    try:
        envelope = read_attestation(content, where=str(path))
    except DocumentError:
        # A plan is evidence too, and no bundle; anything else is nothing a manifest could list.
        document = read_json(content, where=str(path), max_bytes=MAX_BUNDLE_BYTES, max_depth=64)
        if isinstance(document, dict) and document.get("policyd") == "plan/v1":
            return ""
        raise
    statement = read_json(envelope.payload, where=str(path), max_bytes=MAX_BUNDLE_BYTES, max_depth=64)
    claimed = statement.get("predicateType") if isinstance(statement, dict) else None
    return claimed if isinstance(claimed, str) else ""


@contextmanager
def _find_store(authority: Authority) -> Iterator[Store | None]:
    """Open the operator's store where there is one: it holds the record a manifest has to be in."""
    if not (Path(authority.settings.store) / "record" / "record.sqlite").exists():
        yield None
        return
    with open_store(Path(authority.settings.store), Path(authority.settings.state)) as store:
        yield store
