"""The signing process from outside: what it answers, what it refuses, and what this process does not have."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.signers import signing_requests as requests
from policyd.adapters.signers.keyfile import generate_key, load_key
from policyd.adapters.signers.process import SigningProcess, start_signing
from policyd.adapters.signers.spawn import spawn_worker
from policyd.app.init import Places, initialise
from policyd.app.trust_edit import end_key
from policyd.attestation.dsse import pae
from policyd.attestation.keys import is_signed_by, read_public_key
from policyd.attestation.trust import verify_bundle
from policyd.errors import (
    IdentityNotTrusted,
    KeyUnusable,
    SettingsError,
    SigningFailed,
    SigningRefused,
    UnsafePermissions,
)
from policyd.models.settings import Timestamping
from policyd.models.statement import DECISION_V1, PAYLOAD_TYPE
from policyd.models.trust import Role
from tests.attestation.made_run import NOW, OTHER_RUN_ID, RUN_ID, make_decision, make_plan, make_role

PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return _make(tmp_path_factory.mktemp("authority"), "")


def _make(folder: Path, password: str) -> Authority:
    places = Places(folder / "config", folder / "data", folder / "state", folder / "targets")
    (folder / "project").mkdir()
    initialise(folder / "project", password, places)
    made = require_authority(places.settings, repository=None)
    # The examples of made_run name this policy set.
    trust = made.trust.model_copy(update={"policy_sets": (make_plan().policy_set.sha256,)})
    return Authority(made.path, made.settings, made.settings_sha256, trust, made.trust_sha256)


@pytest.fixture
def signing(authority: Authority) -> Iterator[SigningProcess]:
    """A signing process of the test's own: it binds itself to a run."""
    with start_signing(authority, _never) as process:
        yield process


@pytest.fixture(scope="module")
def unbound(authority: Authority) -> Iterator[SigningProcess]:
    """One that tests share: they leave it as it is."""
    with start_signing(authority, _never) as process:
        yield process


def _never() -> str:
    raise AssertionError("a passphrase was asked for")


def _say(signing: SigningProcess, content: bytes) -> requests.Answer:
    """Send a frame as it is and return the answer."""
    channel = signing._worker.channel
    requests.send_frame(channel, content)
    frame = requests.receive_frame(channel)
    assert frame is not None
    return requests.Answer.model_validate_json(frame)


def test_a_decision_is_signed_by_the_deciders_key(authority: Authority, unbound: SigningProcess) -> None:
    bundle = unbound.sign_decision(make_decision(make_plan()))

    verified = verify_bundle(bundle, authority.trust, role=Role.DECIDER, now=NOW, where="x")
    assert verified.statement.predicate_type == DECISION_V1


def test_what_the_signing_refuses_is_told_as_it_is(signing: SigningProcess) -> None:
    plan = make_plan()
    signing.bind(plan, RUN_ID, signing.sign_decision(make_decision(plan)), now=NOW)

    with pytest.raises(SigningRefused, match="another run was bound"):
        signing.bind(plan, OTHER_RUN_ID, b"{}", now=NOW)
    with pytest.raises(SigningRefused, match="bound already"):
        signing.sign_decision(make_decision(plan))
    with pytest.raises(SigningRefused, match="not a checkpoint"):
        signing.log.sign(pae(PAYLOAD_TYPE, b"{}"))


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"DSSEv1 28 application/vnd.in-toto+json 2 {}",
        b"null",
        b"[]",
        b"{}",
        b'{"do": "sign", "payload": "AAAA"}',
        b'{"do": "decision"}',
        b'{"do": "decision", "decision": {"predicateType": "https://example.com"}}',
        b'{"do": "checkpoint", "text": "hello", "more": 1}',
        b'{"do": "open"}',
        b'{"do": "passphrase", "passphrase": "x"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=range(13),
)
def test_what_is_no_request_signs_nothing_and_ends_nothing(unbound: SigningProcess, request_: bytes) -> None:
    answer = _say(unbound, request_)

    assert answer.error is not None
    assert answer.error[0] == "SigningRefused"
    assert not answer.bundles
    assert answer.signature is None
    assert unbound.sign_decision(make_decision(make_plan()))


def test_statements_of_other_kinds_have_no_request() -> None:
    """A frame carries documents of the kinds listed; none has room for bytes, or for a predicate type but an SBOM's."""
    schema = json.dumps(requests._REQUEST.json_schema()["discriminator"]["mapping"])

    assert set(json.loads(schema)) == {
        "open", "passphrase", "decision", "bind", "stage", "manifest", "summary", "checkpoint", "stamped",
    }  # fmt: skip


def test_keys_are_loaded_once(authority: Authority, unbound: SigningProcess) -> None:
    again = requests.Open(
        keys=authority.settings.keys,
        trust=authority.trust,
        verifier_id="x",
        settings="x",
        password_command=(),
        environment={},
        now=NOW,
    )

    answer = _say(unbound, again.model_dump_json().encode())

    assert answer.error is not None
    assert "already" in answer.error[1]


def test_before_keys_are_loaded_nothing_is_signed() -> None:
    with spawn_worker() as worker:
        request = requests.SignDecision(decision=make_decision(make_plan()))
        requests.send_frame(worker.channel, request.model_dump_json().encode())
        frame = requests.receive_frame(worker.channel)

    assert frame is not None
    assert b"no keys are loaded" in frame


def test_half_a_frame_is_the_end_of_it() -> None:
    with spawn_worker() as worker:
        worker.channel.sendall(b"\x00\x00\x10\x00half")
        worker.channel.shutdown(socket.SHUT_WR)
        assert worker.process.wait(timeout=60) != 0


def test_a_frame_that_is_too_large_is_not_waited_for() -> None:
    with spawn_worker() as worker:
        worker.channel.sendall(b"\xff\xff\xff\xff")
        assert worker.process.wait(timeout=60) != 0


def test_the_process_ends_with_the_socket(authority: Authority) -> None:
    with start_signing(authority, _never) as signing:
        process = signing._worker.process
    assert process.returncode == 0

    with pytest.raises(SigningFailed):
        signing.sign_decision(make_decision(make_plan()))


def test_a_process_that_died_is_an_error_and_no_wait(authority: Authority) -> None:
    with start_signing(authority, _never) as signing:
        os.kill(signing.process_id, signal.SIGKILL)
        with pytest.raises(SigningFailed):
            signing.sign_decision(make_decision(make_plan()))


def test_what_stops_a_run_does_not_stop_its_signing(unbound: SigningProcess) -> None:
    """The end of a run that somebody interrupts is signed all the same."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(unbound.process_id, number)

    assert unbound.sign_decision(make_decision(make_plan()))


def test_the_keys_die_with_policyd(authority: Authority) -> None:
    """Also when nobody has time to say so."""
    script = (
        "import os, sys, signal\nfrom pathlib import Path\n"
        "from policyd.adapters.settings import require_authority\n"
        "from policyd.adapters.signers.process import start_signing\n"
        "signing = start_signing(require_authority(Path(sys.argv[1]), repository=None), str)\n"
        "print(signing.process_id, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = subprocess.run([sys.executable, "-c", script, str(authority.path)], stdout=subprocess.PIPE, timeout=60)

    _wait_until_gone(int(died.stdout))


def _wait_until_gone(pid: int) -> None:
    """Wait for a process that is not our child: its descriptor becomes readable when it ends."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 60)[0]
    finally:
        os.close(descriptor)


# --- what each side has ---


@pytest.mark.usefixtures("root")
def test_the_process_has_no_way_back_and_nothing_of_our_environment(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH_LIKE", "evil")
    monkeypatch.setenv("POLICYD_KEY_PASSWORD", PASSPHRASE)
    # A descriptor that a careless caller left open for children.
    left_open = [os.open(os.devnull, os.O_RDONLY), *os.pipe()]
    for descriptor in left_open:
        os.set_inheritable(descriptor, True)
    with start_signing(authority, _never) as signing:
        folder = Path(f"/proc/{signing.process_id}")
        names = {line.partition(b"=")[0] for line in (folder / "environ").read_bytes().split(b"\0") if line}
        open_files = [os.readlink(entry) for entry in (folder / "fd").iterdir()]
    for descriptor in left_open:
        os.close(descriptor)

    assert names == {b"LC_ALL", b"PYDANTIC_DISABLE_PLUGINS"}
    assert len([name for name in open_files if name.startswith("socket:")]) == 1
    assert len(open_files) == 4  # input, output, errors, and the socket


def test_another_process_of_the_same_user_does_not_read_its_memory(unbound: SigningProcess) -> None:
    """PR_SET_DUMPABLE: /proc/PID/mem then belongs to root."""
    assert os.stat(f"/proc/{unbound.process_id}/mem").st_uid == 0
    status = Path(f"/proc/{unbound.process_id}/limits").read_text()
    assert any(line.split()[:6] == ["Max", "core", "file", "size", "0", "0"] for line in status.splitlines())


def test_policyds_own_process_never_holds_a_key_of_the_runner(authority: Authority) -> None:
    """Its memory is searched for the secret numbers, as OpenSSL and files hold them; loading a key puts them there."""
    keys = {role: load_key(Path(path), password="") for role, path in authority.settings.keys}
    secrets: list[bytes] = []
    for signer in keys.values():
        private = signer._key
        if hasattr(private, "private_bytes_raw"):
            secrets.append(private.private_bytes_raw())
        else:
            number = private.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
            secrets += [number, number[::-1]]
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from policyd.adapters.settings import require_authority\n"
        "from policyd.adapters.signers.keyfile import load_key\n"
        "from policyd.adapters.signers.process import start_signing\n"
        "from tests.attestation.made_run import make_decision, make_plan\n"
        "settings = Path(sys.argv[1])\n"
        "authority = require_authority(settings, repository=None)\n"
        "if sys.argv[2] == 'here':\n"
        "    held = [load_key(Path(path), password='') for _, path in authority.settings.keys]\n"
        "else:\n"
        "    signing = start_signing(authority, str)\n"
        "    signing.log\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
    )

    def search(how: str) -> int:
        with subprocess.Popen(
            [sys.executable, "-c", script, str(authority.path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            found = sum(content.count(secret) for content in _memory(process.pid) for secret in secrets)
            process.communicate(b"\n", timeout=60)
        return found

    assert search("here") > 0
    assert search("away") == 0


def _memory(pid: int) -> Iterator[bytes]:
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, flags = line.split()[:2]
            if "w" not in flags:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            memory.seek(start)
            try:
                yield memory.read(end - start)
            except OSError:
                continue


# --- loading keys ---


def test_a_passphrase_is_asked_for_where_a_key_wants_one(tmp_path: Path) -> None:
    made, asked = _make(tmp_path, PASSPHRASE), []

    def ask() -> str:
        asked.append(1)
        return PASSPHRASE

    with start_signing(made, ask) as signing:
        assert signing.sign_decision(make_decision(make_plan()))
    assert len(asked) == 4
    with pytest.raises(KeyUnusable, match="passphrase"):
        start_signing(made, lambda: "wrong")
    with pytest.raises(KeyUnusable, match="passphrase"):
        start_signing(made, str)


def test_a_password_command_is_run_where_the_keys_are(tmp_path: Path) -> None:
    made = _make(tmp_path, PASSPHRASE)
    program = tmp_path / "ask"
    program.write_text(f'#!/bin/sh\necho "$POLICYD_KEY" >> {tmp_path}/asked\necho "{PASSPHRASE}"\n')
    program.chmod(0o755)

    with start_signing(_with(made, password_command=(str(program),)), _never) as signing:
        assert signing.sign_decision(make_decision(make_plan()))
    assert (tmp_path / "asked").read_text().split() == [path for _, path in made.settings.keys]

    program.chmod(0o777)
    with pytest.raises(UnsafePermissions):
        start_signing(_with(made, password_command=(str(program),)), _never)
    with pytest.raises(SettingsError, match="absolute"):
        start_signing(_with(made, password_command=("ask",)), _never)


def _with(authority: Authority, **changes: object) -> Authority:
    settings = authority.settings.model_copy(update=changes)
    return Authority(authority.path, settings, authority.settings_sha256, authority.trust, authority.trust_sha256)


def test_a_key_of_another_role_missing_or_open_to_others_is_refused(tmp_path: Path) -> None:
    made = _make(tmp_path, "")
    keys = made.settings.keys

    def start(**changes: str) -> None:
        start_signing(_with(made, keys=keys.model_copy(update=changes)), _never).close()

    with pytest.raises(KeyUnusable, match="does not list this key as builder"):
        start(builder=keys.decider)
    with pytest.raises(KeyUnusable, match="is not there"):
        start(log=str(tmp_path / "no.key"))
    stranger = generate_key(tmp_path / "stranger.key")
    with pytest.raises(KeyUnusable, match="does not list"):
        start(verifier=str(stranger.private_key))
    Path(keys.verifier).chmod(0o644)
    with pytest.raises(UnsafePermissions):
        start()


@pytest.mark.parametrize("end", ["valid_until", "revoked_at"])
def test_a_key_that_has_ended_is_not_used(authority: Authority, end: str) -> None:
    trust = end_key(authority.trust, key_sha256=_sha256_of(authority, Role.BUILDER), **{end: NOW})

    with pytest.raises(KeyUnusable, match="key of"):
        start_signing(replace(authority, trust=trust), _never)


@pytest.mark.parametrize("role", [Role.DECIDER, Role.BUILDER, Role.VERIFIER])
def test_a_role_that_may_not_sign_what_runs_sign_stops_them_before_they_begin(authority: Authority, role: Role) -> None:
    trust = make_role(authority.trust, role, predicate_types=("https://example.com/other",))

    with pytest.raises(IdentityNotTrusted, match=f"the role {role} may not sign"):
        start_signing(replace(authority, trust=trust), _never)


@pytest.mark.parametrize("role", [Role.DECIDER, Role.BUILDER, Role.VERIFIER])
def test_a_role_whose_witnesses_runs_do_not_get_stops_them_before_they_begin(authority: Authority, role: Role) -> None:
    def start(*witnesses: str, stamps: bool) -> None:
        timestamp = Timestamping(url="http://127.0.0.1:1/") if stamps else None
        settings = authority.settings.model_copy(update={"timestamp": timestamp})
        trust = make_role(authority.trust, role, witnesses=witnesses)
        start_signing(replace(authority, trust=trust, settings=settings), _never).close()

    start("timestamp", stamps=True)
    with pytest.raises(SettingsError, match=f"what {role} signs must have timestamp, and what runs sign has none"):
        start("timestamp", stamps=False)
    with pytest.raises(SettingsError, match="must have inclusion-proof, and"):
        start("timestamp", "inclusion-proof", stamps=True)


def _sha256_of(authority: Authority, role: Role) -> str:
    return read_public_key(authority.trust.roles[role].keys[0].public_key, where="x").sha256


def test_signatures_are_those_of_the_trust_policys_keys(authority: Authority, unbound: SigningProcess) -> None:
    text = f"policyd.dev/log/{unbound.log.key_sha256}\n8\n{'A' * 43}=\n".encode()

    listed = authority.trust.roles[Role.LOG].keys[0]
    assert is_signed_by(read_public_key(listed.public_key, where="x"), unbound.log.sign(text), text)
