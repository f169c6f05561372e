"""Rules that never end, eat memory, crash their process or can't be parsed in time: undecided, named, and survived."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-hostile-rules")

METADATA = """# METADATA
# title: A rule
# description: Says something.
# custom:
#   id: custom.{name}
#   severity: high
#   gate: pipeline
#   controls: [X-1]
#   remediation: Do something.
package policyd.custom.{name}

"""
FINE = 'deny contains {"message": "m", "at": []} if input.gate == "none"\n'
#: One second instead of ten: the rules below would take for ever.
IMPATIENT = (
    "from policyd.adapters.engines.embedded import EmbeddedEngine\n"
    "EmbeddedEngine.__init__.__kwdefaults__['timeout_seconds'] = 1.0\n"
)
LOOPING = """deny contains {"message": "m", "at": []} if {
	count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a == b]) < 0
}
"""
GREEDY = 'deny contains {"message": "m", "at": []} if count(numbers.range(1, 1000000000)) < 0\n'
CRASHING = 'f(x) := g(x)\n\ng(x) := f(x)\n\ndeny contains {"message": "m", "at": []} if f(1)\n'
EXPONENTIAL = "\n".join(f"x{n} := " + "[" * 12 + "1" + "]" * 12 for n in range(3000)) + "\n\n" + FINE


@pytest.fixture(scope="module")
def policies() -> Iterator[tuple[Workshop, Path]]:
    with open_workshop() as shop:
        folder = shop.home / "policies"
        with shop.settings.open("a") as file:
            file.write(f'policy_set: "{folder}"\n')
        shop.write(one_stage("'true'"))
        yield shop, folder


def write(folder: Path, name: str, code: str) -> None:
    file = folder / "custom" / name / f"{name}.rego"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(METADATA.format(name=name) + code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (LOOPING, "took too long in policyd.custom.bad.deny"),
        (GREEDY, "died in policyd.custom.bad.deny"),
        (CRASHING, "died in policyd.custom.bad.deny"),
        (EXPONENTIAL, "took too long while reading the policy custom/bad/bad.rego"),
    ],
    ids=["loops", "eats memory", "crashes", "exponential to parse"],
)
def test_a_hostile_rule_is_undecided_with_its_name_and_the_next_decision_works(
    policies: tuple[Workshop, Path], code: str, expected: str
) -> None:
    shop, folder = policies
    write(folder, "good", FINE)
    write(folder, "bad", code)
    started = time.monotonic()

    said = shop.policyd("check", script=IMPATIENT).require(3)
    document = shop.policyd("check", "--format", "json", script=IMPATIENT).require(3).json
    write(folder, "bad", FINE)
    after = shop.policyd("check").require(0)

    assert expected in " ".join(said.out.split())
    assert "undecided  1 pipeline could not be judged" in said.out
    (judged,) = document["decisions"]
    assert judged["decision"]["verdict"] == "undecided"
    assert judged["decision"]["rules"] == ["custom.bad", "custom.good"]
    assert after.out.startswith("allow")
    assert time.monotonic() - started < 30


def test_one_process_judges_on_after_a_hostile_rule(policies: tuple[Workshop, Path]) -> None:
    """Two pipelines in one check: the rule process of the first is gone, and the second is judged by a new one."""
    shop, folder = policies
    write(folder, "good", FINE)
    write(folder, "bad", CRASHING.replace("if f(1)", 'if {\n\tendswith(input.pipeline.path, "b.yaml")\n\tf(1)\n}'))
    shop.write(one_stage("'true'"), "b.yaml")
    try:
        document = shop.policyd("check", "b.yaml", "pipeline.yaml", "--format", "json").require(3).json
    finally:
        (shop.project / "b.yaml").unlink()
        write(folder, "bad", FINE)

    assert {one["path"]: one["decision"]["verdict"] for one in document["decisions"]} == {
        "b.yaml": "undecided",
        "pipeline.yaml": "allow",
    }
