"""What both engines promise alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from policyd.errors import EngineError, PolicyError
from policyd.policy.chosen_settings import Chosen
from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.policy_set import PolicySet
from policyd.policy.rule_settings import RuleSetting, SettingType, Tighter

Engines = Callable[..., AbstractContextManager[PolicyEngine]]
MakeSet = Callable[..., PolicySet]

FOUND = 'deny contains {"message": "m", "at": []} if input.x == 1\n'


def test_a_set_is_answered_as_a_list(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red=FOUND)) as engine:
        answers = engine.query(["policyd.a.red.deny"], b'{"x": 1}')

    assert answers == {"policyd.a.red.deny": Answer(value=[{"message": "m", "at": []}])}


def test_an_empty_set_is_no_undefined(engines: Engines, make_set: MakeSet) -> None:
    policy_set = make_set(red=FOUND, blue="deny := [] if input.x == 1\n")

    with engines(policy_set) as engine:
        answers = engine.query(["policyd.a.red.deny", "policyd.a.blue.deny"], b"{}")

    assert answers["policyd.a.red.deny"] == Answer(value=[])
    assert answers["policyd.a.blue.deny"] == Answer()


def test_a_rule_without_deny_is_undefined(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red="dney contains 1 if input.x\n")) as engine:
        assert engine.query(["policyd.a.red.deny"], b"{}") == {"policyd.a.red.deny": Answer()}


def test_false_is_a_value(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red="deny := false\n")) as engine:
        assert engine.query(["policyd.a.red.deny"], b"{}") == {"policyd.a.red.deny": Answer(value=False)}


def test_a_failing_builtin_is_an_error_of_its_rule_alone(engines: Engines, make_set: MakeSet) -> None:
    broken = 'deny contains {"message": "m", "at": []} if input.x / input.zero == 1\n'

    with engines(make_set(red=FOUND, broken=broken)) as engine:
        answers = engine.query(["policyd.a.broken.deny", "policyd.a.red.deny"], b'{"x": 1, "zero": 0}')

    assert "divi" in str(answers["policyd.a.broken.deny"].error)
    assert "backtrace" not in str(answers["policyd.a.broken.deny"].error)
    assert answers["policyd.a.red.deny"].value == [{"message": "m", "at": []}]


def test_conflicting_values_are_an_error(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red="deny := 1 if input.x\ndeny := 2 if input.y\n")) as engine:
        (answer,) = engine.query(["policyd.a.red.deny"], b'{"x": true, "y": true}').values()

    assert answer.error is not None


def test_one_question_after_another_keeps_nothing_of_the_first(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red=FOUND)) as engine:
        answers = [
            engine.query(["policyd.a.red.deny"], b'{"x": %d}' % x)["policyd.a.red.deny"].value for x in (1, 2, 1)
        ]

    assert [len(answer) for answer in answers if isinstance(answer, list)] == [1, 0, 1]


def test_settings_are_seen_by_rules(engines: Engines, make_set: MakeSet) -> None:
    code = 'deny contains {"message": name, "at": []} if some name in data.policyd.settings.a.red.names\n'
    policy_set = make_set(red=code)
    names = RuleSetting("names", SettingType.STRINGS, ("x",), Tighter.NONE, "d")
    policy_set = policy_set.with_settings({("a.red", "names"): Chosen("a.red", names, ("x",), "here")})

    with engines(policy_set) as engine:
        (answer,) = engine.query(["policyd.a.red.deny"], b"{}").values()

    assert answer.value == [{"message": "x", "at": []}]


def test_missing_settings_are_undefined(engines: Engines, make_set: MakeSet) -> None:
    code = "deny contains 1 if not data.policyd.settings.a\n"

    with engines(make_set(red=code)) as engine:
        (answer,) = engine.query(["policyd.a.red.deny"], b"{}").values()

    assert answer.value == [1]


def test_libraries_are_found_whatever_their_order(engines: Engines, make_set: MakeSet) -> None:
    code = "import data.policyd.lib.z\n\ndeny contains 1 if z.yes(input.x)\n"

    with engines(make_set({"z.rego": b"package policyd.lib.z\n\nyes(x) if x == 1\n"}, red=code)) as engine:
        (answer,) = engine.query(["policyd.a.red.deny"], b'{"x": 1}').values()

    assert answer.value == [1]


@pytest.mark.parametrize(
    "entrypoint",
    [
        "policyd.a.blue.deny",
        "policyd.a.red",
        "policyd.a.red.deny/../x",
        "system.authz.allow",
        "policyd.a.red.deny; true",
        "",
    ],
)
def test_an_entry_point_that_is_not_there_is_refused(engines: Engines, make_set: MakeSet, entrypoint: str) -> None:
    with engines(make_set(red=FOUND)) as engine, pytest.raises(PolicyError, match="nothing to ask"):
        engine.query([entrypoint], b"{}")


@pytest.mark.parametrize(
    "code",
    [
        'deny contains 1 if http.send({"method": "get", "url": "http://127.0.0.1:1"})\n',
        "deny contains opa.runtime() if true\n",
        "deny contains 1 if time.now_ns() > 1\n",
        'deny contains 1 if rand.intn("a", 3) == 1\n',
        'deny contains 1 if net.lookup_ip_addr("localhost")\n',
        'deny contains uuid.rfc4122("a") if true\n',
        "deny contains 1 if trace(`x`)\n",
    ],
)
def test_a_policy_that_reaches_out_is_refused_before_it_is_asked(
    engines: Engines, make_set: MakeSet, code: str
) -> None:
    with engines(make_set(red=code)) as engine, pytest.raises(PolicyError) as refused:
        engine.query(["policyd.a.red.deny"], b"{}")

    assert refused.value.where.startswith("a/red.rego:")


def test_a_rule_that_does_not_compile_is_refused_with_its_place(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red="deny contains x if {\n")) as engine, pytest.raises(PolicyError) as refused:
        engine.query(["policyd.a.red.deny"], b"{}")

    assert refused.value.where.startswith("a/red.rego:1")
    assert "backtrace" not in refused.value.cause


def test_a_rule_that_takes_too_long_is_ended_and_named_and_the_next_question_is_answered(
    engines: Engines, make_set: MakeSet
) -> None:
    slow = "deny contains 1 if count([1 | some a in input.n; some b in input.n; some c in input.n; a + b == c]) < 0\n"
    document = b'{"x": 1, "n": [%s]}' % b",".join(b"%d" % number for number in range(1500))

    with engines(make_set(red=FOUND, slow=slow), timeout_seconds=2.0) as engine:
        with pytest.raises(EngineError, match=r"too long in policyd\.a\.slow\.deny"):
            engine.query(["policyd.a.red.deny", "policyd.a.slow.deny"], document)
        answers = engine.query(["policyd.a.red.deny"], b'{"x": 1}')

    assert answers["policyd.a.red.deny"].value == [{"message": "m", "at": []}]


def test_several_threads_may_ask(engines: Engines, make_set: MakeSet) -> None:
    code = 'deny contains {"message": sprintf("%v", [input.x]), "at": []} if input.x\n'

    with engines(make_set(red=code)) as engine, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda x: engine.query(["policyd.a.red.deny"], b'{"x": %d}' % x), range(1, 21)))

    assert [answer["policyd.a.red.deny"].value for answer in answers] == [
        [{"message": str(x), "at": []}] for x in range(1, 21)
    ]


def test_no_process_is_left_behind(engines: Engines, make_set: MakeSet) -> None:
    with engines(make_set(red=FOUND)) as engine:
        engine.query(["policyd.a.red.deny"], b"{}")
        pid = engine.process_id  # type: ignore[attr-defined]
        assert pid is not None

    with pytest.raises(ProcessLookupError):
        __import__("os").kill(pid, 0)
