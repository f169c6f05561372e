"""What the runner's keys sign, and everything they don't."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from policyd.attestation.bundle import add_timestamp
from policyd.attestation.dsse import pae
from policyd.attestation.run_signing import RunKeys, RunSigning
from policyd.attestation.stage import Sbom
from policyd.attestation.statements import Named, decision_statement, sign_statement
from policyd.attestation.summary import Summarised, verify_summary
from policyd.attestation.trust import verify_bundle
from policyd.errors import IdentityNotTrusted, PolicydError, SigningRefused, SubjectMismatch
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Problem, Verdict
from policyd.models.manifest import Manifest, StageRecord, StageState
from policyd.models.statement import CYCLONEDX, MANIFEST_V1, PAYLOAD_TYPE, PROVENANCE_V1
from policyd.models.trust import Role, TrustedBuilder
from policyd.record.checkpoint import log_key, sign_checkpoint
from tests.attestation.made_run import (
    NOW,
    OTHER_RUN_ID,
    PRODUCTS,
    RESULTS,
    RUN_ID,
    VERIFIER_ID,
    MadeRun,
    ed25519_key,
    judged,
    key,
    make_decision,
    make_plan,
    make_trust,
    sha256,
)

TARGET_URI = "policyd://local"
LOG = ed25519_key("log")
LOG_KEY = log_key(LOG.public_key_pem)
CHECKPOINT = sign_checkpoint(7, bytes(32), LOG_KEY, LOG.sign).note


@dataclass
class Runner:
    """What policyd's own process does with the signing one, step by step."""

    run: MadeRun = field(default_factory=MadeRun)
    signing: RunSigning = field(
        default_factory=lambda: RunSigning(
            RunKeys(key("decider"), key("builder"), key("verifier"), LOG),
            make_trust(),
            VERIFIER_ID,
            (LOG_KEY,),
        )
    )

    def check(self, **changes: object) -> bytes:
        return self.signing.sign_decision(make_decision(self.run.plan, **changes))

    def bind(self) -> None:
        self.run.check_sha256 = self.run.put(bundle := self.check())
        self.signing.bind(self.run.plan, RUN_ID, bundle, now=NOW)

    def admission(self, name: str, **changes: object) -> Decision:
        values = {"gate": Gate.STAGE, "subject": name, "run_id": RUN_ID, "stage": name, "attempt": 1, **changes}
        return make_decision(self.run.plan, **values)

    def record(self, name: str, admit_bundle: bytes, **changes: object) -> StageRecord:
        planned = self.run.plan.stage(name)
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
            decision=sha256_hex(admit_bundle),
            products=PRODUCTS.get(name, ()),
            results=RESULTS.get(name, ()),
            target=planned.target,
        )
        return record.model_copy(update=changes)

    def attest(self, record: StageRecord, admit_bundle: bytes, **arguments: object) -> tuple[bytes, ...]:
        values = {"sboms": [], "fetched": [], "now": NOW, **arguments}
        if "inputs" not in values:
            values["inputs"] = self.run.inputs(record.name)
        return self.signing.attest_stage(record, admit_bundle=admit_bundle, **values)  # type: ignore[arg-type]

    def stages(self, *names: str) -> None:
        for name in names or ("build", "test", "package", "deploy"):
            bundle = self.signing.sign_decision(self.admission(name))
            self.run.put(bundle)
            record = self.record(name, bundle)
            digests = tuple(self.run.put(content) for content in self.attest(record, bundle))
            self.run.records[name] = record.model_copy(update={"attestations": digests})

    def manifest(self, **changes: object) -> Manifest:
        return self.run.manifest().model_copy(update={"checkpoint": CHECKPOINT, **changes})

    def release_decision(self, **changes: object) -> Decision:
        values = {
            "gate": Gate.RELEASE,
            "subject": "a-1.0.zip",
            "run_id": RUN_ID,
            "target": "local",
            "artifact_sha256": sha256("archive"),
            **changes,
        }
        return make_decision(self.run.plan, **values)

    def summarised(self, manifest_sha256: Sha256, /, **changes: object) -> Summarised:
        about = Summarised(
            artifact="a-1.0.zip",
            artifact_sha256=sha256("archive"),
            target="local",
            run_id=RUN_ID,
            plan_sha256=self.run.plan.sha256,
            manifest_sha256=manifest_sha256,
            policy_set=self.run.plan.policy_set,
            input_sha256s=(manifest_sha256,),
            max_level=2,
        )
        return about.model_copy(update=changes)

    def summary(self, about: Summarised, decision_sha256: Sha256, checkpoint: str = CHECKPOINT) -> bytes:
        return self.signing.sign_summary(
            about,
            decision_sha256=decision_sha256,
            target_uri=TARGET_URI,
            checkpoint=checkpoint,
            time_verified="2026-05-01T11:30:00Z",
        )


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def bound(runner: Runner) -> Runner:
    runner.bind()
    return runner


@pytest.fixture
def ended(bound: Runner) -> Runner:
    bound.stages()
    return bound


def test_a_whole_run_is_signed_in_its_order(ended: Runner) -> None:
    manifest = ended.signing.sign_manifest(ended.manifest())
    decision = ended.signing.sign_decision(ended.release_decision())
    summary = ended.summary(ended.summarised(sha256_hex(manifest)), sha256_hex(decision))

    trust = make_trust()
    verified = verify_bundle(manifest, trust, role=Role.BUILDER, now=NOW, where="manifest")
    assert verified.statement.predicate_type == MANIFEST_V1
    found = verify_summary(
        summary, trust, artifact_sha256=sha256("archive"), target_uri=TARGET_URI, now=NOW, where="summary"
    )
    assert found.build_level == 2


def test_what_is_signed_is_what_the_runners_own_builders_make(bound: Runner) -> None:
    decision = bound.admission("build")

    assert sha256_hex(bound.signing.sign_decision(decision)) != sha256_hex(
        sign_statement(decision_statement(decision), key("builder"))
    )
    verified = verify_bundle(bound.signing.sign_decision(decision), make_trust(), role=Role.DECIDER, now=NOW, where="x")
    assert verified.payload == decision_statement(decision)


# --- decisions ---


def test_a_check_decision_is_signed_before_a_run_and_not_after(bound: Runner) -> None:
    with pytest.raises(SigningRefused, match="bound already"):
        bound.check()


@pytest.mark.parametrize("gate", [Gate.STAGE, Gate.RELEASE])
def test_without_a_run_no_other_decision_is_signed(runner: Runner, gate: Gate) -> None:
    with pytest.raises(SigningRefused, match="no run was bound"):
        runner.check(gate=gate, run_id=RUN_ID)
    with pytest.raises(SigningRefused):
        runner.check(run_id=RUN_ID)


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": OTHER_RUN_ID},
        {"run_id": None},
        {"plan_sha256": sha256("another plan")},
        {"plan_sha256": None},
    ],
)
def test_a_decision_on_another_run_or_plan_is_not_signed(bound: Runner, changes: dict[str, object]) -> None:
    with pytest.raises(SigningRefused, match="another run or plan"):
        bound.signing.sign_decision(bound.admission("build", **changes))


def test_a_decision_by_a_policy_set_that_is_not_listed_is_not_signed(runner: Runner) -> None:
    runner.signing.trust = make_trust(policy_sets=())

    with pytest.raises(IdentityNotTrusted):
        runner.check()


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": ()},
        {"problems": (Problem(rule="a.b", message="x", where="y"),)},
        {"layers": ()},
        {"layers": "denied"},
    ],
    ids=["no rules", "problems", "no layers", "a layer denied"],
)
def test_an_allow_that_contradicts_itself_is_not_signed(runner: Runner, changes: dict[str, object]) -> None:
    if changes.get("layers") == "denied":
        changes = {"layers": (judged(runner.run.plan.layers[0], verdict=Verdict.DENY),)}

    with pytest.raises(SigningRefused, match="allow"):
        runner.check(**changes)


def test_a_denial_is_signed_like_an_allow(runner: Runner) -> None:
    assert runner.check(verdict=Verdict.DENY)


# --- binding ---


def test_a_run_is_bound_once(bound: Runner) -> None:
    with pytest.raises(SigningRefused, match="bound already"):
        bound.signing.bind(bound.run.plan, OTHER_RUN_ID, b"", now=NOW)


def test_a_run_is_bound_by_a_check_decision_that_was_signed_here(runner: Runner) -> None:
    elsewhere = sign_statement(decision_statement(make_decision(runner.run.plan)), key("decider"))

    with pytest.raises(SigningRefused, match="not signed here"):
        runner.signing.bind(runner.run.plan, RUN_ID, elsewhere, now=NOW)


def test_a_run_is_bound_to_the_plan_that_was_allowed(runner: Runner) -> None:
    allowed, denied = runner.check(), runner.check(verdict=Verdict.DENY)

    with pytest.raises(SubjectMismatch):
        runner.signing.bind(make_plan(pipeline_sha256=sha256("other")), RUN_ID, allowed, now=NOW)
    with pytest.raises(PolicydError, match="verdict"):
        runner.signing.bind(runner.run.plan, RUN_ID, denied, now=NOW)
    with pytest.raises(SigningRefused, match="no run was bound"):
        runner.attest(runner.record("build", allowed), allowed)


# --- stages ---


def test_a_stage_that_was_not_admitted_here_is_not_attested(bound: Runner) -> None:
    elsewhere = sign_statement(decision_statement(bound.admission("build")), key("decider"))

    with pytest.raises(SigningRefused, match="not signed here"):
        bound.attest(bound.record("build", elsewhere), elsewhere)
    with pytest.raises(SigningRefused, match="not signed here"):
        bound.attest(bound.record("build", elsewhere, decision=None), elsewhere)


def test_a_stage_that_was_denied_is_not_attested(bound: Runner) -> None:
    denied = bound.signing.sign_decision(bound.admission("build", verdict=Verdict.DENY))

    with pytest.raises(PolicydError, match="verdict"):
        bound.attest(bound.record("build", denied), denied)


def test_one_stages_admission_attests_no_other(bound: Runner) -> None:
    bundle = bound.signing.sign_decision(bound.admission("build"))

    with pytest.raises(SubjectMismatch):
        bound.attest(bound.record("package", bundle), bundle, inputs={"build.wheel": PRODUCTS["build"]})


def test_a_start_of_a_stage_is_attested_once(ended: Runner) -> None:
    bundle = ended.run.evidence[ended.run.records["build"].decision or ""]

    with pytest.raises(SigningRefused, match="already"):
        ended.attest(ended.record("build", bundle, products=PRODUCTS["package"]), bundle)


def test_a_stage_has_provenance_and_its_sboms(bound: Runner) -> None:
    bundle = bound.signing.sign_decision(bound.admission("build"))
    document: dict[str, object] = {"bomFormat": "CycloneDX", "components": [], "empty": None}

    bundles = bound.attest(
        bound.record("build", bundle),
        bundle,
        sboms=[Sbom(CYCLONEDX, document)],
        fetched=[Named("tools/a/b", sha256("b"))],
    )

    statements = [
        verify_bundle(content, make_trust(), role=Role.BUILDER, now=NOW, where="x").statement for content in bundles
    ]
    assert {PROVENANCE_V1, CYCLONEDX} <= {statement.predicate_type for statement in statements}
    assert statements[-1].predicate == document


# --- the manifest ---


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: {"run_id": OTHER_RUN_ID}, "another run"),
        (lambda m: {"plan_sha256": sha256("x")}, "another run or plan"),
        (lambda m: {"builder_id": "https://other.example/local/bwrap"}, "builder"),
        (lambda m: {"governance": "self"}, "governance"),
        (lambda m: {"stages": m.stages[1:]}, "stages are not the plan's"),
        (lambda m: {"stages": (m.stages[0].model_copy(update={"exit_code": 3}), *m.stages[1:])}, "as it was attested"),
        (lambda m: {"stages": (m.stages[0].model_copy(update={"products": ()}), *m.stages[1:])}, "as it was attested"),
        (
            lambda m: {"stages": (m.stages[0].model_copy(update={"attestations": ()}), *m.stages[1:])},
            "succeeded that was not",
        ),
        (
            lambda m: {"stages": (m.stages[0].model_copy(update={"attestations": (sha256("x"),)}), *m.stages[1:])},
            "as it was attested",
        ),
        (lambda m: {"succeeded": False}, "its stages don't"),
        (lambda m: {"decisions": m.decisions[1:]}, "other decisions"),
        (lambda m: {"decisions": (*m.decisions, sha256("x"))}, "other decisions"),
        (lambda m: {"attestations": m.attestations[1:]}, "other decisions or attestations"),
    ],
)
def test_a_manifest_of_anything_but_this_run_is_not_signed(
    ended: Runner, change: Callable[[Manifest], dict[str, object]], why: str
) -> None:
    manifest = ended.manifest()

    with pytest.raises(SigningRefused, match=why):
        ended.signing.sign_manifest(manifest.model_copy(update=change(manifest)))
    assert ended.signing.sign_manifest(manifest)


def test_a_manifest_holds_a_checkpoint_of_this_log(ended: Runner) -> None:
    other = ed25519_key("another log")
    note = sign_checkpoint(7, bytes(32), log_key(other.public_key_pem), other.sign).note

    with pytest.raises(PolicydError):
        ended.signing.sign_manifest(ended.manifest(checkpoint=note))
    with pytest.raises(PolicydError):
        ended.signing.sign_manifest(ended.manifest(checkpoint="junk"))


def test_a_run_has_one_manifest(ended: Runner) -> None:
    ended.signing.sign_manifest(ended.manifest())

    with pytest.raises(SigningRefused, match="already"):
        ended.signing.sign_manifest(ended.manifest())


def test_a_run_that_was_stopped_has_a_manifest_too(bound: Runner) -> None:
    bound.stages("build")
    bundle = bound.signing.sign_decision(bound.admission("test"))
    failed = bound.record("test", bundle, state=StageState.FAILED, results=(), exit_code=1)
    digests = tuple(sha256_hex(content) for content in bound.attest(failed, bundle))
    bound.run.records["test"] = failed.model_copy(update={"attestations": digests})
    for name in ("package", "deploy"):
        record = bound.record(name, b"", state=StageState.SKIPPED, decision=None, products=())
        bound.run.records[name] = record

    assert bound.signing.sign_manifest(bound.manifest(succeeded=False))


# --- summaries ---


@pytest.fixture
def released(ended: Runner) -> tuple[Runner, Sha256, Sha256]:
    manifest = sha256_hex(ended.signing.sign_manifest(ended.manifest()))
    return ended, manifest, sha256_hex(ended.signing.sign_decision(ended.release_decision()))


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": OTHER_RUN_ID},
        {"plan_sha256": sha256("x")},
        {"manifest_sha256": sha256("x")},
        {"input_sha256s": ()},
        {"input_sha256s": (sha256("x"),)},
        {"artifact_sha256": sha256("another")},
        {"target": "production"},
        {"max_level": 3},
    ],
)
def test_a_summary_of_anything_but_this_release_is_not_signed(
    released: tuple[Runner, Sha256, Sha256], changes: dict[str, object]
) -> None:
    runner, manifest, decision = released

    with pytest.raises((SigningRefused, SubjectMismatch)):
        runner.summary(runner.summarised(manifest, **changes), decision)
    assert runner.summary(runner.summarised(manifest), decision)


def test_a_summary_rests_on_a_release_decision_that_was_signed_here(released: tuple[Runner, Sha256, Sha256]) -> None:
    runner, manifest, _ = released
    elsewhere = sign_statement(decision_statement(runner.release_decision()), key("decider"))
    admission = runner.run.records["build"].decision or ""

    with pytest.raises(SigningRefused, match="not signed here"):
        runner.summary(runner.summarised(manifest), sha256_hex(elsewhere))
    with pytest.raises(SubjectMismatch):
        runner.summary(runner.summarised(manifest), admission)


def test_a_summary_says_passed_only_of_a_release_that_was_allowed(released: tuple[Runner, Sha256, Sha256]) -> None:
    runner, manifest, _ = released
    denied = runner.signing.sign_decision(runner.release_decision(verdict=Verdict.DENY))

    summary = runner.summary(runner.summarised(manifest), sha256_hex(denied))

    with pytest.raises(PolicydError, match="FAILED"):
        verify_summary(
            summary, make_trust(), artifact_sha256=sha256("archive"), target_uri=TARGET_URI, now=NOW, where="x"
        )


def test_no_summary_comes_before_the_manifest(ended: Runner) -> None:
    decision = ended.signing.sign_decision(ended.release_decision())

    with pytest.raises(SigningRefused, match="manifest"):
        ended.summary(ended.summarised(sha256("manifest")), sha256_hex(decision))


@pytest.mark.parametrize(("level", "cap"), [(3, 3), (0, 0)])
def test_a_level_is_what_the_trust_policy_allows_at_most(
    released: tuple[Runner, Sha256, Sha256], level: int, cap: int
) -> None:
    runner, manifest, decision = released
    listed = TrustedBuilder(id=runner.run.plan.builder_id, key_sha256=key("builder").key_sha256, max_level=level)
    runner.signing.trust = make_trust(builders=(listed,))

    assert runner.summary(runner.summarised(manifest, max_level=cap), decision)
    with pytest.raises(SigningRefused, match="Build level"):
        runner.summary(runner.summarised(manifest, max_level=cap + 1), decision)


# --- checkpoints ---


def test_the_logs_key_signs_checkpoints_of_its_own_log(runner: Runner) -> None:
    text = f"{LOG_KEY.name}\n8\n{'A' * 43}=\n"

    assert runner.signing.sign_checkpoint(text) == LOG.sign(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        pae(PAYLOAD_TYPE, b"{}").decode(),
        f"{log_key(ed25519_key('another log').public_key_pem).name}\n8\n{'A' * 43}=\n",
        f"{LOG_KEY.name}\n8\n{'A' * 43}=\nextension\n",
        f"{LOG_KEY.name}\n08\n{'A' * 43}=\n",
        f"{LOG_KEY.name}\n-1\n{'A' * 43}=\n",
        f"{LOG_KEY.name}\n8\n{'A' * 43}\n",
        f"{LOG_KEY.name}\n8\n{'A' * 42}B=\n",
    ],
    ids=["empty", "text", "pae", "another log", "extension", "zero", "negative", "base64", "spare bits"],
)
def test_the_logs_key_signs_nothing_else(runner: Runner, text: str) -> None:
    with pytest.raises(SigningRefused):
        runner.signing.sign_checkpoint(text)


# --- timestamps ---


def test_a_bundle_goes_by_its_digest_with_a_timestamp(bound: Runner) -> None:
    bundle = bound.signing.sign_decision(bound.admission("build"))
    stamped = add_timestamp(bundle, b"a timestamp", where="x")

    with pytest.raises(SigningRefused, match="not signed here"):
        bound.attest(bound.record("build", stamped), stamped)
    bound.signing.know_stamped(stamped)

    assert bound.attest(bound.record("build", stamped), stamped)


@pytest.mark.parametrize("change", ["payload", "signature", "elsewhere"])
def test_only_a_bundle_that_was_signed_here_gets_a_name(bound: Runner, change: str) -> None:
    bundle = bound.signing.sign_decision(bound.admission("build"))
    value = json.loads(add_timestamp(bundle, b"a timestamp", where="x"))
    if change == "payload":
        value["dsseEnvelope"]["payload"] = "e30="
    elif change == "signature":
        value["dsseEnvelope"]["signatures"][0]["sig"] = "e30="
    else:
        value = json.loads(sign_statement(decision_statement(bound.admission("test")), key("decider")))

    with pytest.raises(SigningRefused, match="not signed here"):
        bound.signing.know_stamped(json.dumps(value).encode())
