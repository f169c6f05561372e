"""The examples that the rule reference shows: the bad one breaks its rule, the good one does not.

What an example needs of other files of its repository lies beside it as `with-….yml`. A first line `# file: PATH` says
where a file lies in its repository, for systems that go by that; one that reads `# settings: {"NAME": value}` chooses
settings of the rule, for rules that find nothing without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.library import library_files
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.decision import Gate
from policyd.models.input import Dialect
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.chosen_settings import Wishes, choose
from policyd.policy.policy_files import is_example, kind_of
from policyd.policy.policy_set import PolicySet, read_policy_set

EXAMPLES = sorted(
    path for path in library_files(tests=True) if is_example(path) and not path.rpartition("/")[2].startswith("with-")
)
#: Families whose rules do not have examples for all systems yet.
UNFINISHED: frozenset[str] = frozenset()
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
    pipelines = read_example(path, files)
    pipeline = pipelines[0]
    document = make_pipeline_input(pipeline, make_repository(pipelines), governance="self", now=NOW)

    question = [rule.entrypoint], document.model_dump_json().encode()
    settings = read_settings(files[path])
    if settings:
        chosen = choose(library.settings, Wishes({rule.id: settings}, path))
        with EmbeddedEngine(library.with_settings(chosen)) as other:
            answer = other.query(*question)[rule.entrypoint]
    else:
        answer = engine.query(*question)[rule.entrypoint]

    assert answer.error is None
    assert pipeline.ref.dialect in rule.applies_to
    assert bool(answer.value) == file.startswith("bad"), answer.value
    assert file.startswith(("bad", "good"))
    marked = {
        (name, number)
        for name, content in {**pipeline.included, pipeline.ref.path: files[path]}.items()
        for number, line in enumerate((content or b"").splitlines(), start=1)
        if b"# <-- here" in line
    }
    if marked:
        assert isinstance(answer.value, list)
        places = [pipeline.source_map.place(tuple(found["at"])) for found in answer.value]
        assert {(place.file, place.line) for place in places if place is not None} == marked


def test_every_rule_about_pipelines_has_both_examples_for_each_system(
    files: Mapping[str, bytes], library: PolicySet
) -> None:
    shown: dict[str, set[tuple[Dialect, str]]] = {}
    for path in EXAMPLES:
        family, name, _, file = path.split("/")
        dialect = read_example(path, files)[0].ref.dialect
        shown.setdefault(f"{family}.{name}", set()).add((dialect, file[: 3 + file.startswith("good")]))
    for rule in library.catalogue.values():
        if rule.gate is Gate.PIPELINE:
            folder = rule.path.rpartition("/")[0]
            assert {f"{folder}/examples/bad.yml", f"{folder}/examples/good.yml"} <= set(EXAMPLES), rule.id
            wanted = {(dialect, verdict) for dialect in rule.applies_to for verdict in ("bad", "good")}
            if rule.id.partition(".")[0] not in UNFINISHED:
                assert wanted - shown[rule.id] == set(), rule.id


def read_example(path: str, files: Mapping[str, bytes]) -> list[ReadPipeline]:
    """Return an example as policyd judges it in its repository, and after it the files beside it."""
    folder = path.rpartition("/")[0]
    beside = {
        _place(name, files[name]): files[name]
        for name in sorted(files)
        if name.startswith(f"{folder}/with-") and is_example(name)
    }
    paths = {_place(path, files[path]): files[path]} | beside
    return link([read_pipeline(name, content, beside.get) for name, content in paths.items()])


def read_settings(content: bytes) -> Mapping[str, object]:
    """Return the settings that an example is judged with, as its first line has them."""
    first = content.partition(b"\n")[0]
    mark = b"# settings: "
    return dict(json.loads(first.removeprefix(mark))) if first.startswith(mark) else {}


def _place(path: str, content: bytes) -> str:
    first = content.partition(b"\n")[0].decode()
    return first.removeprefix("# file: ").strip() if first.startswith("# file: ") else path


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
