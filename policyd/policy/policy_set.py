"""A policy set: rules, data and settings with one digest.

The digest covers exactly what can change an answer: rule and library modules, collections, settings and known facts
(`data/NAME.json`, which rules read as `data.PREFIX.known.NAME`). Tests, documents and frameworks are not part of it.
Whatever lies in the folder and would be data for nobody is refused, so that a folder called `setting/` is an error and
not a silent default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from policyd.errors import PolicydError, PolicyError
from policyd.models.base import Sha256
from policyd.models.plan import PolicySetRef
from policyd.models.strict_json import read_json
from policyd.policy.catalogue import Catalogue, read_rule_meta
from policyd.policy.chosen_settings import Chosen, Key, Wishes, as_data, choose, find_defaults
from policyd.policy.policy_files import FileKind, digest_policy_files, keep_named, kind_of, rule_beside
from policyd.policy.rego_text import Package, find_data_references, find_tests, read_module, read_package
from policyd.policy.rule_collections import read_collection, resolve_collections

MAX_FILES = 2000  # ten times the library
MAX_DATA_BYTES = 1024 * 1024
MAX_DATA_DEPTH = 16
MAX_LIST_BYTES = 1024 * 1024  # 2,000 files take 300 KB


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Modules, data and catalogue, read and checked as text. Made by `read_policy_set` alone."""

    name: str
    prefix: str
    modules: Mapping[str, str]  # path → text; rules and libraries, no tests
    tests: Mapping[str, str]
    packages: Mapping[str, str]  # path → dotted package
    settings: Mapping[Key, Chosen]  # every setting of its rules, as the set itself chooses it
    known: Mapping[str, object]  # name → what a file of `data` holds
    collections: Mapping[str, tuple[str, ...]]
    sha256: str
    catalogue: Catalogue
    files: Mapping[str, bytes] = field(repr=False)  # as read: those that the digest covers
    _reach: Mapping[str, frozenset[Package]] = field(repr=False)  # path → references to `data`

    @property
    def ref(self) -> PolicySetRef:
        """The set by name and digest, as plans and decisions name it."""
        return PolicySetRef(name=self.name, sha256=self.sha256)

    @property
    def data(self) -> dict[str, dict[str, dict[str, object]]]:
        """What rules read below `data`: the values of their settings, and what the set knows of the world."""
        known = {"known": dict(self.known)} if self.known else {}
        return {self.prefix: {"settings": as_data(self.settings.values()), **known}}

    def with_settings(self, settings: Mapping[Key, Chosen]) -> PolicySet:
        """Return this set with other values. Its digest stays: it names the files; what decisions add are `terms`."""
        return replace(self, settings=settings)

    def modules_for(self, entrypoints: Iterable[str]) -> dict[str, str]:
        """Return the modules that can have a say in `entrypoints`: their packages' and all they can reach by `data`.

        Reading fewer modules is what makes an engine start fast. The reach errs on the side of more (rego_text).
        """
        needed: set[str] = set()
        wanted: list[Package] = [tuple(entrypoint.split(".")[:-1]) for entrypoint in entrypoints]
        done: set[Package] = set()
        while wanted:
            reference = wanted.pop()
            if reference in done:
                continue
            done.add(reference)
            for path in self.modules:
                if path not in needed and touches(reference, tuple(self.packages[path].split("."))):
                    needed.add(path)
                    wanted.extend(self._reach[path])
        return {path: self.modules[path] for path in sorted(needed)}

    def with_tests(self) -> PolicySet:
        """Return this set with its tests as modules, to run them. No gate asks it: the digest leaves tests out."""
        return replace(self, name=f"{self.name} with tests", modules={**self.modules, **self.tests})


def read_policy_set(files: Mapping[str, bytes], name: str, *, prefix: str = "policyd") -> PolicySet:
    """Return the policy set in `files` (path relative to its folder → content).

    A module may declare only packages below `prefix`, which keeps layers apart: packages are open in Rego, and a
    module of another layer in the same package would silence its rules. Raises `PolicyError` where a file can't be
    used, and where no rule is left.
    """
    if len(files) > MAX_FILES:
        raise PolicyError(f"the policy set has more than {MAX_FILES} files", where=name, fix="name the policy folder")
    modules: dict[str, str] = {}
    tests: dict[str, str] = {}
    packages: dict[str, str] = {}
    collections = {}
    settings: list[Wishes] = []
    known: dict[str, object] = {}
    rules = []
    reach: dict[str, frozenset[Package]] = {}

    for path, content in sorted(files.items()):
        match kind_of(path):
            case FileKind.MODULE | FileKind.TEST as kind:
                text = read_module(path, content)
                package, line = read_package(path, text)
                _require_prefix(path, line, package, prefix)
                packages[path] = package
                reach[path] = find_data_references(text, line)
                if kind is FileKind.TEST:
                    _require_test(path, line, package, text)
                    tests[path] = text
                    continue
                modules[path] = text
                if not _is_library(package, prefix):
                    rules.append(read_rule_meta(path, text, package=package, package_line=line, prefix=prefix))
            case FileKind.COLLECTION:
                collections[_name(path)] = read_collection(path, _read_data(path, content))
            case FileKind.SETTINGS:
                settings.append(_read_settings(path, _read_data(path, content)))
            case FileKind.KNOWN:
                known[_name(path)] = _read_data(path, content)
            case FileKind.TABLE:
                if rule_beside(path) not in files:
                    raise PolicyError(
                        "the table test lies beside no rule",
                        where=path,
                        fix=f"call the rule {rule_beside(path)}, or move the file out",
                    )
            case FileKind.BESIDE:
                continue
            case FileKind.UNKNOWN:
                raise PolicyError(
                    "the file is neither a rule, a collection, settings nor data, so no rule would ever read it",
                    where=path,
                    fix="use rules/*.rego, collections/NAME.json, settings/FAMILY.json or data/NAME.json, or move it",
                )
            case unreachable:
                assert_never(unreachable)

    if not rules:
        raise PolicyError(
            "the policy set holds no rules", where=name, fix="name a folder with rules: nothing asked is never a pass"
        )
    catalogue = Catalogue(rules)
    chosen = find_defaults(rules)
    for wishes in settings:
        chosen = choose(chosen, wishes)
    return PolicySet(
        name=name,
        prefix=prefix,
        modules=modules,
        tests=tests,
        packages=packages,
        settings=chosen,
        known=known,
        collections=resolve_collections(collections, catalogue),
        sha256=digest_policy_files(files),
        catalogue=catalogue,
        files=keep_named(files),
        _reach=reach,
    )


def read_policy_list(content: bytes, *, where: str) -> dict[str, Sha256]:
    """Return the SHA-256 of each file (by path) in the list whose digest names a policy set (`list_policy_files`)."""
    entries = read_json(content, where=where, max_bytes=MAX_LIST_BYTES, max_depth=2)
    found: dict[str, Sha256] = {}
    for entry in entries if isinstance(entries, list) else [entries]:
        match entry:
            case [str(path), str(sha256)]:
                found[path] = sha256
            case _:
                raise PolicyError("this is not the list of a policy set's files", where=where, fix="check the digest")
    return found


def find_prefix(files: Mapping[str, bytes]) -> str:
    """Return the word before the ids of all rules in their packages, for tools of authors; `policyd` where they differ.

    A gate never asks: there the operator's settings say which word it has to be.
    """
    found: set[str] = set()
    for path, content in files.items():
        if kind_of(path) is FileKind.MODULE:
            try:
                text = read_module(path, content)
                prefix, _, rule_id = read_package(path, text)[0].partition(".")
            except PolicyError:
                continue  # it is named when the set is read
            if f"id: {rule_id}\n" in text:
                found.add(prefix)
    return found.pop() if len(found) == 1 else "policyd"


def find_test_entrypoints(policy_set: PolicySet) -> tuple[str, ...]:
    """Return the entry point of every `test_` rule; a test file without one is an error."""
    found: list[str] = []
    for path, text in policy_set.tests.items():
        names = find_tests(text)
        if not names:
            raise PolicyError("the test file holds no test", where=path, fix="write rules called `test_… if { … }`")
        found.extend(f"{policy_set.packages[path]}.{name}" for name in names)
    return tuple(found)


def touches(reference: Package, package: Package) -> bool:
    """`data.a.b` reaches what package `a.b.c` holds, and what package `a` may hold as its rule `b`."""
    shared = min(len(reference), len(package))
    return reference[:shared] == package[:shared]


def _name(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")


def _is_library(package: str, prefix: str) -> bool:
    return package.startswith(f"{prefix}.lib.")


def _require_prefix(path: str, line: int, package: str, prefix: str) -> None:
    if package.startswith((f"{prefix}.settings.", f"{prefix}.known.")):
        raise PolicyError(
            f"the module declares the package {package!r}, where the values of settings or known facts stand",
            where=f"{path}:{line + 1}",
            fix="choose another family than `settings` and `known`",
        )
    if not package.startswith(f"{prefix}."):
        raise PolicyError(
            f"the module declares the package {package!r}, which is not below {prefix!r}",
            where=f"{path}:{line + 1}",
            fix=f"rename the package to `{prefix}.…`: layers may not write into each other's packages",
        )


def _require_test(path: str, line: int, package: str, text: str) -> None:
    """Refuse what is called like a test and is none: it would never be asked."""
    if not package.endswith("_test"):
        raise PolicyError(
            f"the test file declares the package {package!r}",
            where=f"{path}:{line + 1}",
            fix=f"call it {package}_test: a test lies beside its rule, not inside it",
        )
    if "\n# METADATA\n" in f"\n{text}":
        raise PolicyError(
            "a rule is called like a test, and tests are never asked",
            where=path,
            fix="give the rule a name that does not end in _test",
        )


def _read_data(path: str, content: bytes) -> object:
    try:
        return read_json(content, where=path, max_bytes=MAX_DATA_BYTES, max_depth=MAX_DATA_DEPTH)
    except PolicydError as error:
        raise PolicyError(error.cause, where=error.where, fix=error.fix) from error


def _read_settings(path: str, values: object) -> Wishes:
    if not isinstance(values, dict) or not all(isinstance(names, dict) for names in values.values()):
        raise PolicyError(
            "settings are an object of rules, each an object of values",
            where=path,
            fix='write {"RULE": {"NAME": value}}; the file is called as the family of the rules',
        )
    return Wishes({f"{_name(path)}.{rule}": names for rule, names in values.items()}, path)
