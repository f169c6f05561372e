"""What is known of the library's modules saves a look at them, and never lets anything through.

That the list is current is a test of what is made from the code (tests/packaging/test_docs.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from policyd.adapters.engines import checked_modules, embedded
from policyd.adapters.engines.checked_modules import CHECKED, find_checked
from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.rule_process import regorus_version
from policyd.adapters.library import library_files, library_folder
from policyd.errors import PolicyError
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Gate
from policyd.policy.policy_set import PolicySet, read_policy_set

RULE = """# METADATA
# title: A rule
# description: One.
# custom:
#   id: a.b
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   remediation: Mend it.
package policyd.a.b

deny contains {"message": MESSAGE, "at": []} if {
	input.x
}
"""


@pytest.fixture
def library() -> PolicySet:
    return read_policy_set(library_files(), name="library")


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep a folder in the place of the library's, with the lists of builtins and what else a test puts there."""
    for name in ("capabilities.json", "embedded.json", CHECKED):
        (tmp_path / name).write_bytes((library_folder() / name).read_bytes())
    monkeypatch.setattr(checked_modules, "library_folder", lambda: tmp_path)
    _forget()
    yield tmp_path
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    checked_modules._read_list.cache_clear()
    checked_modules.digest_builtins.cache_clear()


def test_a_text_that_is_listed_is_known(listed: Path) -> None:
    modules = {"x.rego": "package policyd.x\n", "y.rego": "package policyd.y\n"}
    packages = {"x.rego": "policyd.x", "y.rego": "policyd.y"}
    _list(listed, modules, {"use": ["prints"], "split": ["policyd"]})

    known = find_checked(modules, packages, engine=regorus_version())

    assert known.keys() == modules.keys()
    assert known["x.rego"].use.prints
    assert known["x.rego"].split == {"policyd"}


def test_what_is_not_listed_to_the_byte_is_checked_anew(listed: Path) -> None:
    modules = {"x.rego": "package policyd.x\n", "y.rego": "package policyd.y\n"}
    packages = {"x.rego": "policyd.x", "y.rego": "policyd.y"}
    _list(listed, modules, {"use": [], "split": []})

    changed = {**modules, "y.rego": "package policyd.y\n\n"}
    assert find_checked(changed, packages, engine=regorus_version()).keys() == {"x.rego"}
    # 1. Another engine, other builtins.
    assert find_checked(modules, packages, engine="0.0.1") == {}
    (listed / "embedded.json").write_text('["http.send"]')
    _forget()
    assert find_checked(modules, packages, engine=regorus_version()) == {}


def test_modules_that_share_a_package_are_looked_at_together(listed: Path) -> None:
    modules = {"x.rego": "package policyd.x\na := 1\n", "y.rego": "package policyd.x\nb := 1\n"}
    _list(listed, modules, {"use": [], "split": []})

    assert find_checked(modules, dict.fromkeys(modules, "policyd.x"), engine=regorus_version()) == {}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"engine": 5}', '{"engine": "1", "modules": [1]}', "null"])
def test_a_list_of_another_shape_is_none(listed: Path, content: str) -> None:
    (listed / CHECKED).write_text(content)
    _forget()

    assert find_checked({}, {}, engine=regorus_version()) == {}


def test_answers_are_the_same_with_and_without_the_list(
    library: PolicySet, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entrypoints = [rule.entrypoint for rule in library.catalogue.values() if rule.gate is Gate.PIPELINE]
    with EmbeddedEngine(library) as engine:
        quick = engine.query(entrypoints, b"{}")
        assert engine._uses
        uses, split = dict(engine._uses), dict(engine._split)
    monkeypatch.setattr(embedded, "find_checked", lambda *_args, **_named: {})

    with EmbeddedEngine(library) as engine:
        assert engine.query(entrypoints, b"{}") == quick
        assert (engine._uses, engine._split) == (uses, split)


def test_what_may_not_be_used_is_refused_though_the_rest_is_listed(library: PolicySet) -> None:
    files = {**library_files(), "a/b/b.rego": RULE.replace("MESSAGE", "http.send({})").encode()}
    forbidden = read_policy_set(files, name="set")

    with EmbeddedEngine(forbidden) as engine, pytest.raises(PolicyError, match=r"http\.send"):
        engine.query([rule.entrypoint for rule in forbidden.catalogue.values()], b"{}")


def test_an_engine_that_was_begun_answers_any_question(library: PolicySet) -> None:
    pipeline = [rule.entrypoint for rule in library.catalogue.values() if rule.gate is Gate.PIPELINE]
    stage = [rule.entrypoint for rule in library.catalogue.values() if rule.gate is Gate.STAGE]
    with EmbeddedEngine(library) as engine:
        expected = engine.query(stage, b"{}"), engine.query(pipeline, b"{}")

    with EmbeddedEngine(library) as engine:
        engine.begin(pipeline)
        process = engine.process_id
        assert process is not None

        assert (engine.query(stage, b"{}"), engine.query(pipeline, b"{}")) == expected
        assert engine.process_id == process


def test_what_is_wrong_with_a_set_that_was_begun_is_said_by_the_first_question() -> None:
    broken = read_policy_set({"a/b/b.rego": RULE.replace("MESSAGE", '"open').encode()}, name="set")
    with EmbeddedEngine(broken) as engine:
        engine.begin(["policyd.a.b.deny"])

        with pytest.raises(PolicyError, match="does not compile"):
            engine.query(["policyd.a.b.deny"], b"{}")


def _list(folder: Path, modules: Mapping[str, str], known: object) -> None:
    document = json.loads((folder / CHECKED).read_bytes())
    document["modules"] = {sha256_hex(text.encode()): known for text in modules.values()}
    (folder / CHECKED).write_text(json.dumps(document))
    _forget()
