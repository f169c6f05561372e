"""The verification summary: the release decision in the form that anyone can verify offline.

Source: SLSA v1.2, Verification Summary Attestation (predicate https://slsa.dev/verification_summary/v1), "Fields" and
"How to verify".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from policyd import __version__
from policyd.attestation.moments import require_not_behind
from policyd.attestation.release_chain import ReleaseEvidence
from policyd.attestation.statements import Named, render_statement
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.errors import IdentityNotTrusted, SubjectMismatch, VerificationFailed
from policyd.models.base import Model, RunId, Sha256
from policyd.models.decision import Decision, Gate
from policyd.models.plan import PolicySetRef
from policyd.models.statement import VSA_V1, ResourceDescriptor
from policyd.models.trust import Role, TrustPolicy

SLSA_VERSION = "1.2"
#: Where a policy set is named in a summary; docs/attestations.md.
POLICY_URI = "https://policyd.dev/policy-set/"
#: The extension field of a summary that binds it to its run; docs/attestations.md.
RELEASE_EXTENSION = "https://policyd.dev/attestation/release"
_BUILD_LEVEL = re.compile(r"SLSA_BUILD_LEVEL_([0-3])")


class ReleaseBinding(Model):
    """The run behind a summary, and the record's checkpoint: kept by every consumer, it shows a record put back."""

    target: str
    run_id: RunId
    plan_sha256: Sha256
    manifest_sha256: Sha256
    checkpoint: str


class _Open(BaseModel):
    """Parts other people define: what we do not know is kept (python-tuf ADR 8)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", populate_by_name=True)


class Verifier(_Open):
    """Who verified."""

    id: str


class Summary(_Open):
    """A VSA predicate."""

    verifier: Verifier
    resource_uri: str = Field(alias="resourceUri")
    policy: ResourceDescriptor
    verification_result: Literal["PASSED", "FAILED"] = Field(alias="verificationResult")
    verified_levels: tuple[str, ...] = Field(alias="verifiedLevels")
    input_attestations: tuple[ResourceDescriptor, ...] = Field(alias="inputAttestations", default=())
    time_verified: str | None = Field(alias="timeVerified", default=None)
    release: ReleaseBinding | None = Field(alias=RELEASE_EXTENSION, default=None)


@dataclass(frozen=True, slots=True)
class VerifiedSummary:
    """A summary that lets the artifact through. Built by `verify_summary` alone."""

    statement: VerifiedStatement
    summary: Summary
    build_level: int


class Summarised(Model):
    """What a summary says of a release, without the evidence behind it: made of verified evidence by `summarise`."""

    artifact: str
    artifact_sha256: Sha256
    target: str
    run_id: RunId
    plan_sha256: Sha256
    manifest_sha256: Sha256
    policy_set: PolicySetRef
    input_sha256s: tuple[Sha256, ...]  # every bundle it rests on, the manifest first
    max_level: int


def summarise(release: ReleaseEvidence) -> Summarised:
    """Return what a summary says of a release that was verified."""
    return Summarised(
        artifact=release.artifact.name,
        artifact_sha256=release.artifact.sha256,
        target=release.target,
        run_id=release.manifest.run_id,
        plan_sha256=release.plan_sha256,
        manifest_sha256=release.manifest_sha256,
        policy_set=release.plan.policy_set,
        input_sha256s=release.input_sha256s,
        max_level=release.max_level,
    )


def resource_uri(target_uri: str, artifact_name: str) -> str:
    """Return where the artifact is expected: the target's URI with the artifact's name as its last segment."""
    return f"{target_uri.rstrip('/')}/{quote(artifact_name, safe='')}"


def summary_statement(
    release: Summarised,
    decision: Decision,
    *,
    decision_sha256: Sha256,
    verifier_id: str,
    target_uri: str,
    checkpoint: str,
    time_verified: str,
) -> bytes:
    """Return the VSA for the release decision: PASSED if it allows, else FAILED.

    `decision_sha256` names the decision's bundle, `checkpoint` is the record's as of now. Raises `SubjectMismatch` for
    a decision about another artifact, run or target.
    """
    about = (
        decision.gate,
        decision.artifact_sha256,
        decision.plan_sha256,
        decision.run_id,
        decision.target,
        decision.policy_set,
    )
    if about != (
        Gate.RELEASE,
        release.artifact_sha256,
        release.plan_sha256,
        release.run_id,
        release.target,
        release.policy_set,
    ):
        raise SubjectMismatch(
            "the decision is not the release decision on this artifact of this run for this target",
            where=f"decision sha256:{decision_sha256}",
            fix="decide on this artifact and target first",
        )
    inputs = [*release.input_sha256s, decision_sha256]
    binding = ReleaseBinding(
        target=release.target,
        run_id=release.run_id,
        plan_sha256=release.plan_sha256,
        manifest_sha256=release.manifest_sha256,
        checkpoint=checkpoint,
    )
    predicate = {
        "verifier": {"id": verifier_id, "version": {"policyd": __version__}},
        "timeVerified": time_verified,
        "resourceUri": resource_uri(target_uri, release.artifact),
        "policy": {
            "uri": POLICY_URI + quote(decision.policy_set.name, safe=""),
            "digest": {"sha256": decision.policy_set.sha256},
        },
        "inputAttestations": [{"digest": {"sha256": sha256}} for sha256 in inputs],
        "verificationResult": "PASSED" if decision.allowed else "FAILED",
        "verifiedLevels": [f"SLSA_BUILD_LEVEL_{release.max_level}"] if decision.allowed else ["FAILED"],
        "slsaVersion": SLSA_VERSION,
        RELEASE_EXTENSION: binding.model_dump(mode="json"),
    }
    return render_statement([Named(release.artifact, release.artifact_sha256)], VSA_V1, predicate)


def verify_summary(
    content: bytes,
    trust: TrustPolicy,
    *,
    artifact_sha256: Sha256,
    target_uri: str,
    now: datetime,
    where: str,
    minimum_level: int = 0,
) -> VerifiedSummary:
    """Return the summary in `content` if it lets this artifact go to `target_uri`, else raise.

    Raises `ClockBehind` (undecided) for one made after `now`.

    Source: SLSA v1.2, Verification Summary Attestation, "How to verify", steps 1 to 7; the eighth is ours.
    """
    # 1. Signed by a verifier of the trust policy.
    verified = verify_bundle(content, trust, role=Role.VERIFIER, now=now, where=where)

    # 2. About this artifact. One subject: two names for one summary would be two expected places.
    subjects = verified.statement.subject
    if len(subjects) != 1 or verified.subject_sha256s() != {artifact_sha256}:
        raise _mismatch(f"the summary is not about sha256:{artifact_sha256}", where)

    # 3. A verification summary, of the version we know.
    if verified.statement.predicate_type != VSA_V1:
        raise _mismatch(f"the statement is {verified.statement.predicate_type}, not {VSA_V1}", where)
    summary = verified.read_predicate(Summary, where=where)

    # 4. The verifier's id belongs to the key that signed.
    pairs = {(entry.id, entry.key_sha256) for entry in trust.verifiers}
    if not any((summary.verifier.id, key) in pairs for key in verified.key_sha256s):
        raise IdentityNotTrusted(
            f"the trust policy does not list the verifier {summary.verifier.id} with the key that signed",
            where=where,
            fix="add id and key to `verifiers` in the trust policy",
        )

    # 5. For the place asked about.
    expected = resource_uri(target_uri, subjects[0].name or "")
    if not subjects[0].name or summary.resource_uri != expected:
        raise _mismatch(f"the summary is for {summary.resource_uri}, not {expected}", where)

    # 6. It passed.
    if summary.verification_result != "PASSED":
        raise VerificationFailed(
            f"the verification result is {summary.verification_result}",
            where=where,
            fix="the release was refused; see the decision for its reasons",
        )

    # 7. At the level asked for.
    levels = [int(match[1]) for level in summary.verified_levels if (match := _BUILD_LEVEL.fullmatch(level))]
    if len(levels) != 1 or levels[0] < minimum_level:
        raise VerificationFailed(
            f"the verified levels are {', '.join(summary.verified_levels) or 'none'}, not SLSA Build level "
            f"{minimum_level} or higher",
            where=where,
            fix="release with a builder that the trust policy lists with a higher level",
        )

    # 8. Not from the future: with the clock set back, a verifier's key that has expired since would count again.
    require_not_behind(now, [("the summary", summary.time_verified)], where=where)
    return VerifiedSummary(statement=verified, summary=summary, build_level=levels[0])


def _mismatch(cause: str, where: str) -> SubjectMismatch:
    return SubjectMismatch(cause, where=where, fix="use the summary that was made for this artifact and target")
