"""What rules see of attestations: each with its verified signers, or with the check that it failed.

Those that a run's manifest lists were verified by the release chain and only have to be described. Others are handed
in, and are verified here, by the trust policy alone. One that fails is a fact too, since leaving it out would let
whoever hands them in choose which are looked at (docs/threats.md, T7 and T27): of such a one nothing is told but its
digest, the type that it claims, and why it does not count.

A predicate is told as a flat list of its fields, by JSON pointer, so that a rule needs no walk and no engine sees a
number that it could spell differently: what is no text is told as JSON.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from policyd.attestation.approvals import verify_approval
from policyd.attestation.bundle import Bundle, read_bundle
from policyd.attestation.dsse import Envelope
from policyd.attestation.formats.reading import MAX_SORTED_BYTES, MAX_UNVERIFIED_PARTS
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.attestation.material import BundleVersion
from policyd.attestation.moments import read_moment
from policyd.attestation.names import PYPI_PUBLISH, require_one_distribution, require_same_name
from policyd.attestation.subjects import Digests
from policyd.attestation.timestamps import find_times
from policyd.attestation.trust import MAX_STATEMENT_DEPTH, VerifiedStatement, verify_bundle
from policyd.errors import (
    DocumentError,
    IdentityNotTrusted,
    PolicydError,
    SignatureInvalid,
    SubjectMismatch,
    ThresholdNotMet,
    VerificationFailed,
)
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.input import AttestationFact, AttestationSigner, AttestationSubject
from policyd.models.plan import Plan
from policyd.models.statement import APPROVAL_V1, PAYLOAD_TYPE, PROVENANCE_V1, Statement
from policyd.models.strict_json import read_json
from policyd.models.trust import Role, TrustPolicy

if TYPE_CHECKING:
    from policyd.attestation.direct import ArtifactFile
    from policyd.attestation.keyless.leaf import Leaf

MAX_FIELDS = 256  # of one attestation; the fields nearest to the root are told first
MAX_FIELDS_TOTAL = 20_000  # of one input: a run of 2,000 stages has 8,000 attestations
MAX_TEXT = 1000  # characters of one field; a longer one is left out, never cut: half a digest is another one
MAX_SUBJECTS = 64
MAX_TYPE = 256
#: The number of the check that fails for one that holds and speaks of something else.
ABOUT_ANOTHER = 12
#: Where predicates say when they were made. Who signed says so, nobody else.
_CLAIMED_TIMES = (
    "/decided_at",
    "/finished_at",
    "/approved_at",
    "/runDetails/metadata/finishedOn",
    "/metadata/buildFinishedOn",
    "/metadata/scanFinishedOn",
    "/timeVerified",
    "/metadata/timestamp",
    "/creationInfo/created",
    "/metadata/completed_at",
)
#: Where predicates name the run that they are of.
_RUNS = (
    "/run_id",
    "/buildDefinition/externalParameters/run_id",
    "/https:~1~1policyd.dev~1attestation~1result/run_id",
    "/https:~1~1policyd.dev~1attestation~1release/run_id",
    "/runDetails/metadata/invocationId",
    "/metadata/buildInvocationId",
)
_PLANS = (
    "/plan_sha256",
    "/buildDefinition/externalParameters/plan_sha256",
    "/https:~1~1policyd.dev~1attestation~1result/plan_sha256",
)
#: Where predicates name one commit. Provenance v1 has it among what was resolved: `_resolved_commit` looks there.
_COMMITS = ("/commit", "/invocation/configSource/digest/sha1", "/invocation/parameters/commit")


@dataclass(slots=True)
class Describer:
    """Makes facts of the attestations of one artifact, within what one input may hold."""

    trust: TrustPolicy
    artifact_sha256: Sha256
    now: datetime
    plan: Plan | None = None
    plan_sha256: Sha256 = ""
    file: ArtifactFile | None = None  # where the artifact is at hand: all its digests count, and its name
    _left: dict[bool, int] = field(default_factory=lambda: {True: MAX_FIELDS_TOTAL, False: MAX_FIELDS_TOTAL})

    def describe(self, sha256: Sha256, content: bytes, verified: VerifiedStatement) -> AttestationFact:
        """Return the fact of an attestation that a run's signed manifest lists and the release chain verified."""
        return self._tell(sha256, content, [verified], listed=True, origin="run")

    def judge(self, content: bytes) -> AttestationFact:
        """Return what becomes of an attestation that was handed in: verified by the trust policy, or why not.

        Raises `SettingsError` for a trust policy that can't be used; what is wrong with the attestation is a fact.
        """
        sha256 = sha256_hex(content)
        where = f"attestation sha256:{sha256}"
        claimed = ""
        try:
            # 1. A bundle or envelope, strictly read.
            number = 1
            bundle = read_bundle(content, where=where, oldest=BundleVersion.V0_1)

            # 2. An attestation: the payload type is compared before anything looks at the payload.
            number = 2
            envelope = _require_in_toto(bundle, where)
            claimed = _claimed_type(envelope)

            # 3 to 11. Signed by somebody of the trust policy, who may sign this type: a statement in what was signed.
            number = 4
            statements = self._verify(bundle, envelope, content, where)

            # 12. It speaks of this artifact.
            number = ABOUT_ANOTHER
            self._require_subject(statements[0], where)
        except (DocumentError, VerificationFailed) as error:
            return AttestationFact(
                sha256=sha256,
                predicate_type=claimed,
                verified=False,
                check=number if number != 4 else _check_of(error),
                reason=error.cause,
                origin="given",
            )
        return self._tell(sha256, content, statements, listed=False, origin="given")

    @property
    def _digests(self) -> Digests:
        return {"sha256": bytes.fromhex(self.artifact_sha256)} if self.file is None else self.file.digests

    def _require_subject(self, verified: VerifiedStatement, where: str) -> None:
        """Raise `SubjectMismatch` unless a statement is of the artifact: by digest, and by a package's name."""
        is_pypis = verified.statement.predicate_type == PYPI_PUBLISH
        if is_pypis:
            require_one_distribution(verified.subjects, where=where)
        matched = [subject for subject in verified.subjects if subject.is_of(self._digests)]
        if not matched:
            raise SubjectMismatch(
                f"none of its subjects is sha256:{self.artifact_sha256}",
                where=where,
                fix="hand in the attestations of this artifact",
            )
        if self.file is not None:
            name = self.file.name if self.file.is_named else None
            require_same_name(matched, name, self.file.package, strict=is_pypis, where=where)

    def _verify(self, bundle: Bundle, envelope: Envelope, content: bytes, where: str) -> list[VerifiedStatement]:
        """Return the statement as each role verified it whose key or identity signed; there is at least one."""
        verified: list[VerifiedStatement] = []
        errors: dict[Role, PolicydError] = {}
        for role in self._signing_roles(bundle, envelope):
            try:
                one = verify_bundle(content, self.trust, role=role, now=self.now, where=where)
                if one.statement.predicate_type == APPROVAL_V1:
                    verify_approval(one, where=where)
                verified.append(one)
            except VerificationFailed as error:
                errors[role] = error
        if verified:
            return verified
        if errors:
            # What a role says that signs such things tells more than what any other says.
            claimed = _claimed_type(envelope)
            meant = [role for role in errors if claimed in self.trust.roles[role].predicate_types]
            raise errors[next(iter([*meant, *errors]))]
        raise SignatureInvalid(
            "nobody whom the trust policy lists signed it",
            where=where,
            fix="add its signer to a role of the trust policy; or find out who changed it",
        )

    def _signing_roles(self, bundle: Bundle, envelope: Envelope) -> list[Role]:
        """Return the roles that can have signed: whose key did, or with a certificate all that list an identity."""
        if bundle.material.certificates:
            return [role for role, policy in self.trust.roles.items() if policy.identities]
        message = envelope.signed_bytes()
        return [
            role
            for role, policy in self.trust.roles.items()
            if any(
                is_signed_by(
                    read_public_key(listed.public_key, where="trust policy"),
                    signature.value,
                    message,
                    or_prehashed=True,
                )
                for listed in policy.keys
                for signature in envelope.signatures
            )
        ]

    def _tell(
        self,
        sha256: Sha256,
        content: bytes,
        verified: Sequence[VerifiedStatement],
        *,
        listed: bool,
        origin: Literal["run", "given"],
    ) -> AttestationFact:
        statement = verified[0].statement
        # What speaks of the artifact has room of its own: however much else there is, its fields are told.
        about = verified[0].is_of(self._digests)
        fields, complete = flatten(statement.predicate, at_most=min(MAX_FIELDS, self._left[about]))
        self._left[about] -= len(fields)
        certificate = _read_leaf(content).facts if verified[0].times else {}
        moment, source = self._time(content, verified[0], fields)
        age = None if moment is None else int((self.now - moment).total_seconds())
        return AttestationFact(
            sha256=sha256,
            predicate_type=statement.predicate_type,
            verified=True,
            listed=listed,
            origin=origin,
            about_artifact=about,
            subjects=[
                AttestationSubject(
                    name=subject.name or subject.uri or "", sha256=(subject.digest or {}).get("sha256", "")
                )
                for subject in statement.subject[:MAX_SUBJECTS]
            ],
            signers=[signer for one in verified for signer in self._signers(one, content)],
            fields=fields,
            fields_complete=complete,
            run_id=_first(fields, _RUNS) or certificate.get("run_invocation_uri", ""),
            commit=self._commit(statement, fields) or certificate.get("source_repository_digest", ""),
            time="" if moment is None else rfc3339(moment),
            time_source=source,
            # A time that lies ahead is no age: what asks for one does not get it.
            age_seconds=age if age is None or age >= 0 else None,
        )

    def _signers(self, verified: VerifiedStatement, content: bytes) -> list[AttestationSigner]:
        role = verified.role
        if role is None:
            return []
        persons = {
            read_public_key(listed.public_key, where="trust policy").sha256: listed.person
            for listed in self.trust.roles[role].keys
        }
        signers = [
            AttestationSigner(person=persons[key], role=role.value, kind="key", key_sha256=key)
            for key in sorted(verified.key_sha256s)
            if key in persons
        ]
        by_key = {signer.person for signer in signers}
        if verified.signers <= by_key:
            return signers
        leaf = _read_leaf(content)
        return signers + [
            AttestationSigner(
                person=person,
                role=role.value,
                kind="certificate",
                key_sha256=leaf.key.sha256,
                identity=leaf.identity,
                issuer=leaf.issuer,
            )
            for person in sorted(verified.signers - by_key)
        ]

    def _time(
        self, content: bytes, verified: VerifiedStatement, fields: Mapping[str, str]
    ) -> tuple[datetime | None, Literal["timestamp", "log", "claimed", "none"]]:
        """Return when it was signed, by the best word there is: an authority's, else the signer's own."""
        if verified.times:
            return min(verified.times), "timestamp" if b"rfc3161Timestamps" in content else "log"
        # Most have none, and reading all of a run again takes a while.
        if b"rfc3161Timestamps" in content:
            bundle = read_bundle(content, where="attestation", oldest=BundleVersion.V0_1)
            if isinstance(bundle.content, Envelope) and len(bundle.content.signatures) == 1:
                times = find_times(
                    bundle.timestamps,
                    bundle.content.signatures[0].value,
                    self.trust.timestamp_authorities,
                    now=self.now,
                )
                if times.verified:
                    return min(time.moment for time in times.verified), "timestamp"
        for pointer in _CLAIMED_TIMES:
            if pointer in fields:
                try:
                    return read_moment(fields[pointer], where="attestation"), "claimed"
                except VerificationFailed:
                    return None, "none"
        return None, "none"

    def _commit(self, statement: Statement, fields: Mapping[str, str]) -> str:
        """Return the one commit that an attestation names: itself, or through the plan of its run; "" for none."""
        if self.plan is not None and _first(fields, _PLANS) == self.plan_sha256:
            return self.plan.source.commit or ""
        return _first(fields, _COMMITS) or _resolved_commit(statement)


def flatten(predicate: Mapping[str, object], *, at_most: int) -> tuple[dict[str, str], bool]:
    """Return the fields of a predicate by JSON pointer, nearest to the root first, and whether these are all.

    Texts are told as they are, other values as JSON, empty lists and objects as `[]` and `{}`.

    Source: RFC 6901 for pointers.
    """
    fields: dict[str, str] = {}
    complete = True
    waiting: deque[tuple[str, object]] = deque([("", predicate)])
    while waiting:
        pointer, value = waiting.popleft()
        children: list[tuple[str, object]] = []
        if isinstance(value, dict) and value:
            children = [(f"{pointer}/{_escape(str(name))}", part) for name, part in value.items()]
        elif isinstance(value, list) and value:
            children = [(f"{pointer}/{number}", part) for number, part in enumerate(value)]
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if len(text) > MAX_TEXT or len(pointer) > MAX_TEXT:
                complete = False
            elif len(fields) >= at_most:
                return fields, False
            else:
                fields[pointer] = text
        # An SBOM has a million of them: more than can be told are not lined up.
        room = at_most - len(fields) + 1
        if len(waiting) + len(children) > 2 * MAX_FIELDS_TOTAL:
            complete, children = False, children[:room]
        waiting.extend(children)
    return fields, complete


def _require_in_toto(bundle: Bundle, where: str) -> Envelope:
    if not isinstance(bundle.content, Envelope):
        raise VerificationFailed(
            "it is the signature of a file, not an attestation", where=where, fix="hand in attestations"
        )
    if bundle.content.payload_type != PAYLOAD_TYPE:
        raise VerificationFailed(
            f"the payload type is {bundle.content.payload_type}, not {PAYLOAD_TYPE}",
            where=where,
            fix="hand in attestations of in-toto statements",
        )
    return bundle.content


def _claimed_type(envelope: Envelope) -> str:
    """Return the predicate type that an envelope claims, to name what failed by; "" where it can't be read."""
    try:
        statement = read_json(
            envelope.payload,
            where="",
            max_bytes=MAX_SORTED_BYTES,
            max_depth=MAX_STATEMENT_DEPTH,
            max_parts=MAX_UNVERIFIED_PARTS,
        )
    except PolicydError:
        return ""
    claimed = statement.get("predicateType") if isinstance(statement, dict) else None
    return claimed if isinstance(claimed, str) and len(claimed) <= MAX_TYPE else ""


def _read_leaf(content: bytes) -> Leaf:
    """Return the certificate of a bundle that was verified by it."""
    from policyd.attestation.keyless.leaf import read_leaf

    bundle = read_bundle(content, where="attestation", oldest=BundleVersion.V0_1)
    return read_leaf(bundle.material.certificates[0], where="attestation")


def _check_of(error: PolicydError) -> int:
    """Return the number of the check (docs/verifying.md) that a refusal by the trust policy stands for."""
    if isinstance(error, DocumentError):
        return 1
    if isinstance(error, VerificationFailed) and error.check is not None:
        return error.check
    if isinstance(error, SignatureInvalid):
        return 4
    if isinstance(error, IdentityNotTrusted | ThresholdNotMet):
        return 10
    return 11


def _first(fields: Mapping[str, str], pointers: Sequence[str]) -> str:
    return next((fields[pointer] for pointer in pointers if fields.get(pointer)), "")


def _resolved_commit(statement: Statement) -> str:
    """Return the commit that provenance v1 was built from; "" where it names none, or several."""
    if statement.predicate_type != PROVENANCE_V1:
        return ""
    definition = statement.predicate.get("buildDefinition")
    resolved = definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    digests = [item.get("digest") for item in resolved if isinstance(item, dict)] if isinstance(resolved, list) else []
    commits = {digest.get("gitCommit") for digest in digests if isinstance(digest, dict)} - {None}
    commit = commits.pop() if len(commits) == 1 else ""
    return commit if isinstance(commit, str) else ""


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
