"""The signing process's side: loads the runner's keys, then answers one request after the other."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from typing import assert_never

from pydantic import ValidationError

from policyd.adapters.signers import signing_requests as requests
from policyd.adapters.signers.loading import load_signer
from policyd.adapters.signers.passphrase import run_password_command
from policyd.adapters.signers.uri import is_key_uri
from policyd.attestation.run_signing import SIGNED_BY_RUNS, RunKeys, RunSigning
from policyd.attestation.signing import Signer
from policyd.attestation.stage import Sbom
from policyd.attestation.statements import Named
from policyd.attestation.trust import require_may_sign
from policyd.attestation.trust_policy import find_listed, why_not_in_force
from policyd.errors import KeyUnusable, PolicydError, SettingsError, SigningRefused
from policyd.models.trust import Role
from policyd.record.checkpoint import log_key


def serve(channel: socket.socket) -> None:
    """Answer requests until the other side closes. What can't be answered is told as an error and signs nothing."""
    signing: RunSigning | None = None
    gc.freeze()  # the modules stay: the collector need not walk them at every signature
    while (frame := requests.receive_frame(channel)) is not None:
        try:
            request = requests.read_request(frame)
            if isinstance(request, requests.Open):
                if signing is not None:
                    raise _refused("the keys are loaded already")
                signing, answer = _open(request, channel)
            elif signing is None:
                raise _refused("no keys are loaded")
            else:
                answer = _answer(signing, request)
        except PolicydError as error:
            answer = _error(error)
        except ValidationError as error:
            # Only which field it was: values stay where they are.
            places = ", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_input=False)[:3])
            answer = _error(_refused(f"this is no request ({places or 'not one of those there are'})"))
        requests.send_frame(channel, answer.model_dump_json(exclude_defaults=True).encode())


def _open(request: requests.Open, channel: socket.socket) -> tuple[RunSigning, requests.Answer]:
    """Load one key a role, each of the role that the trust policy gives it."""
    os.environ.update(request.environment)
    loaded: dict[Role, Signer] = {}
    for name, key in request.keys:
        role = Role(name)
        loaded[role] = _load(role, key, request, _ask(key, request, channel))
    keys = RunKeys(loaded[Role.DECIDER], loaded[Role.BUILDER], loaded[Role.VERIFIER], loaded[Role.LOG])
    log_role = request.trust.roles[Role.LOG]
    signing = RunSigning(
        keys=keys,
        trust=request.trust,
        verifier_id=request.verifier_id,
        log_keys=tuple(log_key(listed.public_key) for listed in log_role.keys),
    )
    opened = {
        role.value: requests.OpenedKey(sha256=signer.key_sha256, public_key=signer.public_key_pem)
        for role, signer in loaded.items()
    }
    return signing, requests.Answer(opened=opened)


def _load(role: Role, key: str, request: requests.Open, password: Callable[[], str]) -> Signer:
    if not is_key_uri(key) and not os.path.lexists(key):
        raise KeyUnusable(
            f"the {role} key is not there",
            where=key,
            fix=f"put it back, or correct keys.{role} in {request.settings}; a new key is a new identity",
        )
    signer = load_signer(key, password=password)
    found = find_listed(request.trust, signer.key_sha256)
    if found is None or found[0] is not role:
        raise KeyUnusable(
            f"the trust policy does not list this key as {role}",
            where=key,
            fix=f"put the right key there, or correct keys.{role} in {request.settings}",
        )
    # Looked at before anything runs: what it signed would be refused when all has been done.
    problem = why_not_in_force(found[1], request.now)
    if problem is not None:
        raise KeyUnusable(problem, where=key, fix=f"name a {role} key that is in force: policyd key rotate {role}")
    for predicate_type in SIGNED_BY_RUNS[role]:
        require_may_sign(role, request.trust.roles[role], predicate_type, where=key)
    missing = {*(request.trust.roles[role].witnesses or ())} - ({"timestamp"} if request.stamps else set())
    if missing:
        raise SettingsError(
            f"what {role} signs must have {', '.join(sorted(missing))}, and what runs sign has none",
            where=f"trust policy {request.trust.name}, roles.{role}.witnesses",
            fix=f"ask for `timestamp` alone, and name an authority in `timestamp` of {request.settings}",
        )
    return signer


def _ask(key: str, request: requests.Open, channel: socket.socket) -> Callable[[], str]:
    """Return what gets the passphrase of `key`: the operator's command, else whoever started policyd."""

    def ask() -> str:
        if request.password_command:
            return run_password_command(request.password_command, key)
        wanted = requests.Answer(passphrase_wanted=key)
        requests.send_frame(channel, wanted.model_dump_json(exclude_defaults=True).encode())
        frame = requests.receive_frame(channel)
        told = None if frame is None else requests.read_request(frame)
        if not isinstance(told, requests.Passphrase):
            raise _refused("a passphrase was asked for")
        return told.passphrase

    return ask


def _answer(signing: RunSigning, request: requests.Request) -> requests.Answer:
    match request:
        case requests.SignDecision():
            return _bundles(signing.sign_decision(request.decision))
        case requests.Bind():
            signing.bind(request.plan, request.run_id, request.check_bundle.encode(), now=request.now)
            return requests.Answer()
        case requests.AttestStage():
            bundles = signing.attest_stage(
                request.record,
                admit_bundle=request.admit_bundle.encode(),
                inputs=request.inputs,
                sboms=[Sbom(sbom.predicate_type, sbom.document) for sbom in request.sboms],
                fetched=[Named(one.name, one.sha256) for one in request.fetched],
                now=request.now,
            )
            return _bundles(*bundles)
        case requests.SignManifest():
            return _bundles(signing.sign_manifest(request.manifest))
        case requests.SignSummary():
            bundle = signing.sign_summary(
                request.about,
                decision_sha256=request.decision_sha256,
                target_uri=request.target_uri,
                checkpoint=request.checkpoint,
                time_verified=request.time_verified,
            )
            return _bundles(bundle)
        case requests.SignCheckpoint():
            return requests.Answer(signature=signing.sign_checkpoint(request.text).hex())
        case requests.KnowStamped():
            signing.know_stamped(request.bundle.encode())
            return requests.Answer()
        case requests.Open() | requests.Passphrase():
            raise _refused("nobody asked for that")
        case _:
            assert_never(request)


def _bundles(*bundles: bytes) -> requests.Answer:
    return requests.Answer(bundles=tuple(bundle.decode() for bundle in bundles))


def _error(error: PolicydError) -> requests.Answer:
    return requests.Answer(error=(type(error).__name__, error.cause, error.where, error.fix))


def _refused(cause: str) -> SigningRefused:
    return SigningRefused(
        f"the signing process does not do this: {cause}",
        where="runner's keys",
        fix="this is a fault in policyd or somebody at work in its process: report it (SECURITY.md)",
    )
