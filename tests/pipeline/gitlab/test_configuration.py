"""How a configuration is put together, and that every fact still points at where its text stands."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from policyd.errors import DocumentError, InputTooLarge
from policyd.pipeline.gitlab.configuration import project_folder
from policyd.pipeline.reading import ReadPipeline, read_pipeline


def _read(text: str, path: str = ".gitlab-ci.yml", **files: str) -> ReadPipeline:
    others = {name.replace("__", "/").replace("_yml", ".yml"): content.encode() for name, content in files.items()}
    return read_pipeline(path, text.encode(), others.get)


def _ran(read: ReadPipeline) -> list[tuple[str, str, str]]:
    """Return stage, place and text of each command."""
    found = []
    for command in read.facts.commands:
        place = read.source_map.place(command.at)
        assert place is not None
        found.append((command.stage, f"{place.file}:{place.line}:{place.column}", command.text))
    return found


def _refusal(text: str, **files: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        _read(text, **files)
    assert caught.value.fix
    return caught.value


# extends, default, anchors, references.


def test_a_line_of_a_script_points_at_itself() -> None:
    read = _read(
        "job:\n  script:\n    - |\n      make\n      if x; then\n        make test\n      fi\n    - echo done\n"
    )

    assert ("job", ".gitlab-ci.yml:6:9", "make test") in _ran(read)
    assert ("job", ".gitlab-ci.yml:8:7", "echo done") in _ran(read)


def test_what_a_job_extends_points_at_the_base() -> None:
    read = _read(
        ".a:\n  script: [make]\n  variables: {X: '1', Y: '2'}\n.b:\n  extends: .a\n  variables: {Y: '3'}\n"
        "job:\n  extends: [.a, .b]\n  variables: {Z: '4'}\n"
    )

    assert _ran(read) == [("job", ".gitlab-ci.yml:2:12", "make")]
    assert {variable.name: variable.value for variable in read.facts.variables} == {"X": "1", "Y": "3", "Z": "4"}


def test_lists_replace_and_mappings_merge() -> None:
    read = _read(".a:\n  script: [one, two]\n  tags: [x]\njob:\n  extends: .a\n  script: [three]\n")

    assert [text for _, _, text in _ran(read)] == ["three"]
    assert read.facts.stages[0].runner == ["x"]


def test_defaults_are_given_to_jobs_that_have_none() -> None:
    text = (
        "default:\n  image: alpine:3\n  before_script: [first]\nafter_script: [last]\n"
        "a:\n  script: [a]\nb:\n  script: [b]\n  before_script: []\n  inherit: {default: [image]}\n"
        "c:\n  script: [c]\n  inherit: {default: false}\n"
    )
    read = _read(text)

    assert _ran(read) == [
        ("a", ".gitlab-ci.yml:3:19", "first"),
        ("a", ".gitlab-ci.yml:6:12", "a"),
        ("a", ".gitlab-ci.yml:4:16", "last"),
        ("b", ".gitlab-ci.yml:8:12", "b"),
        ("c", ".gitlab-ci.yml:12:12", "c"),
    ]
    assert [reference.stage for reference in read.facts.references] == ["a", "b"]


def test_merge_keys_are_read_as_gitlab_reads_them() -> None:
    """Psych takes keys in the order in which they stand: what `<<` brings wins over what stands above it."""
    read = _read(
        ".t: &t\n  script: [template]\n  stage: build\n"
        "below:\n  <<: *t\n  script: [own]\nabove:\n  script: [own]\n  <<: *t\ntwo:\n  <<: [*t, {tags: [x]}]\n"
    )

    assert [(stage, text) for stage, _, text in _ran(read)] == [
        ("below", "own"),
        ("above", "template"),
        ("two", "template"),
    ]
    assert [stage.group for stage in read.facts.stages] == ["build"] * 3


def test_a_reference_stands_where_its_text_stands() -> None:
    read = _read(
        ".setup:\n  script:\n    - one\n    - two\n.vars:\n  variables: {URL: https://x}\n"
        "job:\n  variables:\n    HERE: !reference [.vars, variables, URL]\n"
        "  script:\n    - !reference [.setup, script]\n    - three\n  rules: !reference [.rules, rules]\n"
        ".rules:\n  rules:\n    - !reference [.more, rules]\n    - if: $A\n.more:\n  rules: [{if: $B}]\n"
    )

    assert [place for _, place, _ in _ran(read)] == [".gitlab-ci.yml:3:7", ".gitlab-ci.yml:4:7", ".gitlab-ci.yml:12:7"]
    assert [variable.value for variable in read.facts.variables] == ["https://x"]
    assert [condition.text for condition in read.facts.conditions] == ["$B", "$A"]


def test_a_reference_brings_what_the_other_job_extends() -> None:
    read = _read(".a:\n  script: [make]\n.b:\n  extends: .a\njob:\n  script: [!reference [.b, script]]\n")

    assert [text for _, _, text in _ran(read)] == ["make"]


def test_variables_can_be_kept_out() -> None:
    read = _read(
        "variables: {IMAGE: alpine, TITLE: $CI_COMMIT_TITLE}\n"
        "a:\n  image: $IMAGE\n  script: [echo]\n"
        "b:\n  image: $IMAGE\n  inherit: {variables: [TITLE]}\n  script: [echo]\n"
        "c:\n  image: $IMAGE\n  inherit: {variables: false}\n  script: [echo]\n"
    )

    assert [reference.text for reference in read.facts.references] == ["alpine", "$IMAGE", "$IMAGE"]


# Includes.


def test_included_files_are_asked_for_read_and_pointed_at() -> None:
    read = _read(
        "include: ci/base.yml\njob:\n  extends: .base\n  script: [two]\n",
        ci__base_yml="include:\n  - local: /ci/more.yml\n.base:\n  before_script: [one]\n",
        ci__more_yml="other:\n  script:\n    - three\n",
    )

    assert _ran(read) == [
        ("other", "ci/more.yml:3:7", "three"),
        ("job", "ci/base.yml:4:19", "one"),
        ("job", ".gitlab-ci.yml:4:12", "two"),
    ]
    assert set(read.included) == {"ci/base.yml", "ci/more.yml"}


def test_the_including_file_wins() -> None:
    read = _read("include: a.yml\njob:\n  script: [mine]\n", a_yml="job:\n  script: [theirs]\n  stage: build\n")

    assert [text for _, _, text in _ran(read)] == ["mine"]
    assert read.facts.stages[0].group == "build"


def test_paths_count_from_the_projects_folder() -> None:
    read = _read("include: ci/a.yml\n", "samples/x/.gitlab-ci.yml", samples__x__ci__a_yml="job:\n  script: [make]\n")

    assert _ran(read) == [("job", "samples/x/ci/a.yml:2:12", "make")]
    assert project_folder(".gitlab/ci/a.yml") == ""
    assert project_folder("x/templates/lint/template.yml") == "x/"
    assert project_folder("templates/lint.yml") == ""


def test_what_lies_elsewhere_may_hold_anything() -> None:
    """A job without a script, an unknown base: they may come from the file that can't be seen."""
    for include in ("{project: g/p, file: a.yml}", "{local: 'ci/*.yml'}", "{remote: 'https://x/a.yml'}", "away.yml"):
        read = _read(
            f"include:\n  - {include}\njob:\n  extends: .there\n  stage: test\n"
            "more:\n  script: [!reference [.there, script], one]\n"
        )

        assert [stage.name for stage in read.facts.stages] == ["job", "more"]
        assert [text for _, _, text in _ran(read)] == ["one"]


def test_inputs_are_put_in_where_the_files_say_them() -> None:
    read = _read(
        "include:\n  - local: /t.yml\n    inputs: {image: 'alpine:3', jobs: [a, b]}\n",
        t_yml=(
            "spec:\n  inputs:\n    image:\n    stage: {default: build}\n    jobs: {type: array}\n---\n"
            "job-$[[ inputs.stage ]]:\n  stage: $[[ inputs.stage ]]\n  image: $[[ inputs.image ]]\n"
            "  needs: $[[ inputs.jobs ]]\n  script: echo $[[ inputs.image ]]\n"
        ),
    )

    (stage,) = read.facts.stages
    assert (stage.name, stage.group, stage.needs) == ("job-build", "build", ["a", "b"])
    assert [reference.text for reference in read.facts.references if reference.kind == "image"] == ["alpine:3"]
    assert not any(command.untrusted for command in read.facts.commands)


# Refusals.


@pytest.mark.parametrize(
    ("text", "where", "cause"),
    [
        ("job: 1\n", "1:6", "not a mapping"),
        ("job: {stage: test}\n", "1:1", "neither `script`"),
        ("job:\n  script: {a: b}\n", "2:3", "is a mapping, not a text"),
        ("job:\n  script:\n    - echo: x\n", "3:7", "is a mapping, not a text"),
        ("job:\n  extends: .a\n  script: x\n", "2:12", "which is not there"),
        (".a: x\njob:\n  extends: .a\n  script: x\n", "3:12", "not a mapping"),
        ("a:\n  extends: b\nb:\n  extends: a\n", "2:12", "extends itself"),
        ("a:\n  script: [!reference [.b, script]]\n", "2:12", "which is not there"),
        ("a:\n  script: [!reference [a, script]]\n", "2:3", "nested more than 10 deep"),
        ("a:\n  script: [!reference []]\n", "2:12", "takes a list of names"),
        ("a:\n  script: x\n  image: !reference [a, image]\n", "3:3", "in a circle"),
        ("a:\n  script: !other [x]\n", "2:11", "tag"),
        ("a:\n  script: x\n  rules: {if: $A}\n", "3:3", "not a list"),
        ("a:\n  script: x\n  rules: never\n", "3:10", "not a list"),
        ("a:\n  script: x\n  variables: [b]\n", "3:3", "not a mapping"),
        ("a:\n  script: x\n  image: {entrypoint: ['']}\n", "3:3", "has no `name`"),
        ("a:\n  script: x\n  services: [[{a: b}]]\n", "3:16", "has no `name`"),
        ("include: [{rules: []}]\n", "1:12", "names nothing to include"),
        ("- a\n", "1:1", "not a mapping"),
        ("", "1:1", "empty"),
        ("a: {script: x}\n---\nb: {script: y}\n", "1:1", "no `spec`"),
        ("spec: {}\n---\na: {script: x}\n---\n- x\n", "5:1", "third document"),
        (".a: &a\n  x: 1\nb:\n  <<: [*a, 7]\n", "4:12", "not a mapping"),
        ("a:\n  script: x\na:\n  script: y\n", "3:1", "stands twice"),
    ],
)
def test_what_gitlab_refuses_is_refused_with_its_place(text: str, where: str, cause: str) -> None:
    error = _refusal(text)

    assert cause in error.cause
    assert error.where == f".gitlab-ci.yml:{where}"


def test_a_mistake_in_an_included_file_is_named_there() -> None:
    error = _refusal("include: a.yml\n", a_yml="job:\n  script: {a: b}\n")

    assert error.where == "a.yml:2:3"


def test_a_file_that_includes_itself_is_refused() -> None:
    assert "includes itself" in _refusal("include: a.yml\n", a_yml="include: b.yml\n", b_yml="include: a.yml\n").cause


def test_what_files_copy_is_bounded() -> None:
    """Many jobs that extend a base of many entries would cost their product."""
    base = ".a:\n  script: x\n  variables:\n" + "".join(f"    V{number}: x\n" for number in range(3_000))
    jobs = "".join(f"j{number}:\n  extends: .a\n  variables: {{A: b}}\n" for number in range(3_000))

    with pytest.raises(InputTooLarge, match="copy more than"):
        _read(base + jobs)


def test_references_do_not_multiply_without_end() -> None:
    text = "job:\n  script: [!reference [.s0, script]]\n" + "".join(
        f".s{number}:\n  script: [{', '.join([f'!reference [.s{number + 1}, script]'] * 8)}]\n" for number in range(9)
    )

    with pytest.raises(InputTooLarge, match="references"):
        _read(text + ".s9:\n  script: [echo]\n")


def test_inputs_do_not_grow_without_end() -> None:
    marks = "$[[ inputs.x ]]" * 2_000
    text = f"spec:\n  inputs:\n    x: {{default: {'a' * 1000}}}\n---\njob:\n  script: echo\n  stage: {marks}\n"

    with pytest.raises(InputTooLarge, match="with its inputs"):
        _read(text)


def test_jobs_that_wait_for_too_many_are_refused() -> None:
    jobs = "".join(
        f"{stage}{number}: {{stage: {stage}, script: x}}\n" for stage in ("build", "test") for number in range(500)
    )

    with pytest.raises(InputTooLarge, match="wait for"):
        _read(jobs)


def test_other_files_may_be_parts() -> None:
    """A file that is included need not be whole: its hidden jobs are extended elsewhere."""
    read = _read(".lib:\n  script: [make]\nfragment:\n  rules: []\nvalues:\n  a: b\n", ".gitlab/ci/lib.yml")

    assert _ran(read) == [(".lib", ".gitlab/ci/lib.yml:2:12", "make")]
    assert [stage.name for stage in read.facts.stages] == ["fragment", ".lib"]


def test_documents_of_many_shapes_are_json(recwarn: pytest.WarningsRecorder) -> None:
    read = _read("job:\n  script: [!reference [.a, script]]\n.a: {script: [x]}\n")

    assert isinstance(read.document, Mapping)
    assert read.document["job"]["script"] == [[".a", "script"]]
    assert not recwarn.list
