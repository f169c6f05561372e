from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from policyd.errors import PolicyError
from policyd.policy.policy_set import MAX_FILES, find_prefix, read_policy_set

Files = Callable[..., dict[str, bytes]]

SETTING = b"""#   settings:
#     allowed:
#       type: strings
#       default: []
#       tighter: subset
#       description: Colours that may hide something.
"""
HELPER = b"package policyd.lib.paint\n\nis_red(thing) if thing.colour == `red`\n"
TEST = b"package policyd.colours.red_test\n\ntest_it if true\n"


def test_a_policy_set_has_rules_tests_and_a_name(files: Files) -> None:
    given = {**files("red", "blue"), "lib/paint.rego": HELPER, "colours/red/red_test.rego": TEST}

    found = read_policy_set(given, "house")

    assert found.ref.name == "house"
    assert list(found.catalogue) == ["colours.blue", "colours.red"]
    assert list(found.modules) == ["colours/blue/blue.rego", "colours/red/red.rego", "lib/paint.rego"]
    assert list(found.tests) == ["colours/red/red_test.rego"]


@pytest.mark.parametrize("given", [{}, {"README.md": b"x"}, {"lib/paint.rego": HELPER}])
def test_a_folder_without_rules_is_refused(given: dict[str, bytes]) -> None:
    with pytest.raises(PolicyError, match="holds no rules"):
        read_policy_set(given, "empty")


def test_the_digest_covers_rules_libraries_collections_and_settings(files: Files) -> None:
    given = {
        **files("red"),
        "lib/paint.rego": HELPER,
        "collections/all.json": b'["colours.red"]',
        "settings/colours.json": b"{}",
        "data/paints.json": b'{"old": ["lead"]}',
    }
    original = read_policy_set(given, "x").sha256

    for path, content in given.items():
        changed = {**given, path: content + b"\n"}
        assert read_policy_set(changed, "x").sha256 != original, path
        if path != "colours/red/red.rego":
            without = {other: content for other, content in given.items() if other != path}
            assert read_policy_set(without, "x").sha256 != original, path


def test_the_digest_leaves_out_what_changes_no_answer(files: Files) -> None:
    given = files("red")
    with_more = {**given, "colours/red/red_test.rego": TEST, "README.md": b"x", "frameworks/x.json": b"{}"}

    assert read_policy_set(with_more, "x").sha256 == read_policy_set(given, "y").sha256


def test_a_renamed_file_is_another_set(files: Files) -> None:
    (content,) = files("red").values()

    assert read_policy_set({"a.rego": content}, "x").sha256 != read_policy_set({"b.rego": content}, "x").sha256


@pytest.mark.parametrize("package", ["other.colours.red", "policyd", "policydx.colours.red"])
def test_a_module_of_another_layer_is_refused(files: Files, package: str) -> None:
    (content,) = files("red").values()
    given = {"red.rego": content.replace(b"package policyd.colours.red", f"package {package}".encode())}

    with pytest.raises(PolicyError, match="not below 'policyd'"):
        read_policy_set(given, "x")


def test_a_library_module_can_not_bring_rules_of_the_prefix_along(files: Files) -> None:
    """Packages are open: a second module in a rule's package would have its say, so it is refused."""
    (content,) = files("red").values()

    with pytest.raises(PolicyError, match="two rules"):
        read_policy_set({"red.rego": content, "shadow.rego": content}, "x")


@pytest.mark.parametrize("path", ["setings/a.json", "data.json", "rules.yaml", "collections/sub/a.json", ".manifest"])
def test_a_file_that_no_rule_would_read_is_refused(files: Files, path: str) -> None:
    with pytest.raises(PolicyError, match="no rule would ever read it") as refused:
        read_policy_set({**files("red"), path: b"{}"}, "x")

    assert refused.value.where == path


def test_a_rule_that_is_called_like_a_test_is_refused(rule: Callable[..., bytes]) -> None:
    given = {"colours/red/red.rego": rule("red"), "colours/failed_test/failed_test.rego": rule("failed_test")}

    with pytest.raises(PolicyError, match="called like a test"):
        read_policy_set(given, "x")


def test_a_test_inside_its_rules_package_is_refused(files: Files) -> None:
    given = {**files("red"), "colours/red/red_test.rego": TEST.replace(b"red_test", b"red")}

    with pytest.raises(PolicyError, match="declares the package"):
        read_policy_set(given, "x")


@pytest.mark.parametrize("content", [b"{}", b"[]", b"[1]", b'["colours.red", "colours.red"', b'["colours.rde"]'])
def test_a_collection_that_is_no_list_of_known_rules_is_refused(files: Files, content: bytes) -> None:
    with pytest.raises(PolicyError):
        read_policy_set({**files("red"), "collections/all.json": content}, "x")


def test_an_unknown_rule_comes_with_the_nearest(files: Files) -> None:
    with pytest.raises(PolicyError) as refused:
        read_policy_set({**files("red"), "collections/all.json": b'["colours.rad"]'}, "x")

    assert refused.value.fix == "did you mean 'colours.red'?"
    assert refused.value.where == "collections/all.json"


def test_settings_are_data_for_rules(files: Files) -> None:
    red = files("red")["colours/red/red.rego"].replace(b"#   remediation", SETTING + b"#   remediation")
    own = read_policy_set({"red.rego": red}, "x")
    changed = read_policy_set({"red.rego": red, "settings/colours.json": b'{"red": {"allowed": ["blue"]}}'}, "x")

    assert own.data == {"policyd": {"settings": {"colours": {"red": {"allowed": []}}}}}
    assert changed.data == {"policyd": {"settings": {"colours": {"red": {"allowed": ["blue"]}}}}}
    assert own.sha256 != changed.sha256


def test_known_facts_are_data_for_rules(files: Files) -> None:
    given = {**files("red"), "data/paints.json": b'{"old": ["lead"]}'}

    assert read_policy_set(files("red"), "x").data["policyd"].keys() == {"settings"}
    assert read_policy_set(given, "x").data["policyd"]["known"] == {"paints": {"old": ["lead"]}}


def test_known_facts_that_are_no_json_or_too_large_are_refused(files: Files) -> None:
    for content in (b"{", b'{"a": 1, "a": 2}', b'"' + b"x" * 1024 * 1024 + b'"'):
        with pytest.raises(PolicyError) as refused:
            read_policy_set({**files("red"), "data/paints.json": content}, "x")

        assert "data/paints.json" in refused.value.where


@pytest.mark.parametrize("content", [b"[]", b'{"red": 1}', b'{"red": {"alowed": []}}', b'{"red": {"allowed": "blue"}}'])
def test_settings_that_fit_no_rule_are_refused(files: Files, content: bytes) -> None:
    red = files("red")["colours/red/red.rego"].replace(b"#   remediation", SETTING + b"#   remediation")

    with pytest.raises(PolicyError) as refused:
        read_policy_set({"red.rego": red, "settings/colours.json": content}, "x")

    assert "settings/colours.json" in refused.value.where


@pytest.mark.parametrize("family", [b"settings", b"known"])
def test_a_package_where_data_stands_is_refused(files: Files, family: bytes) -> None:
    taken = files("red")["colours/red/red.rego"].replace(b"colours.red", family + b".red")

    with pytest.raises(PolicyError, match="where the values of settings or known facts stand"):
        read_policy_set({"settings/red/red.rego": taken}, "x")


def test_too_many_files_are_refused() -> None:
    with pytest.raises(PolicyError, match="more than"):
        read_policy_set({f"{number}.md": b"" for number in range(MAX_FILES + 1)}, "x")


def test_a_rule_needs_its_own_module_and_what_it_names(files: Files, rule: Callable[..., bytes]) -> None:
    using = rule("red") + b"\nx if data.policyd.lib.paint.is_red(input)\n"
    found = read_policy_set(
        {**files("blue"), "colours/red/red.rego": using, "lib/paint.rego": HELPER, "colours/red/red_test.rego": TEST},
        "x",
    )

    assert list(found.modules_for(["policyd.colours.blue.deny"])) == ["colours/blue/blue.rego"]
    assert list(found.modules_for(["policyd.colours.red.deny"])) == ["colours/red/red.rego", "lib/paint.rego"]


@pytest.mark.parametrize(
    "code", ["x := data", "x := data[input.y]", "x := data.policyd", "x := data.policyd.colours[y]"]
)
def test_a_rule_that_may_reach_anything_gets_everything(rule: Callable[..., bytes], files: Files, code: str) -> None:
    found = read_policy_set({**files("blue"), "colours/red/red.rego": rule("red") + code.encode()}, "x")

    assert list(found.modules_for(["policyd.colours.red.deny"])) == ["colours/blue/blue.rego", "colours/red/red.rego"]


def test_tests_have_no_say_in_what_a_gate_asks(rule: Callable[..., bytes]) -> None:
    given = {"colours/red/red.rego": rule("red") + b"x := data\n", "colours/red/red_test.rego": TEST}

    found = read_policy_set(given, "x")

    assert list(found.modules_for(["policyd.colours.red.deny"])) == ["colours/red/red.rego"]
    assert "colours/red/red_test.rego" in found.with_tests().modules_for(["policyd.colours.red_test.test_it"])


def test_reading_does_not_depend_on_the_order_of_files(files: Files) -> None:
    given = files("red", "blue", "green")

    backwards = dict(reversed(given.items()))

    assert read_policy_set(given, "x").sha256 == read_policy_set(backwards, "x").sha256
    assert json.dumps(list(read_policy_set(backwards, "x").modules)) == json.dumps(sorted(given))


def test_an_authors_tools_find_the_prefix_of_a_layer(files: Files) -> None:
    moved = {path: content.replace(b"package policyd.", b"package project.") for path, content in files("red").items()}

    assert find_prefix(files("red", "blue")) == "policyd"
    assert find_prefix({**moved, "lib/paint.rego": HELPER, "broken.rego": b"x"}) == "project"
    assert find_prefix({**moved, **files("blue")}) == "policyd"
    assert find_prefix({}) == "policyd"
    assert (
        find_prefix({"a.rego": moved["colours/red/red.rego"].replace(b"id: colours.red", b"id: colours.rad")})
        == "policyd"
    )
