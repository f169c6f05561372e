"""The signing process as the rest of policyd sees it.

policyd's own process never holds a private key of the runner: it starts a process that loads them, before it reads
anything of a pipeline, and talks to it over a socket that nothing else inherits. There is no request to sign bytes
(`signing_requests`), and what is signed has to belong to the one run that the process was bound to
(`attestation.run_signing`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import policyd.errors
from policyd.adapters import clock
from policyd.adapters.closing import Closing
from policyd.adapters.signers import signing_requests as requests
from policyd.adapters.signers.spawn import Worker, spawn_worker
from policyd.adapters.signers.uri import environment_for
from policyd.adapters.timestamping import stamp_bundle
from policyd.attestation.stage import Sbom
from policyd.attestation.statements import Named
from policyd.attestation.summary import Summarised
from policyd.errors import PolicydError, SigningFailed
from policyd.models.base import RunId, Sha256
from policyd.models.decision import Decision
from policyd.models.manifest import Manifest, Product, StageRecord
from policyd.models.plan import Plan
from policyd.models.trust import Role

if TYPE_CHECKING:
    from policyd.adapters.settings import Authority


class SigningProcess(Closing):
    """The runner's keys, at a distance. A context manager; usable from several threads. Made by `start_signing`."""

    def __init__(self, worker: Worker, authority: Authority) -> None:
        self._worker = worker
        self._authority = authority
        self._lock = threading.Lock()
        self._opened: Mapping[str, requests.OpenedKey] = {}

    @property
    def log(self) -> LogSigner:
        """The log's key, which signs checkpoints of its own log."""
        opened = self._opened[Role.LOG.value]
        return LogSigner(self, opened.sha256, opened.public_key)

    @property
    def process_id(self) -> int:
        """The signing process."""
        return self._worker.process.pid

    def sign_decision(self, decision: Decision) -> bytes:
        """Return the decider's bundle of `decision`; see `RunSigning.sign_decision`."""
        return self._sign(requests.SignDecision(decision=decision))[0]

    def bind(self, plan: Plan, run_id: RunId, check_bundle: bytes, *, now: datetime) -> None:
        """Bind what is signed from now on to one run; see `RunSigning.bind`."""
        self._ask(requests.Bind(plan=plan, run_id=run_id, check_bundle=check_bundle.decode(), now=now))

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
        """Return the builder's bundles of a stage that ended; see `RunSigning.attest_stage`."""
        return self._sign(
            requests.AttestStage(
                record=record,
                admit_bundle=admit_bundle.decode(),
                inputs={reference: tuple(products) for reference, products in inputs.items()},
                sboms=tuple(
                    requests.SbomDocument(predicate_type=sbom.predicate_type, document=dict(sbom.document))
                    for sbom in sboms
                ),
                fetched=tuple(requests.Fetched(name=one.name, sha256=one.sha256) for one in fetched),
                now=now,
            )
        )

    def sign_manifest(self, manifest: Manifest) -> bytes:
        """Return the builder's bundle of the run's manifest; see `RunSigning.sign_manifest`."""
        return self._sign(requests.SignManifest(manifest=manifest))[0]

    def sign_summary(
        self, about: Summarised, *, decision_sha256: Sha256, target_uri: str, checkpoint: str, time_verified: str
    ) -> bytes:
        """Return the verifier's bundle of a release's summary; see `RunSigning.sign_summary`."""
        request = requests.SignSummary(
            about=about,
            decision_sha256=decision_sha256,
            target_uri=target_uri,
            checkpoint=checkpoint,
            time_verified=time_verified,
        )
        return self._sign(request)[0]

    def sign_checkpoint(self, text: str) -> bytes:
        """Return the log's signature over a checkpoint of its own log; see `RunSigning.sign_checkpoint`."""
        signature = self._ask(requests.SignCheckpoint(text=text)).signature
        return bytes.fromhex(signature or "")

    def close(self) -> None:
        """End the process; its keys go with it."""
        self._worker.close()

    def open(self, password: Callable[[], str]) -> None:
        """Have the keys loaded; `password` is asked where one is encrypted and no command is set for that.

        Raises `KeyUnusable` or `UnsafePermissions` as loading a key does.
        """
        settings = self._authority.settings
        request: requests.Request = requests.Open(
            keys=settings.keys,
            trust=self._authority.trust,
            verifier_id=settings.verifier_id,
            settings=str(self._authority.path),
            password_command=settings.password_command,
            environment=environment_for([key for _, key in settings.keys], os.environ),
            stamps=settings.timestamp is not None,
            now=clock.now(),
        )
        while (answer := self._ask(request)).opened is None:
            request = requests.Passphrase(passphrase=password())
        self._opened = answer.opened

    def _sign(self, request: requests.Request) -> tuple[bytes, ...]:
        bundles = tuple(bundle.encode() for bundle in self._ask(request).bundles)
        if not bundles:
            raise _unexpected()
        stamping = self._authority.settings.timestamp
        if stamping is None:
            return bundles
        return tuple(self._stamp(bundle, stamping.url) for bundle in bundles)

    def _stamp(self, bundle: bytes, url: str) -> bytes:
        """Have somebody else say when the signature was there; only a digest of the signature leaves this machine."""
        stamped, _ = stamp_bundle(bundle, url, self._authority.trust.timestamp_authorities, where="runner's signature")
        self._ask(requests.KnowStamped(bundle=stamped.decode()))
        return stamped

    def _ask(self, request: requests.Request) -> requests.Answer:
        with self._lock:
            requests.send_frame(self._worker.channel, request.model_dump_json().encode())
            frame = requests.receive_frame(self._worker.channel)
        if frame is None:
            raise _unexpected()
        answer = requests.Answer.model_validate_json(frame)
        if answer.error is not None:
            name, cause, where, fix = answer.error
            raise _error_class(name)(cause, where=where, fix=fix)
        return answer


class LogSigner:
    """The log's key in the signing process; fulfils the core's `Signer` port for checkpoints alone."""

    def __init__(self, process: SigningProcess, key_sha256: Sha256, public_key_pem: str) -> None:
        self._process = process
        self.key_sha256 = key_sha256
        self.public_key_pem = public_key_pem

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a checkpoint; `SigningRefused` for anything else."""
        return self._process.sign_checkpoint(message.decode("utf-8", "replace"))


def start_signing(authority: Authority, password: Callable[[], str], worker: Worker | None = None) -> SigningProcess:
    """Have a signing process load the operator's keys: `worker`, or one that is started now.

    Raises as `SigningProcess.open` and `spawn_worker` do.
    """
    signing = SigningProcess(worker or spawn_worker(), authority)
    try:
        signing.open(password)
    except BaseException:
        signing.close()
        raise
    return signing


def _error_class(name: str) -> type[PolicydError]:
    found = getattr(policyd.errors, name, None)
    if not (isinstance(found, type) and issubclass(found, PolicydError)) or name == "WaiverUnusable":
        return SigningFailed
    return found


def _unexpected() -> SigningFailed:
    return SigningFailed(
        "the signing process ended or gave no answer",
        where="runner's keys",
        fix="run policyd again; where it happens again, report it (SECURITY.md)",
    )
