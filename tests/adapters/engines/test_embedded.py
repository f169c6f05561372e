"""The rule process: its limits, and what happens when it is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.errors import EngineError, PolicyError
from policyd.policy.policy_set import PolicySet

MakeSet = Callable[..., PolicySet]

FOUND = 'deny contains {"message": "m", "at": []} if input.x == 1\n'
SLOW = "deny contains 1 if count([1 | some a in input.n; some b in input.n; some c in input.n; a + b == c]) < 0\n"
NUMBERS = b'{"x": 1, "n": [%s]}' % b",".join(b"%d" % number for number in range(1500))


def test_a_timeout_names_the_rule(make_set: MakeSet) -> None:
    with (
        EmbeddedEngine(make_set(red=FOUND, slow=SLOW), timeout_seconds=0.7) as engine,
        pytest.raises(EngineError, match=r"policyd\.a\.slow\.deny"),
    ):
        engine.query(["policyd.a.red.deny", "policyd.a.slow.deny"], NUMBERS)


def test_a_rule_that_takes_all_memory_is_ended_and_named(make_set: MakeSet) -> None:
    greedy = (
        "deny contains 1 if count([[a, b, c] | some a in input.n; some b in input.n; some c in [1, 2, 3, 4]]) < 0\n"
    )

    with EmbeddedEngine(make_set(greedy=greedy), memory_bytes=256 * 1024 * 1024, timeout_seconds=30) as engine:
        with pytest.raises(EngineError, match=r"died in policyd\.a\.greedy\.deny"):
            engine.query(["policyd.a.greedy.deny"], NUMBERS)
        assert engine.query(["policyd.a.greedy.deny"], b'{"n": []}')["policyd.a.greedy.deny"].value == []


def test_nesting_that_is_allowed_but_slow_is_ended(make_set: MakeSet) -> None:
    """Brackets up to the bound may still take long when they come in numbers: time is bounded as well."""
    deep = "\n".join(f"x{number} := " + "[" * 12 + "1" + "]" * 12 for number in range(4_000))

    with (
        EmbeddedEngine(make_set(red=f"{deep}\n{FOUND}"), timeout_seconds=1.0) as engine,
        pytest.raises(EngineError, match="while reading the policy"),
    ):
        engine.query(["policyd.a.red.deny"], b"{}")


def test_an_expression_that_nests_without_brackets_ends_nothing_but_itself(make_set: MakeSet) -> None:
    """`1 + 1 + …` is as deep a tree as it is long, and no scan of brackets can count that."""
    with (
        EmbeddedEngine(make_set(red=f"x := 1{' + 1' * 20_000}\n{FOUND}"), timeout_seconds=5) as engine,
        pytest.raises((EngineError, PolicyError)),
    ):
        engine.query(["policyd.a.red.deny"], b'{"x": 1}')


def test_a_killed_process_is_replaced(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        assert engine.process_id is not None
        os.kill(engine.process_id, signal.SIGKILL)

        with pytest.raises(EngineError, match="died"):
            engine.query(["policyd.a.red.deny"], b"{}")
        assert engine.query(["policyd.a.red.deny"], b'{"x": 1}')["policyd.a.red.deny"].value


def test_an_input_that_is_no_json_is_an_error_and_no_violation(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        for document in (b"{", b"\xff", b"", b"[" * 100_000):
            (answer,) = engine.query(["policyd.a.red.deny"], document).values()
            assert answer.error is not None
        assert engine.query(["policyd.a.red.deny"], b"{}")["policyd.a.red.deny"].value == []


def test_a_large_input_is_handed_over_whole(make_set: MakeSet) -> None:
    code = 'deny contains {"message": sprintf("%d", [count(input.n)]), "at": []} if input.n\n'
    document = b'{"n": [%s]}' % b",".join(b'"%d"' % number for number in range(300_000))

    with EmbeddedEngine(make_set(red=code)) as engine:
        (answer,) = engine.query(["policyd.a.red.deny"], document).values()

    assert answer.value == [{"message": "300000", "at": []}]


def test_the_process_has_limits_and_nothing_of_ours(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        process = Path(f"/proc/{engine.process_id}")
        lines = (process / "limits").read_text().splitlines()[1:]
        limits = {line[:26].strip(): line[26:].split() for line in lines}
        descriptors = sorted(int(entry.name) for entry in (process / "fd").iterdir())
        environment = (process / "environ").read_bytes().split(b"\0")

    assert limits["Max address space"][0] == str(512 * 1024 * 1024)
    assert limits["Max core file size"][:2] == ["0", "0"]
    assert limits["Max open files"][:2] == ["64", "64"]
    assert limits["Max cpu time"][0] != "unlimited"
    assert limits["Max file size"][:2] == ["0", "0"]
    assert descriptors == [0, 1, 2, 3]  # the last is the memory that says which rule is evaluated
    assert environment == [b"LC_ALL=C.UTF-8", b""]


def test_the_process_has_no_network_where_the_kernel_lets_it(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        theirs = os.readlink(f"/proc/{engine.process_id}/ns/net")

    if os.geteuid() != 0 and theirs == os.readlink("/proc/self/ns/net"):
        pytest.skip("this kernel lets no user leave the network")
    assert theirs != os.readlink("/proc/self/ns/net")


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from policyd.adapters.engines.embedded import EmbeddedEngine\n"
        "from policyd.adapters.library import library_files\n"
        "from policyd.policy.policy_set import read_policy_set\n"
        "engine = EmbeddedEngine(read_policy_set(library_files(), 'library'))\n"
        "engine.query(['policyd.injection.untrusted_expression.deny'], b'{\"expressions\": []}')\n"
        "print(engine.process_id, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, script], capture_output=True, cwd=root, env={"PYTHONPATH": str(root)}, timeout=30
    )
    pid = int(done.stdout)

    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            return  # ended; nobody here waits for orphans
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_policy_that_opa_reads_otherwise_says_so(make_set: MakeSet) -> None:
    with EmbeddedEngine(make_set(red='deny contains 1 if not startswith(input.x, "a")\n')) as engine:
        with pytest.raises(PolicyError) as refused:
            engine.query(["policyd.a.red.deny"], b"{}")
        with pytest.raises(PolicyError):
            engine.query(["policyd.a.red.deny"], b"{}")  # refused again: nothing was kept of it

    assert refused.value.where == "a/red.rego:12"
    assert "--engine opa" in refused.value.fix


def test_a_variable_of_the_caller_changes_nothing(
    make_set: MakeSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "regorus.py").write_text("raise SystemExit(3)")
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        assert engine.query(["policyd.a.red.deny"], b'{"x": 1}')["policyd.a.red.deny"].value


def test_something_else_is_done_while_the_rules_work(make_set: MakeSet) -> None:
    done: list[str] = []
    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        answers = engine.query(["policyd.a.red.deny"], b'{"x": 1}', meanwhile=lambda: done.append("looked"))

    assert done == ["looked"]
    assert answers["policyd.a.red.deny"].value == [{"message": "m", "at": []}]


def test_an_answer_that_was_left_behind_is_never_the_next_questions(make_set: MakeSet) -> None:
    """As when a person breaks off: the process has answered, and nobody took it."""

    def break_off() -> None:
        raise KeyboardInterrupt

    with EmbeddedEngine(make_set(red=FOUND)) as engine:
        assert engine.query(["policyd.a.red.deny"], b"{}")["policyd.a.red.deny"].value == []
        before = engine.process_id
        with pytest.raises(KeyboardInterrupt):
            engine.query(["policyd.a.red.deny"], b"{}", meanwhile=break_off)

        answers = engine.query(["policyd.a.red.deny"], b'{"x": 1}')

        assert answers["policyd.a.red.deny"].value == [{"message": "m", "at": []}]
        assert engine.process_id != before
