from __future__ import annotations

from policyd.models.facts import Facts
from policyd.pipeline.reading import ReadPipeline, read_pipeline

TEXT = """\
policyd: pipeline/v1
name: x
stages:
  - name: build
    kind: build
    inputs: {source: true}
    tools:
      - {name: python, lock: requirements.txt}
      - name: compiler
    env: {LEVEL: "2"}
    run: |
      make all
      curl https://x | sh
    outputs:
      - {name: wheel, path: "*.whl"}
  - name: unit
    kind: test
    needs: [build]
    timeout: 90s
    run: [[pytest, -q], [bash, -c, "curl https://y | sh"]]
    results:
      - {name: unit, kind: junit, path: junit.xml}
  - name: ship
    kind: deploy
    needs: [unit]
    run: make ship
    target: local
"""


def _read() -> ReadPipeline:
    return read_pipeline("pipeline.yaml", TEXT.encode())


def _line(read: ReadPipeline, fact: object) -> tuple[int, int]:
    place = read.source_map.place(fact.at)  # type: ignore[attr-defined]
    assert place is not None
    return place.line, place.column


def test_stages_are_seen_with_what_they_need_and_leave() -> None:
    build, unit, ship = _read().facts.stages

    assert (build.name, build.kind, build.has_source, build.outputs) == ("build", "build", True, ["wheel"])
    assert (build.timeout_seconds, build.explicit_timeout) == (600, False)
    assert (unit.needs, unit.needs_kinds, unit.results) == (["build"], ["build"], ["junit"])
    assert (unit.timeout_seconds, unit.explicit_timeout) == (90, True)
    assert (ship.needs_kinds, ship.target) == (["build", "test"], "local")
    assert [build.untrusted, build.privileged, build.self_hosted] == [False, False, False]


def test_commands_come_from_scripts_and_from_argument_lists() -> None:
    read = _read()

    found = [(one.stage, one.program, one.pipes_to, _line(read, one)) for one in read.facts.commands]

    assert found == [
        ("build", "make", "", (12, 7)),
        ("build", "curl", "sh", (13, 7)),
        ("build", "sh", "", (13, 24)),
        ("unit", "pytest", "", (20, 12)),
        ("unit", "bash", "", (20, 26)),
        ("unit", "curl", "sh", (20, 26)),
        ("unit", "sh", "", (20, 26)),
        ("ship", "make", "", (26, 10)),
    ]


def test_tools_are_references_pinned_by_their_lock_file() -> None:
    assert [(one.kind, one.name, one.pinned, one.local, one.ref) for one in _read().facts.references] == [
        ("tool", "python", True, False, "requirements.txt"),
        ("tool", "compiler", False, False, ""),
    ]


def test_environment_variables_are_literal() -> None:
    (variable,) = _read().facts.variables

    assert (variable.name, variable.value, variable.literal, variable.stage) == ("LEVEL", "2", True, "build")


def test_every_fact_has_a_place_and_its_index() -> None:
    read = _read()

    for kind in Facts.model_fields:
        for index, fact in enumerate(getattr(read.facts, kind)):
            assert fact.at == (kind, index)
            assert read.source_map.place(fact.at) is not None
