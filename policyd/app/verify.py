"""`policyd verify`: may this artifact leave for this target? From evidence alone, offline, without project settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from policyd.adapters.artifacts import read_artifact
from policyd.adapters.output import read_input
from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.stores.evidence import EvidenceStore, digest_names
from policyd.adapters.stores.store import Store, open_store
from policyd.app.check import EXIT_OF_VERDICT
from policyd.app.evidence import MAX_BUNDLE_BYTES, StoredEvidence
from policyd.app.evidence_store import find_evidence
from policyd.app.judging import open_judge
from policyd.app.record import log_keys, require_clock
from policyd.app.recorded import RecordedManifests, find_recorded_manifests
from policyd.app.release import Released, check_attestation, decide_foreign, decide_release
from policyd.app.waivers import load_operator_waivers
from policyd.attestation.attested import ABOUT_ANOTHER, Describer
from policyd.attestation.bundle import require_attestation
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.dsse import Envelope
from policyd.attestation.formats.reading import (
    MAX_SORTED_BYTES,
    MAX_UNVERIFIED_PARTS,
    Piece,
    read_evidence,
    split_lines,
)
from policyd.attestation.formats.rendering import render_evidence
from policyd.attestation.keys import DigestName
from policyd.attestation.material import Material
from policyd.attestation.policy_sets import require_listed
from policyd.attestation.release_chain import Check
from policyd.attestation.summary import VerifiedSummary, verify_summary
from policyd.attestation.waivers import render_waiver
from policyd.errors import (
    DocumentError,
    EvidenceMissing,
    ExitCode,
    IdentityNotTrusted,
    InputTooLarge,
    PolicydError,
    SubjectMismatch,
    UsageError,
    VerificationFailed,
)
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.settings import ProjectSettings
from policyd.models.statement import MANIFEST_V1, VSA_V1, WAIVER_V1
from policyd.models.strict_json import read_json

MAX_BUNDLES = 10_000
_DIGESTS: tuple[DigestName, ...] = ("sha256", "sha384", "sha512")


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
    wanted = choose_target(target, authority)
    file = _read_artifact(
        artifact, whole=bool(bundles) or EvidenceStore.find(Path(authority.settings.store)) is not None
    )
    return _verify(file, wanted, bundles, authority, now, engine)


def verify_digest(
    name: str,
    sha256: Sha256,
    *,
    settings: Path | None,
    target: str | None,
    bundles: Sequence[Path],
    now: Callable[[], datetime],
    engine: str | None = None,
    are_found: bool = False,
) -> Verified:
    """Verify what has this SHA-256 and is called `name`, as `verify_artifact` does.

    With `are_found` nobody handed `bundles` in: they lay where others may put them too, and one that fails beside a
    summary that holds is listed and takes nothing away.
    """
    authority = require_authority(settings, repository=None)
    file = ArtifactFile(name, {"sha256": bytes.fromhex(sha256)}, is_named=False)
    return _verify(file, choose_target(target, authority), bundles, authority, now, engine, are_found=are_found)


def _verify(
    file: ArtifactFile,
    target: str,
    bundles: Sequence[Path],
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
    *,
    are_found: bool = False,
) -> Verified:
    if bundles:
        return _verify_bundles(file, target, bundles, authority, now, engine, are_found=are_found)
    name, sha256 = file.name, _sha256_of(file)
    # What was added to the store for this artifact is judged with it: it can only add reasons to deny.
    folder = Path(authority.settings.store)
    given = find_evidence(digest_names(file.digests), store=folder)
    with _find_store(authority) if given else open_store(folder, Path(authority.settings.state)) as store:
        try:
            manifests = () if store is None else find_recorded_manifests(store, sha256)
        except EvidenceMissing as missing:
            return Verified(name, sha256, target, (), missing.exit_code, missing)
        if not manifests and given and authority.settings.targets[target].foreign is not None:
            return _judge_foreign(file, target, given, store, authority, now, engine)
        if not manifests or store is None:
            error = SubjectMismatch(
                f"no run in the store made sha256:{sha256}",
                where=name,
                fix="the file was changed after its run, or was made elsewhere: hand in its evidence with --bundle",
            )
            return Verified(name, sha256, target, (), ExitCode.REFUSED, error)
        return _walk(file, target, manifests, StoredEvidence(store), store, authority, now, engine, given)


def _walk(
    file: ArtifactFile,
    target: str,
    manifests: Sequence[bytes],
    evidence: Mapping[Sha256, bytes],
    store: Store | None,
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
    given: Sequence[bytes] = (),
) -> Verified:
    """Walk the chain from each manifest, newest first, until one allows; else say how the newest ended."""
    name, sha256 = file.name, _sha256_of(file)
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
                given=given,
                file=file,
            )
            if answer.exit_code is ExitCode.OK:
                first = answer
                break
            first = first or answer
    assert first is not None
    return Verified(name, sha256, target, first.checks, first.exit_code, first.error)


def _verify_bundles(
    file: ArtifactFile,
    target: str,
    paths: Sequence[Path],
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
    *,
    are_found: bool,
) -> Verified:
    name, sha256, found = file.name, _sha256_of(file), read_bundles(paths)
    uri = authority.settings.targets[target].uri
    summaries = [one for kind, one in found if kind == VSA_V1]
    manifests = [one for kind, one in found if kind == MANIFEST_V1]
    if summaries:
        others = [one for kind, one in found if kind not in (None, VSA_V1)]
        return _verify_summaries(file, target, uri, summaries, others, authority, now(), are_found=are_found)
    given = [one for kind, one in found if kind is not None]
    with _find_store(authority) as store:
        if manifests:
            evidence = {sha256_hex(content): content for _, content in found}
            return _walk(file, target, manifests, evidence, store, authority, now, engine, given)
        # What a run here made is judged by its manifest: nobody gets rid of that by not handing it in.
        try:
            made_here = store is not None and bool(find_recorded_manifests(store, sha256))
        except EvidenceMissing as missing:
            return Verified(name, sha256, target, (), missing.exit_code, missing)
        if made_here or authority.settings.targets[target].foreign is None or not given:
            error = EvidenceMissing(
                "there is neither a verification summary nor a run manifest among the bundles",
                where=", ".join(path.name for path in paths),
                fix="a run in the store made it: hand in its manifest with all it lists, or no bundle"
                if made_here
                else "hand in the summary of the release, or the manifest with all it lists; what no run made is "
                f"judged where operator settings name a collection in targets.{target}.foreign",
            )
            return Verified(name, sha256, target, (), error.exit_code, error)
        return _judge_foreign(file, target, given, store, authority, now, engine)


def _judge_foreign(
    file: ArtifactFile,
    target: str,
    given: Sequence[bytes],
    store: Store | None,
    authority: Authority,
    now: Callable[[], datetime],
    engine: str | None,
) -> Verified:
    """Ask the rules of the target's collection for foreign artifacts about one, with the attestations handed in."""
    collection = authority.settings.targets[target].foreign
    settings = authority.settings.model_copy(update={"collection": collection})
    waivers = load_operator_waivers(authority)
    with open_judge(
        replace(authority, settings=settings), ProjectSettings(policyd="project/v1"), engine=engine, waivers=waivers
    ) as judge:
        judge = judge.for_foreign()
        require_listed(judge.layer_refs, authority.trust, where=authority.settings.trust_policy.path)
        try:
            moment = require_clock(store, log_keys(authority.trust), now) if store else now()
        except PolicydError as error:
            return Verified(file.name, _sha256_of(file), target, (), error.exit_code, error)
        checks, decision = decide_foreign(
            file=file,
            target=target,
            given=given,
            trust=authority.trust,
            judge=judge,
            now=moment,
        )
    return Verified(file.name, _sha256_of(file), target, checks, EXIT_OF_VERDICT[decision.verdict])


def _verify_summaries(
    file: ArtifactFile,
    target: str,
    uri: str,
    summaries: Sequence[bytes],
    others: Sequence[bytes],
    authority: Authority,
    now: datetime,
    *,
    are_found: bool,
) -> Verified:
    """Verify each summary handed in, and all that came with them: one that fails is a reason to refuse."""
    name, sha256 = file.name, _sha256_of(file)
    checks: list[Check] = []
    rests_on: set[str | None] = set()
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
        rests_on |= {(one.digest or {}).get("sha256") for one in summary.summary.input_attestations}

    # What a summary rests on, its verifier has verified, by keys that may be nobody's here.
    given = {sha256_hex(content): content for content in others}
    describer = Describer(authority.trust, sha256, now, file=file)
    facts = [describer.judge(content) for digest, content in given.items() if digest not in rests_on]
    for fact in facts:
        check = check_attestation(len(checks) + 1, fact)
        if not check.passed and (are_found or fact.check == ABOUT_ANOTHER):
            # Where anybody may put bundles, anybody could else refuse a release; and what holds of another is no fault.
            check = replace(check, name=f"attestation {fact.sha256[:12]} was looked at", passed=True)
        checks.append(check)
    refused = [check for check in checks if not check.passed]
    if not refused:
        return Verified(name, sha256, target, tuple(checks), ExitCode.OK)
    failure = VerificationFailed(
        f"an attestation that was handed in with the summary does not hold: {refused[0].detail}",
        where=name,
        fix="get it again from its signer, or add the signer to the trust policy; the summary alone is enough",
    )
    return Verified(name, sha256, target, tuple(checks), failure.exit_code, failure)


def _read_artifact(artifact: Path, *, whole: bool) -> ArtifactFile:
    """Return the file, read once: its SHA-256, or the `whole` of what statements may name it by."""
    if not artifact.is_file():
        raise _no_such_file(artifact)
    digests: tuple[DigestName, ...] = _DIGESTS if whole else ("sha256",)
    return read_artifact(str(artifact.absolute()), digests, with_package=whole).files[0]


def _sha256_of(file: ArtifactFile) -> Sha256:
    return file.digests["sha256"].hex()


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
        raise _no_such_file(artifact)
    try:
        with artifact.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the file can't be read: {(error.strerror or str(error)).lower()}",
            where=str(artifact),
            fix="name a file that you may read",
        ) from error


def _no_such_file(artifact: Path) -> UsageError:
    return UsageError("there is no such file", where=str(artifact), fix="name the file to verify")


def choose_target(target: str | None, authority: Authority) -> str:
    """Return the target asked for, or the only one there is; else `UsageError`."""
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


def read_bundles(paths: Sequence[Path]) -> list[tuple[str | None, bytes]]:
    """Return predicate type (as claimed, to sort by) and bytes of each piece of evidence; None for a plan."""
    if len(paths) > MAX_BUNDLES:
        raise UsageError(f"more than {MAX_BUNDLES} bundles", where="--bundle", fix="verify against the store")
    return [found for path in paths for found in _read_file(path)]


def _read_file(path: Path) -> list[tuple[str | None, bytes]]:
    content = read_input(path, max_bytes=MAX_BUNDLE_BYTES)
    lines = split_lines(content, str(path))
    if not lines:
        return _read_document(content, str(path))
    # policyd ends a bundle with a line feed, and a manifest names its bytes.
    return [one for number, line in lines for one in _read_document(line, f"{path}, line {number}", end=b"\n")]


def _read_document(content: bytes, where: str, *, end: bytes = b"") -> list[tuple[str | None, bytes]]:
    # A plan is evidence too, and no bundle; anything else is nothing a manifest could list. The text is a hint, so that
    # nothing is parsed twice: plans are canonical JSON.
    if b'"policyd":"plan/v1"' in content:
        document = _read_unverified(content, where)
        if isinstance(document, dict) and document.get("policyd") == "plan/v1":
            return [(None, content)]
    pieces = read_evidence(content, where=where)
    # One on its own stays as it was received: a manifest names its bytes. An envelope that carries its signer's
    # certificate is put into the form that has a place for it.
    first = pieces[0].bundle
    is_bare = first.version is None and first.material == Material()
    if len(pieces) == 1 and not pieces[0].listed and not first.form and (first.version is not None or is_bare):
        kind = _claimed_type(pieces[0])
        if end and is_bare and kind == WAIVER_V1 and isinstance(first.content, Envelope):
            return [(kind, render_waiver(first.content))]  # which is a file of several lines
        return [(kind, content + end)]
    return [(_claimed_type(piece), render_evidence(piece.bundle)) for piece in pieces]


def _claimed_type(piece: Piece) -> str:
    payload = require_attestation(piece.bundle, where=piece.where).payload
    try:
        statement = _read_unverified(payload, piece.where, max_bytes=MAX_SORTED_BYTES)
    except InputTooLarge:
        return ""  # not looked at before its signature is; a manifest that lists it is enough
    claimed = statement.get("predicateType") if isinstance(statement, dict) else None
    return claimed if isinstance(claimed, str) else ""


def _read_unverified(content: bytes, where: str, *, max_bytes: int = MAX_BUNDLE_BYTES) -> object:
    return read_json(content, where=where, max_bytes=max_bytes, max_depth=64, max_parts=MAX_UNVERIFIED_PARTS)


@contextmanager
def _find_store(authority: Authority) -> Iterator[Store | None]:
    """Open the operator's store where there is one: it holds the record a manifest has to be in."""
    if not (Path(authority.settings.store) / "record" / "record.sqlite").exists():
        yield None
        return
    with open_store(Path(authority.settings.store), Path(authority.settings.state)) as store:
        yield store
