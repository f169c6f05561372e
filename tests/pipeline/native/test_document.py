from __future__ import annotations

import json
import time
from collections.abc import Sequence

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.models.pipeline import PipelineFile
from policyd.pipeline.native.document import json_schema
from policyd.pipeline.needs import all_needs
from policyd.pipeline.reading import read_pipeline


def _pipeline(*stages: str) -> PipelineFile:
    text = "policyd: pipeline/v1\nname: x\nstages:\n" + "".join(f"  - {stage}\n" for stage in stages)
    native = read_pipeline("pipeline.yaml", text.encode()).native
    assert native is not None
    return native


def _refusal(*stages: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        _pipeline(*stages)
    return caught.value


@pytest.mark.parametrize(
    "field",
    "approval approvals secret secrets network retry retries cache caches caching lock locks".split(),  # noqa: SIM905
)
def test_fields_of_later_versions_are_refused_by_name(field: str) -> None:
    error = _refusal(f"{{name: a, kind: build, run: make, {field}: 1}}")

    assert f"`{field}` comes with a later version" in error.cause
    assert error.fix == "remove it"


def test_fields_of_later_versions_are_refused_for_the_pipeline_too() -> None:
    with pytest.raises(DocumentError, match="`secrets` comes with a later version"):
        read_pipeline("p.yaml", b"policyd: pipeline/v1\nname: x\nsecrets: []\nstages: []\n")


@pytest.mark.parametrize(
    ("stage", "suggestion"),
    [
        ("{name: a, kind: build, run: make, need: []}", "did you mean `needs`?"),
        ("{name: a, kind: build, run: make, inputs: {product: []}}", "did you mean `products`?"),
        ("{name: a, kind: build, run: make, outputs: [{name: b, pth: c}]}", "did you mean `path`?"),
        ("{name: a, kind: build, run: make, results: [{nam: b}]}", "did you mean `name`?"),
        ("{name: a, kind: build, run: make, tools: [{name: b, locks: c}]}", "did you mean `lock`?"),
        ("{name: a, kind: build, run: make, zzz: 1}", "Known here: name, kind, needs"),
    ],
)
def test_an_unknown_field_gets_a_suggestion(stage: str, suggestion: str) -> None:
    assert suggestion in _refusal(stage).fix


@pytest.mark.parametrize(
    ("stage", "cause"),
    [
        ("{name: a, kind: build, run: 5}", "`run` of stage 'a' can't be 5"),
        ("{name: a, kind: build, run: [make]}", "`run.0` of stage 'a' can't be 'make'"),
        ("{name: a, kind: build, run: [[make, 5]]}", "`run.0.1` of stage 'a' can't be 5"),
        ("{name: a, kind: build, run: [[]]}", "`run.0` of stage 'a' can't have 0 entries"),
        ("{name: a, kind: build, run: make, timeout: 10}", "`timeout` of stage 'a' can't be 10"),
        ("{name: a, kind: build, run: make, inputs: {source: [../b]}}", "`inputs.source.0` of stage 'a'"),
        ("{name: a, kind: build, run: make, inputs: {source: [/etc]}}", "`inputs.source.0` of stage 'a'"),
        ("{name: a, kind: build, run: make, inputs: {products: [b]}}", "`inputs.products.0` of stage 'a'"),
        ("{name: a, kind: build, run: make, env: {A-B: c}}", "`env.A-B` of stage 'a'"),
        ("{name: a, kind: build, run: make, tools: [{name: t, lock: ../l}]}", "`tools.0.lock` of stage 'a'"),
        ("{name: a, kind: build, run: make, outputs: {a: b}}", "`outputs` of stage 'a' can't be a mapping"),
        ("{name: A, kind: build, run: make}", "`name` of stage 'A' can't be 'A'"),
        ("just text", "`stages.0` of the pipeline can't be 'just text'"),
        ("{name: a, kind: build, run: make, tools: [{name: t}, {name: t}]}", "two tools of stage 'a' are called t"),
        ("{name: a, kind: monitor, run: make}", "the monitor stage a has no target"),
    ],
)
def test_what_does_not_fit_is_named_with_its_field_and_stage(stage: str, cause: str) -> None:
    error = _refusal(stage)

    assert cause in error.cause
    assert error.where.startswith("pipeline.yaml:4:")
    assert error.fix


def test_too_many_outputs_are_refused() -> None:
    outputs = ", ".join(f"{{name: n{number}, path: p{number}}}" for number in range(65))

    assert "can't have 65 entries" in _refusal(f"{{name: a, kind: build, run: make, outputs: [{outputs}]}}").cause


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a"),
        ("dist", "dist/a"),
        ("dist/*", "dist/a"),
        ("*.whl", "a*.whl"),
        ("a*", "*b"),
        ("d*/a", "dist/a"),
        ("**", "a/b/c"),
        ("a/**", "a/b"),
        ("a/**/z", "a/b/*"),
        ("a[bc]", "ab"),
        ("a?", "a*"),
    ],
)
def test_paths_that_one_file_could_match_overlap(first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        stage = (
            f'{{name: a, kind: build, run: make, outputs: [{{name: x, path: "{one}"}}, {{name: y, path: "{other}"}}]}}'
        )
        assert "overlap" in _refusal(stage).cause


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "b"),
        ("*.whl", "*.tar.gz"),
        ("a/*", "b/*"),
        ("a/**", "b/**"),
        ("a*", "b*"),
        ("dist/a", "dist/b"),
        ("a", "ab"),
    ],
)
def test_paths_that_no_file_can_share_do_not_overlap(first: str, second: str) -> None:
    _pipeline(
        f'{{name: a, kind: build, run: make, outputs: [{{name: x, path: "{first}"}}, {{name: y, path: "{second}"}}]}}'
    )


def test_a_product_may_come_from_a_stage_needed_through_others() -> None:
    _pipeline(
        "{name: a, kind: build, run: make, outputs: [{name: o, path: o}]}",
        "{name: b, kind: test, run: make, needs: [a]}",
        "{name: c, kind: test, run: make, needs: [b], inputs: {products: [a.o]}}",
    )


def test_a_product_of_a_later_stage_is_refused() -> None:
    error = _refusal(
        "{name: a, kind: build, run: make, inputs: {products: [b.o]}}",
        "{name: b, kind: build, run: make, needs: [a], outputs: [{name: o, path: o}]}",
    )

    assert "a takes b.o and does not need b" in error.cause
    assert error.fix == "add b to the needs of a"


def test_a_stage_cannot_take_its_own_product() -> None:
    assert (
        "does not need a"
        in _refusal("{name: a, kind: build, run: make, inputs: {products: [a.o]}, outputs: [{name: o, path: o}]}").cause
    )


def test_two_thousand_stages_in_a_row_are_read_without_recursion() -> None:
    stages = ["{name: s0, kind: build, run: make}"]
    stages += [f"{{name: s{n}, kind: test, run: make, needs: [s{n - 1}]}}" for n in range(1, 2000)]
    start = time.process_time()

    assert len(_pipeline(*reversed(stages)).stages) == 2000
    assert time.process_time() - start < 8


def test_hidden_characters_in_comments_are_refused_too() -> None:
    text = "# \u202e\npolicyd: pipeline/v1\nname: x\nstages: [{name: a, kind: build, run: make}]\n"

    with pytest.raises(DocumentError, match=r"U\+202E") as caught:
        read_pipeline("p.yaml", text.encode())

    assert caught.value.where == "p.yaml:1:3"


def test_hidden_characters_in_keys_are_refused() -> None:
    assert "a key holds U+200B" in _refusal('{name: a, kind: build, run: make, env: {"A\\u200b": b}}').cause


def test_the_published_schema_accepts_and_refuses_what_policyd_does() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"policyd": "pipeline/v1", "name": "x", "stages": [{"name": "a", "kind": "build", "run": [["make"]]}]}

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "secrets": []})
    assert not validator.is_valid({**good, "stages": [{"name": "A", "kind": "build", "run": "make"}]})
    json.dumps(schema)


def test_every_field_of_the_published_schema_is_described() -> None:
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)

    for model in ("Stage", "Output", "Result", "Tool", "Inputs"):
        for name, field in definitions[model]["properties"].items():
            assert field.get("description"), f"{model}.{name}"


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10))
@settings(deadline=None)
def test_all_needs_is_the_transitive_closure(edges: Sequence[Sequence[int]]) -> None:
    needs = {str(index): [str(other) for other in wanted if other < index] for index, wanted in enumerate(edges)}

    def closure(name: str) -> set[str]:
        return {found for other in needs[name] for found in (other, *closure(other))}

    for name, bits in all_needs(needs).items():
        assert {other for index, other in enumerate(needs) if bits >> index & 1} == closure(name)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab./*\u202e", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "run", "path", "x"]), inner),
    max_leaves=6,
)
_FIELDS = ["name", "kind", "needs", "run", "inputs", "outputs", "results", "tools", "env", "timeout", "target", "locks"]


@given(st.dictionaries(st.sampled_from(_FIELDS), _ANY), _ANY)
@settings(max_examples=300, deadline=None)
def test_any_document_gives_a_pipeline_or_one_clear_error(stage: dict[str, object], name: object) -> None:
    stage = {"name": "a", "kind": "build", "run": "make", **stage}
    content = json.dumps({"policyd": "pipeline/v1", "name": name, "stages": [stage]}, ensure_ascii=False).encode()

    try:
        read = read_pipeline("p.yaml", content)
    except DocumentError as refusal:
        caught = refusal
    else:
        assert read.native is not None
        return

    assert caught.where.startswith("p.yaml:1:")
    assert caught.cause.isprintable()
    assert caught.fix
