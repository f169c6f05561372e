"""The OPA server that policyd starts: who may talk to it, what it holds, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from policyd.adapters.engines.opa import MEMORY_BYTES, OpaEngine, run_opa
from policyd.errors import EngineError
from policyd.policy.policy_set import PolicySet

MakeSet = Callable[..., PolicySet]

FOUND = 'deny contains {"message": "m", "at": []} if input.x == 1\n'


def arguments(pid: int | None) -> dict[str, str]:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)


def test_the_engine_is_named_with_version_and_digest(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        assert engine.ref.name == "opa"
        assert engine.ref.version.count(".") == 2
        assert engine.ref.sha256 is not None


def test_a_conflict_is_told_with_the_paths_of_the_set(make_set: MakeSet, opa: Path) -> None:
    policy_set = make_set(red="x := 1\nx := 2 if input.x\ndeny contains 1 if x == 1\n")
    with OpaEngine(policy_set, opa) as engine:
        said = str(engine.query(["policyd.a.red.deny"], b'{"x": true}')["policyd.a.red.deny"].error)

    assert "conflicting values" in said
    assert "policyd-opa-" not in said
    assert all(path in said for path in policy_set.modules)


def test_nobody_without_the_token_gets_an_answer(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        given = arguments(engine.process_id)
        url = f"https://{given['addr']}"
        for token in ("", "Bearer wrong"):
            for path in ("/health", "/v1/policies", "/v1/data/policyd", "/v1/data/system", "/v1/config"):
                answer = requests.get(
                    url + path, headers={"Authorization": token}, verify=given["tls-cert-file"], timeout=5
                )
                assert answer.status_code in (401, 403), path


def test_the_server_listens_on_loopback_with_tls_alone(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        given = arguments(engine.process_id)

        assert given["addr"].startswith("127.0.0.1:")
        with pytest.raises(requests.RequestException):
            requests.get(f"https://{given['addr']}/health", timeout=5)  # no authority vouches for it
        assert requests.get(f"http://{given['addr']}/health", timeout=5).status_code == 400


def test_the_server_has_limits(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        limits = Path(f"/proc/{engine.process_id}/limits").read_text().splitlines()

    found = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    assert found["Max data size"] == [str(MEMORY_BYTES)] * 2
    assert found["Max core file size"] == ["0", "0"]


def test_an_opa_that_is_run_once_has_its_limit_too(tmp_path: Path) -> None:
    script = tmp_path / "opa"
    script.write_text('#!/bin/sh\nwhile [ "$(ulimit -d)" = unlimited ]; do :; done\nulimit -d\n')
    script.chmod(0o755)

    assert run_opa(script, ["version"], 30.0) == (0, f"{MEMORY_BYTES // 1024}\n")


def test_the_token_is_in_no_argument_and_its_folder_is_private(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        folder = Path(arguments(engine.process_id)["tls-cert-file"]).parent
        token = (folder / "authz.rego").read_text().rpartition('"')[0].rpartition('"')[2]

        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(token) >= 40
        assert token not in Path(f"/proc/{engine.process_id}/cmdline").read_text()
        assert token.encode() not in Path(f"/proc/{engine.process_id}/environ").read_bytes()

    assert not folder.exists()


def test_what_the_server_holds_is_compared(make_set: MakeSet, opa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes the policy on its way to the server is found before it is asked."""
    from policyd.adapters.engines import opa as module

    write = module._write_modules

    def write_another(policy_set: PolicySet, folder: Path) -> dict[str, str]:
        files = write(policy_set, folder)
        file = Path(next(iter(files)))
        file.write_text(file.read_text().replace("input.x == 1", "input.x == 2"))
        return files

    monkeypatch.setattr(module, "_write_modules", write_another)

    with OpaEngine(make_set(red=FOUND), opa) as engine, pytest.raises(EngineError, match="does not hold"):
        engine.query(["policyd.a.red.deny"], b"{}")
    assert engine.process_id is None


def test_an_old_opa_is_refused(make_set: MakeSet, tmp_path: Path) -> None:
    old = tmp_path / "opa"
    old.write_text("#!/bin/sh\necho 'Version: 1.3.9'\n")
    old.chmod(0o755)

    with pytest.raises(EngineError, match=r"OPA 1\.3\.9 is too old"):
        OpaEngine(make_set(red=FOUND), old)


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n", "not a program"])
def test_a_program_that_is_no_opa_is_refused(make_set: MakeSet, tmp_path: Path, script: str) -> None:
    other = tmp_path / "opa"
    other.write_text(script)
    other.chmod(0o755)

    with pytest.raises(EngineError):
        OpaEngine(make_set(red=FOUND), other)


def test_a_missing_opa_is_refused(make_set: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="can't be started"):
        OpaEngine(make_set(red=FOUND), tmp_path / "none")


def test_a_proxy_or_authority_of_the_caller_changes_nothing(
    make_set: MakeSet, opa: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / ".netrc"))

    with OpaEngine(make_set(red=FOUND), opa) as engine:
        assert engine.query(["policyd.a.red.deny"], b'{"x": 1}')["policyd.a.red.deny"].value


def test_a_killed_server_is_replaced(make_set: MakeSet, opa: Path) -> None:
    with OpaEngine(make_set(red=FOUND), opa) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        assert engine.process_id is not None
        os.kill(engine.process_id, signal.SIGKILL)

        with pytest.raises(EngineError):
            engine.query(["policyd.a.red.deny"], b"{}")
        assert engine.query(["policyd.a.red.deny"], b'{"x": 1}')["policyd.a.red.deny"].value


def test_the_server_dies_with_its_parent(tmp_path: Path, opa: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from policyd.adapters.engines.opa import OpaEngine\n"
        "from policyd.adapters.library import library_files\n"
        "from policyd.policy.policy_set import read_policy_set\n"
        "engine = OpaEngine(read_policy_set(library_files(), 'library'), Path(sys.argv[1]))\n"
        "engine.query(['policyd.injection.untrusted_expression.deny'], b'{\"expressions\": []}')\n"
        "print(engine.process_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, script, opa],
        capture_output=True,
        cwd=root,
        env={"PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
        timeout=60,
    )
    process = Path(f"/proc/{int(done.stdout)}")

    deadline = time.monotonic() + 5
    while process.exists() and time.monotonic() < deadline:
        if "Z" in (process / "stat").read_text().rpartition(")")[2][:3]:
            return  # ended; nobody here waits for orphans
        time.sleep(0.02)
    assert not process.exists()
