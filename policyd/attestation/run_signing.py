"""What the runner's keys sign: the documents of one run, each made here and in the order a run makes them.

`RunSigning` holds the keys and is no oracle. It takes no bytes to sign: it takes what the runner saw, builds the
statement of a role itself, and refuses what does not belong to the one run that it was bound to. What it has signed it
remembers, so that a manifest can list, and a summary can rest on, nothing else (docs/threats.md, T8, T25, T36).

The order: check decisions; `bind` to a plan, a run id and the check decision that allows it; admit decisions and, for
each start of a stage once, its attestations; one manifest; release decisions and their summaries. The log's key signs
checkpoints of its own log at any time.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from policyd.attestation.bound_run import BoundRun
from policyd.attestation.bundle import read_bundle, render_bundle, require_attestation
from policyd.attestation.decisions import verify_decision
from policyd.attestation.policy_sets import require_listed
from policyd.attestation.release_chain import SELF_GOVERNED_LEVEL, UNSANDBOXED_LEVEL
from policyd.attestation.signing import Signer
from policyd.attestation.stage import Sbom, attest_stage
from policyd.attestation.statements import Named, decision_statement, manifest_statement, sign_statement
from policyd.attestation.summary import Summarised, summary_statement
from policyd.errors import DocumentError, SigningRefused
from policyd.models.base import RunId, Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Effect, Gate, Verdict
from policyd.models.manifest import Manifest, Product, StageRecord, StageState
from policyd.models.plan import Plan
from policyd.models.statement import DECISION_V1, MANIFEST_V1, PROVENANCE_V1, VSA_V1
from policyd.models.trust import Role, TrustPolicy
from policyd.record.checkpoint import log_key, read_checkpoint, verify_checkpoint
from policyd.record.note import NoteKey

#: What every run signs as each of its roles: without these in the trust policy, nothing of it would verify.
SIGNED_BY_RUNS = {
    Role.DECIDER: (DECISION_V1,),
    Role.BUILDER: (PROVENANCE_V1, MANIFEST_V1),
    Role.VERIFIER: (VSA_V1,),
    Role.LOG: (),  # checkpoints are notes and no statements
}


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The runner's keys, one a role."""

    decider: Signer
    builder: Signer
    verifier: Signer
    log: Signer


@dataclass(slots=True)
class RunSigning:
    """Signs for one run at most. Every method raises `SigningRefused`, and signs nothing, where it does not belong."""

    keys: RunKeys
    trust: TrustPolicy
    verifier_id: str
    log_keys: tuple[NoteKey, ...]  # of the trust policy: whose checkpoints a manifest or summary may hold
    _run: BoundRun | None = None
    _decisions: dict[Sha256, Decision] = field(default_factory=dict)  # by bundle
    _stages: dict[tuple[str, int], tuple[StageRecord, tuple[Sha256, ...]]] = field(default_factory=dict)
    _manifest: Sha256 | None = None
    _summaries: set[Sha256] = field(default_factory=set)
    _names: dict[Sha256, Sha256] = field(default_factory=dict)  # of a bundle with timestamps → as it was signed

    def sign_decision(self, decision: Decision) -> bytes:
        """Return the decider's bundle of a decision: of a check before a run is bound, of this run after."""
        where = f"decision of the gate {decision.gate}"

        # 1. By policy sets that the trust policy lists; an `allow` that does not contradict itself.
        require_listed((layer.ref for layer in decision.layers), self.trust, where="trust policy")
        denies = any(found.effect is Effect.DENY for found in decision.violations)
        if decision.allowed and (not decision.rules or decision.problems or denies or not decision.layers):
            raise _refused("it says allow and contradicts itself", where)
        # What a layer denied is allowed where waivers lifted it, and only there; doubt is lifted by nothing.
        waived = any(found.effect is Effect.WAIVED for found in decision.violations)
        worse = (Verdict.UNDECIDED,) if waived else (Verdict.DENY, Verdict.UNDECIDED)
        if decision.allowed and any(layer.verdict in worse for layer in decision.layers):
            raise _refused("it says allow, and a layer of policy did not", where)

        # 2. Of this run; before there is one, of a check.
        about = (decision.run_id, decision.stage, decision.attempt, decision.artifact_sha256)
        if self._run is None:
            if decision.gate is not Gate.PIPELINE or any(part is not None for part in about):
                raise _refused("no run was bound that it could be about", where)
        elif decision.gate is Gate.PIPELINE:
            raise _refused("a run was bound already", where)
        else:
            self._require_of_run(decision.run_id, decision.plan_sha256, where)
            if decision.policy_set != self._run.plan.policy_set:
                raise _refused("its policy set is not the plan's", where)
        bundle = sign_statement(decision_statement(decision), self.keys.decider)
        self._decisions[sha256_hex(bundle)] = decision
        return bundle

    def bind(self, plan: Plan, run_id: RunId, check_bundle: bytes, *, now: datetime) -> None:
        """Bind everything from now on to one run of `plan`, which the check decision in `check_bundle` allows."""
        where = f"run {run_id}"
        if self._run is not None:
            raise _refused("another run was bound already", where)
        if self._signed_as(sha256_hex(check_bundle)) not in self._decisions:
            raise _refused("its check decision was not signed here", where)
        verify_decision(
            check_bundle, self.trust, plan=plan, plan_sha256=plan.sha256, run_id=run_id, admission=None, now=now
        )
        self._run = BoundRun(plan, plan.sha256, run_id, sha256_hex(check_bundle))

    def attest_stage(
        self,
        record: StageRecord,
        *,
        admit_bundle: bytes,
        inputs: Mapping[str, Sequence[Product]],
        sboms: Sequence[Sbom],
        fetched: Sequence[Named],
        now: datetime,
    ) -> tuple[bytes, ...]:
        """Return the builder's bundles for one start of a stage that has ended, as `stage.attest_stage` does; once."""
        run, start = self._require_run(), (record.name, record.attempt)
        where = f"stage {record.name}, attempt {record.attempt}"
        if start in self._stages:
            raise _refused("this start of the stage was attested already", where)
        if record.decision is None or self._signed_as(record.decision) not in self._decisions:
            raise _refused("its admit decision was not signed here", where)
        bundles = attest_stage(
            record,
            run=run,
            admit_bundle=admit_bundle,
            inputs=inputs,
            trust=self.trust,
            signer=self.keys.builder,
            now=now,
            sboms=sboms,
            fetched=fetched,
        )
        self._stages[start] = record, tuple(sha256_hex(bundle) for bundle in bundles)
        return bundles

    def sign_manifest(self, manifest: Manifest) -> bytes:
        """Return the builder's bundle of the manifest, of nothing but what was signed here in this run; once."""
        run, where = self._require_run(), f"manifest of run {manifest.run_id}"
        if self._manifest is not None:
            raise _refused("this run has its manifest already", where)

        # 1. Of this run, as the plan has it.
        self._require_of_run(manifest.run_id, manifest.plan_sha256, where)
        plan = run.plan
        if (manifest.pipeline, manifest.governance, manifest.builder_id) != (
            plan.pipeline,
            plan.governance,
            plan.builder_id,
        ):
            raise _refused("it names another pipeline, governance or builder than the plan", where)
        if [record.name for record in manifest.stages] != [stage.name for stage in plan.stages]:
            raise _refused("its stages are not the plan's", where)

        # 2. Its stages are as they were attested; what was not attested did not succeed.
        for record in manifest.stages:
            self._require_as_attested(record, where)
        if manifest.succeeded != all(record.state is StageState.SUCCEEDED for record in manifest.stages):
            raise _refused("it says of the run what its stages don't", where)

        # 3. Its lists are those of its stages; the checkpoint is of this log.
        decisions = (run.check_sha256, *(record.decision for record in manifest.stages if record.decision))
        attestations = tuple(sha256 for record in manifest.stages for sha256 in record.attestations)
        if manifest.decisions != decisions or manifest.attestations != attestations:
            raise _refused("it lists other decisions or attestations than its stages", where)
        self._require_checkpoint(manifest.checkpoint)
        bundle = sign_statement(manifest_statement(manifest), self.keys.builder)
        self._manifest = sha256_hex(bundle)
        return bundle

    def sign_summary(
        self, about: Summarised, *, decision_sha256: Sha256, target_uri: str, checkpoint: str, time_verified: str
    ) -> bytes:
        """Return the verifier's bundle of the summary of a release decision that was signed here in this run."""
        run, where = self._require_run(), f"summary of {about.artifact} for {about.target}"
        self._require_of_run(about.run_id, about.plan_sha256, where)
        decision = self._decisions.get(self._signed_as(decision_sha256))
        if decision is None:
            raise _refused("its release decision was not signed here", where)
        if self._manifest is None or self._signed_as(about.manifest_sha256) != self._manifest:
            raise _refused("its manifest was not signed here", where)
        if about.input_sha256s[:1] != (about.manifest_sha256,):
            raise _refused("it does not begin with the manifest", where)
        if about.max_level > self._max_level(run.plan):
            raise _refused(f"SLSA Build level {about.max_level} is above what the trust policy allows", where)
        self._require_checkpoint(checkpoint)
        statement = summary_statement(
            about,
            decision,
            decision_sha256=decision_sha256,
            verifier_id=self.verifier_id,
            target_uri=target_uri,
            checkpoint=checkpoint,
            time_verified=time_verified,
        )
        bundle = sign_statement(statement, self.keys.verifier)
        self._summaries.add(sha256_hex(bundle))
        return bundle

    def sign_checkpoint(self, text: str) -> bytes:
        """Return the log key's signature over a checkpoint of its own log, in its one spelling."""
        where = "checkpoint"
        try:
            checkpoint = read_checkpoint(text)
        except DocumentError as error:
            raise _refused(error.cause, where) from error
        if checkpoint.to_text() != text:
            raise _refused("it says more than a checkpoint does", where)
        if checkpoint.origin != log_key(self.keys.log.public_key_pem).name:
            raise _refused("it is of another log", where)
        return self.keys.log.sign(text.encode())

    def know_stamped(self, bundle: bytes) -> None:
        """Let a bundle that was signed here go by the digest it has with a timestamp in it."""
        bare = _without_timestamps(bundle)
        attested = {sha256 for _, digests in self._stages.values() for sha256 in digests}
        if bare not in {*self._decisions, *attested, self._manifest, *self._summaries}:
            raise _refused("it was not signed here", "bundle with a timestamp")
        self._names[sha256_hex(bundle)] = bare

    def _signed_as(self, sha256: Sha256) -> Sha256:
        return self._names.get(sha256, sha256)

    def _require_run(self) -> BoundRun:
        if self._run is None:
            raise _refused("no run was bound", "runner's keys")
        return self._run

    def _require_of_run(self, run_id: RunId | None, plan_sha256: Sha256 | None, where: str) -> None:
        run = self._require_run()
        if (run_id, plan_sha256) != (run.run_id, run.plan_sha256):
            raise _refused(f"it is about another run or plan than {run.run_id}", where)

    def _require_as_attested(self, record: StageRecord, where: str) -> None:
        place = f"{where}, stage {record.name}"
        if record.decision is not None and self._signed_as(record.decision) not in self._decisions:
            raise _refused("the admit decision was not signed here", place)
        attested, digests = self._stages.get((record.name, record.attempt), (None, ()))
        if not record.attestations:
            if record.state is StageState.SUCCEEDED:
                raise _refused("it says that a stage succeeded that was not attested", place)
            return
        same = attested is not None and record.model_copy(update={"attestations": ()}) == attested
        if not same or tuple(map(self._signed_as, record.attestations)) != digests:
            raise _refused("the stage is not as it was attested", place)

    def _require_checkpoint(self, note: str) -> None:
        verify_checkpoint(note, self.log_keys)

    def _max_level(self, plan: Plan) -> int:
        levels = [
            entry.max_level
            for entry in self.trust.builders
            if (entry.id, entry.key_sha256) == (plan.builder_id, self.keys.builder.key_sha256)
        ]
        caps = [max(levels, default=0)]
        if plan.governance == "self":
            caps.append(SELF_GOVERNED_LEVEL)
        if plan.sandbox != "bwrap":
            caps.append(UNSANDBOXED_LEVEL)
        return min(caps)


def _without_timestamps(bundle: bytes) -> Sha256:
    """Return the digest that a bundle of ours has without its timestamps."""
    read = read_bundle(bundle, where="bundle with a timestamp")
    envelope = require_attestation(read, where="bundle with a timestamp")
    return sha256_hex(render_bundle(envelope, key_sha256=base64.b64decode(read.key_hint).hex()))


def _refused(cause: str, where: str) -> SigningRefused:
    return SigningRefused(
        f"the runner's keys do not sign this: {cause}",
        where=where,
        fix="this is a fault in policyd or somebody at work in its process: report it (SECURITY.md)",
    )
