"""A whole run made in memory, as the runner makes it: real keys, real statements, no disk.

Four stages: `build` makes a wheel, `test` reports on it, `package` (target `local`) makes an archive of it, `deploy`
(target `production`) takes the wheel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.release_chain import Check, ReleaseEvidence, verify_release
from policyd.attestation.stage import attest_stage
from policyd.attestation.statements import decision_statement, manifest_statement, sign_statement
from policyd.attestation.waivers import WaiverTerms
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, EngineRef, Gate, JudgedLayer, Terms, Verdict
from policyd.models.manifest import Manifest, Product, ResultSummary, StageRecord, StageState
from policyd.models.pipeline import Output, StageKind
from policyd.models.plan import LayerRef, Plan, PlannedStage, PolicySetRef, Requester, SourceTree
from policyd.models.statement import (
    CYCLONEDX,
    DECISION_V1,
    LINK_V03,
    MANIFEST_V1,
    PROVENANCE_V1,
    SPDX,
    TEST_RESULT_V01,
    VSA_V1,
    WAIVER_REVOCATION_V1,
    WAIVER_V1,
)
from policyd.models.trust import Role, RolePolicy, TrustedBuilder, TrustedKey, TrustedVerifier, TrustPolicy

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
RUN_ID = "0123456789abcdef0123456789abcdef"
OTHER_RUN_ID = "f" * 32
BUILDER_ID = "https://builder.example/local/bwrap"
VERIFIER_ID = "https://verifier.example"
CHECKPOINT = "example.com/log\n7\nroot\n\n— example.com/log signature\n"
PREDICATE_TYPES = {
    Role.DECIDER: (DECISION_V1,),
    Role.BUILDER: (PROVENANCE_V1, LINK_V03, TEST_RESULT_V01, CYCLONEDX, SPDX, MANIFEST_V1),
    Role.VERIFIER: (VSA_V1,),
    Role.APPROVER: ("https://example.com/approval/v1",),
    Role.REQUESTER: (WAIVER_V1,),
    Role.WAIVER_APPROVER: (WAIVER_V1, WAIVER_REVOCATION_V1),
}


def sha256(text: str) -> Sha256:
    """Return the digest that stands for something called `text`."""
    return hashlib.sha256(text.encode()).hexdigest()


POLICY_SET = PolicySetRef(name="library", sha256=sha256("policy set"))
ORGANISATION = LayerRef(layer="organisation", name="library", sha256=POLICY_SET.sha256, prefix="policyd")
TERMS = Terms(collection="baseline")
TEAM = LayerRef(layer="team", name="payments", sha256=sha256("team's policy set"), prefix="team_payments")
PROJECT = LayerRef(layer="project", name="ci/policies", sha256=sha256("project's policy set"), prefix="project")
ENGINE = EngineRef(name="regorus", version="0.13.0")


def judged(layer: LayerRef, *, verdict: Verdict = Verdict.ALLOW, **changes: object) -> JudgedLayer:
    """Return what a layer said, or that with fields changed."""
    return JudgedLayer(**{**layer.model_dump(), **changes}, engine=ENGINE, verdict=verdict)


@cache
def key(name: str) -> KeyFileSigner:
    """Return the ECDSA P-256 key called `name`: the same one whenever it is asked for in this process."""
    del name
    return KeyFileSigner(ec.generate_private_key(ec.SECP256R1()))


@cache
def ed25519_key(name: str) -> KeyFileSigner:
    """Return the Ed25519 key called `name`."""
    del name
    return KeyFileSigner(ed25519.Ed25519PrivateKey.generate())


def trusted(signer: KeyFileSigner, person: str, **window: datetime) -> TrustedKey:
    """Return the trust policy's entry for a key."""
    return TrustedKey(public_key=signer.public_key_pem, person=person, **window)


def make_trust(**changes: object) -> TrustPolicy:
    """Return a trust policy with one key and person a role, or that with fields changed."""
    trust = TrustPolicy(
        policyd="trust/v1",
        name="example",
        version=1,
        roles={
            role: RolePolicy(keys=(trusted(key(role.value), f"{role.value}@example.com"),), predicate_types=types)
            for role, types in PREDICATE_TYPES.items()
        },
        builders=(TrustedBuilder(id=BUILDER_ID, key_sha256=key("builder").key_sha256, max_level=2),),
        verifiers=(TrustedVerifier(id=VERIFIER_ID, key_sha256=key("verifier").key_sha256),),
        policy_sets=(POLICY_SET.sha256,),
    )
    return trust.model_copy(update=changes)


def make_role(trust: TrustPolicy, role: Role, **changes: object) -> TrustPolicy:
    """Return `trust` with one role's policy changed."""
    return trust.model_copy(update={"roles": {**trust.roles, role: trust.roles[role].model_copy(update=changes)}})


def _stage(name: str, kind: StageKind, **fields: object) -> PlannedStage:
    values: dict[str, object] = {
        "needs": (),
        "argvs": (("make", name),),
        "source": True,
        "products": (),
        "outputs": (),
        "results": (),
        "tools": (),
        "env": {},
        "timeout_seconds": 60,
        "target": None,
        **fields,
    }
    return PlannedStage(name=name, kind=kind, definition_sha256=sha256(f"definition of {name}"), **values)  # type: ignore[arg-type]


def make_plan(**changes: object) -> Plan:
    """Return the plan of the four stages, or that with fields changed."""
    plan = Plan(
        pipeline="example",
        pipeline_path="pipeline.yaml",
        pipeline_sha256=sha256("pipeline"),
        policy_set=POLICY_SET,
        layers=(ORGANISATION,),
        terms_sha256=sha256_hex(TERMS.to_json()),
        settings_sha256=sha256("settings"),
        trust_policy_sha256=sha256("trust"),
        source=SourceTree(sha256=sha256("source"), files=3),
        requester=Requester(identity="unverified", verified=False),
        governance="operator",
        builder_id=BUILDER_ID,
        sandbox="bwrap",
        helpers={"bwrap": sha256("bwrap")},
        stages=(
            _stage("build", StageKind.BUILD, outputs=(Output(name="wheel", path="*.whl", type="wheel"),)),
            _stage("test", StageKind.TEST, needs=("build",), products=("build.wheel",)),
            _stage(
                "package",
                StageKind.PACKAGE,
                needs=("test",),
                products=("build.wheel",),
                outputs=(Output(name="archive", path="*.zip", type="archive"),),
                target="local",
            ),
            _stage(
                "deploy",
                StageKind.DEPLOY,
                needs=("package",),
                source=False,
                products=("build.wheel",),
                target="production",
            ),
        ),
    )
    return plan.model_copy(update=changes)


PRODUCTS = {
    "build": (Product(output="wheel", path="a-1.0.whl", type="wheel", sha256=sha256("wheel"), size=5),),
    "package": (Product(output="archive", path="a-1.0.zip", type="archive", sha256=sha256("archive"), size=7),),
}
RESULTS = {
    "test": (
        ResultSummary(
            name="unit",
            kind="junit",
            path="junit.xml",
            sha256=sha256("junit"),
            passed=True,
            counts={"tests": 3, "failures": 0, "errors": 0, "skipped": 0, "stale": 0},
        ),
    )
}


def make_decision(plan: Plan, **changes: object) -> Decision:
    """Return an allowing check decision on the plan, or that with fields changed."""
    decision = Decision(
        gate=Gate.PIPELINE,
        verdict=Verdict.ALLOW,
        subject="pipeline.yaml",
        plan_sha256=plan.sha256,
        policy_set=plan.policy_set,
        layers=tuple(judged(layer) for layer in plan.layers),
        terms=TERMS,
        engine=ENGINE,
        input_sha256=sha256("input"),
        rules=("hygiene.missing_timeout",),
        governance=plan.governance,
        decided_at="2026-05-01T11:00:00.000000Z",
    )
    return decision.model_copy(update=changes)


Statement = Callable[[bytes], bytes]


@dataclass(slots=True)
class MadeRun:
    """A run with everything it left. Tests change a part and ask again."""

    plan: Plan = field(default_factory=make_plan)
    trust: TrustPolicy = field(default_factory=make_trust)
    run_id: str = RUN_ID
    evidence: dict[Sha256, bytes] = field(default_factory=dict)
    records: dict[str, StageRecord] = field(default_factory=dict)
    check_sha256: Sha256 = ""
    changes: dict[str, object] = field(default_factory=dict)  # to the manifest
    log: ExampleLog | None = None

    def put(self, content: bytes) -> Sha256:
        """File evidence under its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.evidence[digest] = content
        return digest

    @property
    def bound(self) -> BoundRun:
        """The run as statements name it."""
        return BoundRun(self.plan, self.plan.sha256, self.run_id, self.check_sha256)

    def inputs(self, stage: str) -> dict[str, tuple[Product, ...]]:
        """Return the products handed to a stage."""
        return {
            reference: self.records[reference.partition(".")[0]].products
            for reference in self.plan.stage(stage).products
        }

    def check(self, **changes: object) -> None:
        """Decide on the plan."""
        decision = make_decision(self.plan, **changes)
        self.check_sha256 = self.put(sign_statement(decision_statement(decision), key("decider")))

    def admit(self, name: str, /, **changes: object) -> bytes:
        """Decide on one start of a stage; return the bundle."""
        values = {"gate": Gate.STAGE, "subject": name, "run_id": self.run_id, "stage": name, "attempt": 1, **changes}
        bundle = sign_statement(decision_statement(make_decision(self.plan, **values)), key("decider"))
        self.put(bundle)
        return bundle

    def run_stage(self, name: str, *, signer: KeyFileSigner | None = None, **changes: object) -> StageRecord:
        """Let a stage succeed; file and return its record, attested."""
        bundle = self.admit(name)
        planned = self.plan.stage(name)
        record = StageRecord(
            name=name,
            kind=planned.kind,
            definition_sha256=planned.definition_sha256,
            attempt=1,
            state=StageState.SUCCEEDED,
            exit_code=0,
            started_at="2026-05-01T11:00:01.000000Z",
            finished_at="2026-05-01T11:00:02.000000Z",
            sandbox="bwrap",
            decision=hashlib.sha256(bundle).hexdigest(),
            products=PRODUCTS.get(name, ()),
            results=RESULTS.get(name, ()),
            log_sha256=sha256(f"log of {name}"),
            target=planned.target,
        ).model_copy(update=changes)
        bundles = attest_stage(
            record,
            run=self.bound,
            admit_bundle=bundle,
            inputs=self.inputs(name),
            trust=self.trust,
            signer=signer or key("builder"),
            now=NOW,
        )
        record = record.model_copy(update={"attestations": tuple(self.put(content) for content in bundles)})
        self.records[name] = record
        return record

    def manifest(self) -> Manifest:
        """Return the run's manifest, with `changes`."""
        records = tuple(self.records.values())
        manifest = Manifest(
            run_id=self.run_id,
            pipeline=self.plan.pipeline,
            plan_sha256=self.plan.sha256,
            governance=self.plan.governance,
            builder_id=self.plan.builder_id,
            started_at="2026-05-01T11:00:00.000000Z",
            finished_at="2026-05-01T11:00:09.000000Z",
            succeeded=True,
            stages=records,
            decisions=(self.check_sha256, *(record.decision for record in records if record.decision)),
            attestations=tuple(digest for record in records for digest in record.attestations),
            checkpoint=CHECKPOINT,
        )
        return manifest.model_copy(update=self.changes)

    def manifest_bundle(self, signer: KeyFileSigner | None = None) -> bytes:
        """Return the signed manifest."""
        return sign_statement(manifest_statement(self.manifest()), signer or key("builder"))

    def release(
        self,
        *,
        artifact: Sha256 | None = None,
        target: str = "local",
        bundle: bytes | None = None,
        evidence: Mapping[Sha256, bytes] | None = None,
        checks: list[Check] | None = None,
        waivers: WaiverTerms | None = None,
    ) -> ReleaseEvidence:
        """Walk the release chain for the archive and `local`, or for what is given."""
        content = bundle or self.manifest_bundle()
        return verify_release(
            artifact_sha256=artifact or sha256("archive"),
            target=target,
            manifest_bundle=content,
            evidence=self.evidence if evidence is None else evidence,
            trust=self.trust,
            log=self.log or ExampleLog(content),
            now=NOW,
            checks=[] if checks is None else checks,
            waivers=waivers,
        )


class ExampleLog:
    """A record that holds the manifests it was made with."""

    def __init__(self, *bundles: bytes) -> None:
        self._held = {hashlib.sha256(bundle).hexdigest() for bundle in bundles}

    def find_manifest(self, manifest_sha256: Sha256, *, checkpoint: str) -> str | None:
        """Fulfil `ManifestLog`."""
        assert checkpoint
        return "entry 7 of 8" if manifest_sha256 in self._held else None


def make_run(plan: Plan | None = None, trust: TrustPolicy | None = None, run_id: str = RUN_ID) -> MadeRun:
    """Return a run of all four stages that went well."""
    run = MadeRun(plan=plan or make_plan(), trust=trust or make_trust(), run_id=run_id)
    run.put(run.plan.to_json())
    run.check()
    for stage in run.plan.stages:
        run.run_stage(stage.name)
    return run
