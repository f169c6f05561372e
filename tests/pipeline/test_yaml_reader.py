from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError, InputTooLarge
from policyd.pipeline.yaml_reader import (
    TaggedList,
    YamlDialect,
    YamlDocument,
    YamlLimits,
    read_yaml,
    read_yaml_documents,
    read_yaml_documents_with_places,
    read_yaml_with_places,
)


def _value(text: str) -> object:
    return read_yaml(text.encode(), where="f.yaml")


def _refusal(text: str | bytes, **limits: int) -> DocumentError:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DocumentError) as caught:
        read_yaml_with_places(content, file="f.yaml", limits=YamlLimits(**limits))
    assert caught.value.fix
    return caught.value


def _find_refusal(content: bytes) -> DocumentError | None:
    try:
        read_yaml(content, where="f.yaml")
    except DocumentError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1.5e3", 1500),
        (".5", 0.5),
        ("1.", 1),
        ("1e3x", "1e3x"),
        ("-x", "-x"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int 1", 1),
        ("!!float 1", 1.0),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert _value(f"- {text}\n") == [value]
    assert type(_value(f"- {text}\n")[0]) is type(value)  # type: ignore[index]


def test_keys_are_names_whatever_type_their_text_would_have() -> None:
    assert _value("on: 1\n1: 2\ntrue: 3\n1.0: 4\n") == {"on": 1, "1": 2, "true": 3, "1.0": 4}


@pytest.mark.parametrize(
    ("text", "cause", "where"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice", "f.yaml:3:1"),
        ('a: 1\n"a": 3\n', "the key 'a' stands twice", "f.yaml:2:1"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "merge keys", "f.yaml:2:5"),
        ('"<<": 1\n', "merge keys", "f.yaml:1:1"),
        ("a: 1\n---\nb: 2\n", "something follows", "f.yaml:2:1"),
        ("a: 1\n...\nb: 2\n", "something follows", "f.yaml:3:1"),
        ("a: 1\n...\r---\rb: 2\n", "something follows", "f.yaml:3:1"),
        ("", "the file is empty", "f.yaml:1:1"),
        ("# only a comment\n", "the file is empty", "f.yaml:1:1"),
        ("%YAML 1.1\n---\na: 1\n", "YAML directive", "f.yaml:1:1"),
        ("# c\n\n%TAG ! x\n---\na: 1\n", "YAML directive", "f.yaml:3:1"),
        ("a: !secret b\n", "the tag '!secret' is not known", "f.yaml:1:4"),
        ("a: !!python/object:os.system {}\n", "is not known", "f.yaml:1:4"),
        ("a: !!binary aGk=\n", "is not known", "f.yaml:1:4"),
        ("a: !!int x\n", "does not fit its tag", "f.yaml:1:4"),
        ("!x a: 1\n", "has the tag", "f.yaml:1:1"),
        ("&x a: 1\n", "has an anchor", "f.yaml:1:1"),
        ("? [a]\n: b\n", "a key is a list or a mapping", "f.yaml:1:3"),
        ("a: &x b\n? *x\n: c\n", "a key is an alias", "f.yaml:2:3"),
        ("?\n: b\n", "a key is empty", "f.yaml:1:2"),
        ("a: *x\n", "has no anchor before it", "f.yaml:1:4"),
        ("a: &x [*x]\n", "stands inside its own anchor", "f.yaml:1:8"),
        ("a: .nan\n", "can't hold exactly", "f.yaml:1:4"),
        ("a: -.inf\n", "can't hold exactly", "f.yaml:1:4"),
        ("a: 1e999\n", "can't hold exactly", "f.yaml:1:4"),
        ("a: 9007199254740993\n", "can't hold exactly", "f.yaml:1:4"),
        (f"a: {'9' * 100_000}\n", "can't hold exactly", "f.yaml:1:4"),
        ("a:\n\tb: 1\n", "a tab is used to indent", "f.yaml:2:1"),
        ("a: b: c\n", "mapping values are not allowed", "f.yaml:1:5"),
        ('a: "\\ud800"\n', "not YAML", "f.yaml:1:7"),
        ('a: "x\\0y"\n', "U+0000", "f.yaml:1:4"),
        ("a: \x01\n", "U+0001", "f.yaml:1:4"),
        ("a: b\u2028c: d\n", "U+2028", "f.yaml:1:5"),
        ("a: b\x85c: d\n", "U+0085", "f.yaml:1:5"),
        ("a: \ufeffb\n", "U+FEFF", "f.yaml:1:4"),
        (b"a: 1\nb: caf\xe9\n", "byte 0xE9 is not UTF-8", "f.yaml:2:7"),
        ("a: 1\n".encode("utf-16"), "is not UTF-8", "f.yaml:1:1"),
        (b"\0", "U+0000", "f.yaml:1:1"),
    ],
)
def test_what_readers_could_read_differently_is_refused_with_its_place(
    text: str | bytes, cause: str, where: str
) -> None:
    error = _refusal(text)

    assert cause in error.cause
    assert error.where == where


def test_a_byte_order_mark_at_the_beginning_is_no_part_of_the_text() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1\n", where="f.yaml") == {"a": 1}


def test_comments_and_an_end_mark_may_follow() -> None:
    assert _value("a: 1\n# c\n...\n\n# d\n") == {"a": 1}


def test_aliases_repeat_values() -> None:
    assert _value("a: &x {b: [1]}\nc: *x\nd: &x 2\ne: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": 2, "e": 2}


def test_an_alias_bomb_is_refused_by_what_it_stands_for() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    error = _refusal("\n".join(lines))

    assert isinstance(error, InputTooLarge)
    assert "aliases repeat more than" in error.cause


def test_an_alias_of_a_long_text_counts_by_its_characters() -> None:
    error = _refusal(f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 200)}]\n")

    assert isinstance(error, InputTooLarge)
    assert "characters" in error.cause


def test_depth_is_counted_through_aliases() -> None:
    """Each anchor nests within the limit and all of them together far beyond it."""
    lines = [f"a0: &a0 {'[' * 30}{']' * 30}"]
    lines += [f"a{n}: &a{n} {'[' * 30}*a{n - 1}{']' * 30}" for n in range(1, 5)]

    assert "through an alias" in _refusal("\n".join(lines)).cause


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("a: bcd\n", {"content_bytes": 6}),
        ("[[[1]]]", {"depth": 2}),
        ("[1, 2, 3]", {"nodes": 3}),
        ("[&a 1, *a, *a]", {"aliases": 1}),
        ("[&a [1, 2], *a, *a]", {"expanded_nodes": 5}),
        ("[&a abc, *a, *a]", {"expanded_characters": 5}),
    ],
)
def test_each_bound_holds_and_nothing_below_it_is_refused(text: str, limits: dict[str, int]) -> None:
    assert isinstance(_refusal(text, **limits), InputTooLarge)
    more = {name: number + 1 for name, number in limits.items()}
    read_yaml_with_places(text.encode(), file="f.yaml", limits=YamlLimits(**more))


def test_the_deepest_allowed_document_reads() -> None:
    assert _value("[" * 64 + "]" * 64) is not None


@pytest.mark.parametrize("unit", ["[", "- ", "{a: ", "%TAG !a! x\n", "a: 1\n...\n%TAG !a! x\n", "? ", "&a "])
def test_hostile_repetition_ends_quickly(unit: str) -> None:
    start = time.process_time()

    _refusal(unit * 100_000)

    assert time.process_time() - start < 2  # quadratic work takes half a minute here


def test_several_documents_are_read_where_they_are_expected() -> None:
    assert read_yaml_documents(b"---\na: 1\n---\n---\nb: 2\n", where="f.yaml") == [{"a": 1}, {"b": 2}]
    assert read_yaml_documents(b"", where="f.yaml") == []


def test_an_anchor_ends_with_its_document() -> None:
    with pytest.raises(DocumentError, match="no anchor"):
        read_yaml_documents(b"a: &x 1\n---\nb: *x\n", where="f.yaml")


def test_directives_between_documents_are_refused() -> None:
    with pytest.raises(DocumentError, match="directive"):
        read_yaml_documents(b"a: 1\n...\n%TAG ! x\n---\nb: 2\n", where="f.yaml")


_GITLAB = YamlDialect(merge_keys=True, list_tags=frozenset(("!reference",)))


def _in_dialect(text: str) -> YamlDocument:
    return read_yaml_with_places(text.encode(), file="f.yaml", dialect=_GITLAB)


def test_several_documents_keep_their_places() -> None:
    first, second = read_yaml_documents_with_places(b"a: 1\n---\n---\nb:\n  c: 2\n", file="f.yaml")

    assert (first.value, second.value) == ({"a": 1}, {"b": {"c": 2}})
    assert second.source_map.place_of(("b", "c")).line == 5


def test_a_merge_key_counts_where_it_stands() -> None:
    read = _in_dialect("a: &a {x: 1, y: 2}\nb:\n  x: 3\n  <<: *a\n  y: 4\nc:\n  <<: [*a, {x: 5, z: 6}]\n")

    assert read.value == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 4}, "c": {"x": 1, "y": 2, "z": 6}}
    assert read.source_map.place_of(("b", "x")).line == 1
    assert read.source_map.place_of(("b", "y")).line == 5
    assert read.source_map.place_of(("c", "z")).line == 7


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  x: 3\n", "stands twice"),
        ("a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n  x: 3\n", "stands twice"),
        ("b:\n  <<: 7\n", "not a mapping"),
        ("b:\n  <<: [7]\n", "not a mapping"),
        ("b: !other [a]\n", "tag"),
        ("b: !reference {a: b}\n", "tag"),
        ("b: !reference a\n", "tag"),
    ],
)
def test_what_a_dialect_does_not_take_is_refused(text: str, cause: str) -> None:
    with pytest.raises(DocumentError, match=cause):
        _in_dialect(text)


def test_merge_keys_are_counted_as_what_they_bring() -> None:
    levels = "".join(f"l{n}: &l{n}\n  a{n}: {{<<: *l{n - 1}}}\n  b{n}: {{<<: *l{n - 1}}}\n" for n in range(1, 30))

    with pytest.raises(InputTooLarge):
        _in_dialect("l0: &l0 {x: 1}\n" + levels)


def test_a_tagged_list_is_a_list_that_knows_its_tag() -> None:
    value = _in_dialect("a: !reference [b, c]\n").value

    assert isinstance(value, dict)
    assert isinstance(value["a"], TaggedList)
    assert (value["a"], value["a"].tag) == (["b", "c"], "!reference")
    assert json.dumps(value) == '{"a": ["b", "c"]}'


def test_without_a_dialect_neither_is_taken() -> None:
    assert "merge keys" in _refusal("a: {<<: {b: c}}").cause
    assert "tag" in _refusal("a: !reference [b]").cause


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(
        st.characters(codec="utf-8", exclude_characters="\u2028\u2029\ufeff", exclude_categories=["Cc", "Cs", "Cn"]),
        max_size=8,
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh", min_size=1, max_size=6), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_JSON)
@settings(max_examples=150, deadline=None)
def test_json_reads_the_same_as_by_a_json_reader_and_by_pyyaml(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)  # YAML knows no surrogate pairs in escapes

    read = _value(text)

    assert read == value
    assert read == yaml.safe_load(text)


@given(_JSON)
@settings(max_examples=100, deadline=None)
def test_block_style_reads_back_what_pyyaml_wrote(value: object) -> None:
    # In quotes, since PyYAML leaves texts bare that YAML 1.1 takes for text and YAML 1.2 for a number: 0E0, 0o7.
    text = yaml.safe_dump(value, allow_unicode=False, width=40, default_style='"')

    assert _value(text) == value


@given(st.text(st.sampled_from(list("ab:-[]{},&*!|>'\"#% \n\t\\?01~<.@`")), max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_gives_a_value_or_a_document_error(text: str) -> None:
    refusal = _find_refusal(text.encode())

    if refusal is None:
        json.dumps(_value(text), allow_nan=False)
    else:
        assert refusal.where.startswith("f.yaml")
        assert refusal.cause
        assert refusal.fix


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_a_value_or_a_document_error(content: bytes) -> None:
    refusal = _find_refusal(content)

    assert refusal is None or refusal.where.startswith("f.yaml")
