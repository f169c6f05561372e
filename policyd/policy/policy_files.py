"""Which files of a folder make a policy set, and the digest that names it.

The digest covers exactly what can change an answer: rule and library modules, collections, settings and what rules
know of the world (`data/`). It is made of bytes alone, so it can be had without parsing a rule; `read_policy_set` sorts
files by the same function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from policyd.models.canonical import canonical_json, sha256_hex

_COLLECTION = re.compile(r"collections/[a-z][a-z0-9_-]*\.json")
_SETTINGS = re.compile(r"settings/[a-z][a-z0-9_]*\.json")
#: Not `data/data.json`: OPA reads files of that name in bundles, as data below `data`.
_KNOWN = re.compile(r"data/(?!data\.)[a-z][a-z0-9_]*\.json")
_TABLE = re.compile(r".*_test\.yaml")
#: Pipelines that break or keep a rule, for tests and documents.
_EXAMPLE = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*/examples/[^/]+\.(json|yaml|yml)")
#: Beside the rules, and for others: the library's lists of builtins, and frameworks for audits.
_BESIDE = re.compile(r"capabilities\.json|embedded\.json|checked\.json|frameworks/.*|.*\.(md|txt)|LICENSE|\.gitignore")


class FileKind(Enum):
    """What a file is to a policy set."""

    MODULE = "rule or library module"
    TEST = "test"
    TABLE = "table test"
    COLLECTION = "collection"
    SETTINGS = "settings"
    KNOWN = "what rules know"
    BESIDE = "for others"
    UNKNOWN = "for nobody"


#: What can change an answer.
NAMED_BY_DIGEST = frozenset({FileKind.MODULE, FileKind.COLLECTION, FileKind.SETTINGS, FileKind.KNOWN})


def kind_of(path: str) -> FileKind:
    """Return what the file at `path`, relative to the policy folder, is to the policy set."""
    if path.endswith(".rego"):
        return FileKind.TEST if path.endswith("_test.rego") else FileKind.MODULE
    if _COLLECTION.fullmatch(path):
        return FileKind.COLLECTION
    if _SETTINGS.fullmatch(path):
        return FileKind.SETTINGS
    if _KNOWN.fullmatch(path):
        return FileKind.KNOWN
    if is_example(path) or _BESIDE.fullmatch(path):
        return FileKind.BESIDE
    return FileKind.TABLE if _TABLE.fullmatch(path) else FileKind.UNKNOWN


def is_example(path: str) -> bool:
    """Say whether the file at `path` lies in the `examples` folder of a rule."""
    return _EXAMPLE.fullmatch(path) is not None


def rule_beside(path: str) -> str:
    """Return the path of the rule whose test lies at `path`."""
    return re.sub(r"_test\.(rego|yaml)$", ".rego", path)


def digest_policy_files(files: Mapping[str, bytes]) -> str:
    """Return the digest of the policy set in `files` (path → content), whether or not it can be used."""
    return sha256_hex(list_policy_files(files))


def list_policy_files(files: Mapping[str, bytes]) -> bytes:
    """Return the list whose digest names the policy set: path and SHA-256 of each file that can change an answer."""
    named = [[path, sha256_hex(content)] for path, content in sorted(keep_named(files).items())]
    return canonical_json(named)


def keep_named(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that the digest covers."""
    return {path: content for path, content in files.items() if kind_of(path) in NAMED_BY_DIGEST}
