"""Templates and what `${{ }}` makes of a document."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from policyd.errors import DocumentError, InputTooLarge
from policyd.models.input import PipelineKind
from policyd.pipeline.azure import read
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.reading import read_pipeline

FIXTURES = Path(__file__).parent / "fixtures"


def facts_of(
    text: str,
    files: Mapping[str, str] | None = None,
    kind: PipelineKind = "pipeline",
    path: str = "azure-pipelines.yml",
) -> FrontEndRead:
    included = {name: dedent(content).encode() for name, content in (files or {}).items()}
    return read(path, dedent(text).encode(), kind, included)


def commands(found: FrontEndRead) -> list[str]:
    places = [found.source_map.place(one.at) for one in found.facts.commands]
    return [f"{one.text} {at.file}:{at.line}" for one, at in zip(found.facts.commands, places, strict=True) if at]


def test_a_template_that_is_not_there_yet_is_asked_for() -> None:
    text = "steps:\n- template: ci/steps.yml\n- template: /common/a.yml\n- template: b.yml@other\n- script: x\n"
    assert facts_of(text).missing == ("ci/steps.yml", "common/a.yml")

    found = read("azure-pipelines.yml", text.encode(), "pipeline", {"ci/steps.yml": None, "common/a.yml": None})
    assert found.missing == ()
    assert commands(found) == ["x azure-pipelines.yml:5"]
    assert [(one.text, one.local, one.name) for one in found.facts.references] == [
        ("ci/steps.yml", True, "ci/steps.yml"),
        ("/common/a.yml", True, "/common/a.yml"),
        ("b.yml@other", False, "b.yml"),
    ]


def test_a_pipeline_that_includes_too_much_is_refused_and_not_read_in_part() -> None:
    deep = {f"{n}.yml": f"steps:\n- template: {n + 1}.yml\n".encode() for n in range(40)}
    with pytest.raises(DocumentError, match="deep in each other"):
        read_pipeline("azure-pipelines.yml", b"steps:\n- template: 0.yml\n", deep.get)
    wide = "steps:\n" + "".join(f"- template: {n}.yml\n" for n in range(300))
    with pytest.raises(InputTooLarge, match="more than 256 files"):
        read_pipeline("azure-pipelines.yml", wide.encode(), lambda _path: b"steps: []\n")


def test_paths_count_from_the_file_or_from_the_top() -> None:
    files = {
        "ci/steps.yml": "steps:\n- template: inner/x.yml\n- template: /top.yml\n- template: top.yml@self\n",
        "ci/inner/x.yml": "steps:\n- script: inner\n",
        "top.yml": "steps:\n- script: top\n",
    }
    found = facts_of("steps:\n- template: steps.yml\n", files, path="ci/azure-pipelines.yml")
    assert commands(found) == ["inner ci/inner/x.yml:2", "top top.yml:2", "top top.yml:2"]


def test_a_template_above_the_repository_is_not_asked_for() -> None:
    assert facts_of("steps:\n- template: ../../etc/passwd\n- template: a/../../b.yml\n").missing == ()


@pytest.mark.parametrize(
    "files",
    [
        {"a.yml": "steps:\n- template: a.yml\n"},
        {"a.yml": "steps:\n- template: b.yml\n", "b.yml": "steps:\n- template: a.yml\n"},
        {"a.yml": "steps:\n- template: azure-pipelines.yml\n"},
    ],
)
def test_a_circle_of_templates_is_refused(files: Mapping[str, str]) -> None:
    with pytest.raises(DocumentError, match="includes itself"):
        facts_of("steps:\n- template: a.yml\n", files)


def test_templates_that_grow_without_end_are_refused() -> None:
    files = {f"{n}.yml": f"steps:\n- template: {n + 1}.yml\n- template: {n + 1}.yml\n" for n in range(18)}
    files["18.yml"] = "steps:\n- script: x\n"
    with pytest.raises(InputTooLarge):
        facts_of("steps:\n- template: 0.yml\n", files)


def test_loops_in_loops_are_refused() -> None:
    names = "[" + ",".join("x" * 200) + "]"
    loops = "".join(f"{'  ' * n}- ${{{{ each x{n} in parameters.names }}}}:\n" for n in range(4))
    text = f"parameters:\n- name: names\n  type: object\n  default: {names}\nsteps:\n{loops}{'  ' * 4}- script: x\n"
    with pytest.raises(InputTooLarge):
        facts_of(text)


def test_a_template_of_another_kind_is_refused() -> None:
    with pytest.raises(DocumentError, match="not a template of steps") as refused:
        facts_of("steps:\n- template: a.yml\n", {"a.yml": "jobs: []\n"})
    assert refused.value.where == "azure-pipelines.yml:2:13"


def test_a_wrong_template_is_an_error_with_its_own_place() -> None:
    with pytest.raises(DocumentError) as refused:
        facts_of("steps:\n- template: a.yml\n", {"a.yml": "steps:\n- script: [x]\n"})
    assert refused.value.where == "a.yml:2:3"


def test_the_same_template_is_read_with_the_parameters_of_each_call() -> None:
    text = """
        steps:
        - template: a.yml
          parameters: {text: $(Build.SourceVersionMessage)}
        - template: a.yml
          parameters: {text: fixed}
        - template: a.yml
        """
    files = {"a.yml": "parameters:\n- {name: text, default: none}\nsteps:\n- bash: echo ${{ parameters.text }}\n"}
    found = facts_of(text, files)
    assert [one.untrusted for one in found.facts.commands] == [True, False, False]
    (flow,) = found.facts.flows
    at = found.source_map.place(flow.at)
    assert at is not None
    assert (flow.kind, flow.name, flow.into, flow.place, at.line) == ("call", "text", "a.yml", "a.yml:4", 4)


def test_a_parameter_that_takes_listed_values_lets_no_text_through() -> None:
    text = "steps:\n- template: a.yml\n  parameters: {text: $(Build.SourceVersionMessage)}\n"
    template = "parameters:\n- {name: text, VALUES}\nsteps:\n- bash: echo ${{ parameters.text }}\n"
    for given in ("values: [a, b]", "type: boolean", "type: number"):
        found = facts_of(text, {"a.yml": template.replace("VALUES", given)})
        assert not any(one.untrusted for one in found.facts.commands), given


def test_steps_jobs_and_loops_are_put_where_they_belong() -> None:
    name = "extends.yml"
    content = (FIXTURES / name).read_bytes()
    found = read_pipeline(name, content, lambda path: (FIXTURES / path).read_bytes())
    assert [(one.name, one.needs, one.runner) for one in found.facts.stages] == [
        ("A", [], ["ubuntu-latest"]),
        ("B", ["A"], []),
        ("test_old", [], []),
        ("test_new", [], []),
    ]
    place = {one.text: found.source_map.place(one.at) for one in found.facts.commands}
    make = place["make"]
    assert make is not None
    assert (make.file, make.line) == ("extends.yml", 10)
    assert [one.text for one in found.facts.references if one.kind == "image"] == ["python:3.8", "python:3.13"]


def test_a_template_by_itself_shows_all_sides() -> None:
    content = (FIXTURES / "templates" / "scan.yml").read_bytes()
    found = read("templates/scan.yml", content, "template", {})
    assert [one.text for one in found.facts.commands][:3] == ["echo never", "echo thorough", "echo quick"]
    assert found.facts.stages == []
    assert found.facts.triggers == []


def test_a_loop_over_what_a_caller_gives_is_read_once() -> None:
    content = (FIXTURES / "templates" / "wrap.yml").read_bytes()
    found = read("templates/wrap.yml", content, "template", {})
    assert [one.text for one in found.facts.commands] == ["echo before", "echo after", "echo ${{ image.name }}"]


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("if eq(parameters.mode, 'a')", True),
        ("if eq(parameters.mode, 'B')", False),
        ("if ne(parameters.mode, 'a')", False),
        ("if not(eq(parameters.mode, 'a'))", False),
        ("if and(eq(parameters.mode, 'a'), eq(parameters.flag, true))", True),
        ("if parameters.flag", True),
        ("if not(parameters.flag)", False),
        ("if eq(variables['Build.Reason'], 'Manual')", True),
        ("if eq(parameters.other, true)", True),
        ("if eq(parameters.unknown, 'x')", True),
    ],
)
def test_only_a_side_that_surely_is_not_taken_is_left_out(condition: str, taken: bool) -> None:
    parameters = """
        parameters:
        - name: mode
        - {name: flag, type: boolean}
        - {name: other, default: 'false'}
        steps:
        """
    template = dedent(parameters) + f"- ${{{{ {condition} }}}}:\n  - script: inside\n"
    text = "steps:\n- template: a.yml\n  parameters: {mode: a, flag: true}\n"
    assert bool(facts_of(text, {"a.yml": template}).facts.commands) is taken


def test_an_else_is_left_out_only_after_a_side_that_is_surely_taken() -> None:
    template = """
        parameters:
        - name: mode
        steps:
        - ${{ if eq(parameters.mode, 'a') }}:
          - script: first
        - ${{ elseif eq(parameters.mode, 'b') }}:
          - script: second
        - ${{ else }}:
          - script: third
        """
    for mode, scripts in (
        ("a", ["first"]),
        ("b", ["second"]),
        ("c", ["third"]),
        ("$(x)", ["first", "second", "third"]),
    ):
        found = facts_of(f"steps:\n- template: a.yml\n  parameters: {{mode: {mode}}}\n", {"a.yml": template})
        assert [one.text for one in found.facts.commands] == scripts


def test_both_sides_of_a_mapping_are_put_together() -> None:
    text = """
        jobs:
        - job: A
          ${{ if eq(variables['Build.Reason'], 'Manual') }}:
            steps:
            - script: first
          ${{ else }}:
            steps:
            - script: second
          variables:
            ${{ insert }}: ${{ parameters.more }}
            own: x
        parameters:
        - name: more
          type: object
          default: {given: y}
        """
    found = facts_of(text)
    assert [one.text for one in found.facts.commands] == ["first", "second"]
    assert [one.name for one in found.facts.variables] == ["given", "own"]


def test_what_a_template_elsewhere_is_given_counts_as_run() -> None:
    text = """
        pr: [main]
        resources:
          repositories:
          - {repository: base, type: git, name: Platform/base, ref: refs/heads/main}
        extends:
          template: v1/pipeline.yml@base
          parameters:
            pool: {name: private}
            stages:
            - stage: Build
              jobs:
              - job: A
                steps:
                - script: echo $(Build.SourceVersionMessage)
        """
    found = facts_of(text)
    assert [one.name for one in found.facts.stages] == ["Build.A"]
    assert commands(found) == ["echo $(Build.SourceVersionMessage) azure-pipelines.yml:15"]
    (template,) = [one for one in found.facts.references if one.kind == "template"]
    assert (template.owner, template.ref, template.pinned) == ("Platform/base", "refs/heads/main", False)


def test_the_script_that_a_parameter_has_by_default_is_read() -> None:
    text = "parameters:\n- {name: script, default: make all}\nsteps:\n- bash: ${{ parameters.script }}\n"
    found = facts_of(text, kind="template")
    assert commands(found)[-1] == "make all azure-pipelines.yml:2"
    assert [one.open for one in found.facts.expressions] == [True]


def test_a_parameter_in_itself_ends() -> None:
    text = """
        parameters:
        - name: steps
          type: stepList
          default:
          - ${{ parameters.steps }}
        steps:
        - ${{ parameters.steps }}
        """
    assert facts_of(text).facts.commands == []


def test_the_first_form_of_parameters_is_known() -> None:
    text = "steps:\n- template: a.yml\n  parameters: {image: 'x:1'}\n"
    files = {"a.yml": "parameters:\n  image: y:1\n  cmd: make\nsteps:\n- script: docker run ${{ parameters.image }}\n"}
    assert [one.argv for one in facts_of(text, files).facts.commands] == [["docker", "run", "${{ parameters.image }}"]]
