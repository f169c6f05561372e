"""The examples that the rule reference shows: the bad one breaks its rule, the good one does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.library import library_files
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.decision import Gate
from policyd.pipeline.reading import read_pipeline
from policyd.policy.policy_files import is_example, kind_of
from policyd.policy.policy_set import PolicySet, read_policy_set

EXAMPLES = sorted(path for path in library_files(tests=True) if is_example(path))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(library: PolicySet) -> Iterator[EmbeddedEngine]:
    with EmbeddedEngine(library) as opened:
        yield opened


@pytest.mark.parametrize("path", EXAMPLES)
def test_a_bad_example_breaks_its_rule_and_a_good_one_keeps_it(
    path: str, files: Mapping[str, bytes], library: PolicySet, engine: EmbeddedEngine
) -> None:
    family, name, _, file = path.split("/")
    rule = library.catalogue[f"{family}.{name}"]
    pipeline = read_pipeline(path, files[path])
    document = make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=NOW)

    answer = engine.query([rule.entrypoint], document.model_dump_json().encode())[rule.entrypoint]

    assert answer.error is None
    assert pipeline.ref.dialect in rule.applies_to
    assert bool(answer.value) == file.startswith("bad"), answer.value
    assert file.startswith(("bad", "good"))
    marked = {number for number, line in enumerate(files[path].splitlines(), start=1) if b"# <-- here" in line}
    if marked:
        assert isinstance(answer.value, list)
        places = [pipeline.source_map.place(tuple(found["at"])) for found in answer.value]
        assert {place.line for place in places if place is not None} == marked


def test_every_rule_about_pipelines_has_both_examples(library: PolicySet) -> None:
    for rule in library.catalogue.values():
        if rule.gate is Gate.PIPELINE:
            folder = rule.path.rpartition("/")[0]
            assert {f"{folder}/examples/bad.yml", f"{folder}/examples/good.yml"} <= set(EXAMPLES), rule.id


def test_examples_and_tests_change_no_digest(files: Mapping[str, bytes]) -> None:
    assert read_policy_set(library_files(), "library").sha256 == read_policy_set(files, "library").sha256
    assert not any(is_example(path) or path.endswith("_test.rego") for path in library_files())


def test_rego_among_examples_is_still_a_module() -> None:
    """Else a rule could hide where nobody asks it."""
    assert kind_of("a/b/examples/c.rego").value == "rule or library module"


@pytest.mark.parametrize(
    "path", ["examples/x.yml", "settings/examples/x.json", "a/b/examples/c/x.yml", "a/b/other/x.yml"]
)
def test_other_folders_are_no_place_for_examples(path: str) -> None:
    assert kind_of(path).value == "for nobody"
