"""How Azure names what comes from elsewhere: tasks, images, templates and repositories."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdefABCDEF")
_WHOLE_VERSION = re.compile(r"\d+\.\d+\.\d+\Z")
#: Tags that name what this very pipeline built.
_OWN_TAG = re.compile(r"\$\(Build\.(?:BuildId|BuildNumber|SourceVersion)\)\Z", re.IGNORECASE)

ReferenceKind = Literal["image", "template", "task", "repository"]


class ParsedReference(NamedTuple):
    """A reference taken apart, as `models.facts.Reference` wants it."""

    kind: ReferenceKind
    owner: str
    name: str
    ref: str
    local: bool
    pinned: bool
    computed: bool = False


class Repository(NamedTuple):
    """A repository of `resources`: type, `owner/name` and the ref it is taken at."""

    kind: str
    name: str
    ref: str


def parse_task(text: str) -> ParsedReference:
    """Return what `task` names: `Name@1`, or `publisher.extension.task.name@1` from the marketplace.

    A whole version (`@1.2.3`) always means the same code; a major one is what its publisher makes of it.
    """
    name, _, version = text.partition("@")
    owner, _, last = name.rpartition(".")
    pinned = _WHOLE_VERSION.match(version) is not None
    return ParsedReference("task", owner, last, version, local=False, pinned=pinned, computed=_is_computed(text))


def parse_image(text: str) -> ParsedReference:
    """Return what an image names; pinned means by digest."""
    path, _, digest = text.partition("@")
    head, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    algorithm, _, hexadecimal = digest.partition(":")
    pinned = len(hexadecimal) == _DIGEST_LENGTHS.get(algorithm) and _HEX.issuperset(hexadecimal)
    local = _OWN_TAG.search(tag) is not None
    computed = not pinned and not local and _is_computed(text)
    return ParsedReference("image", head if slash else "", name, digest or tag, local, pinned, computed)


def parse_repository(repository: Repository) -> ParsedReference:
    """Return what an entry of `resources: repositories` names. A branch or tag can be moved, a commit can't."""
    owner, _, name = repository.name.rpartition("/")
    ref = repository.ref
    computed = _is_computed(repository.name + ref)
    return ParsedReference("repository", owner, name, ref, local=False, pinned=is_commit(ref), computed=computed)


def parse_template(text: str, path: str, alias: str, repositories: dict[str, Repository]) -> ParsedReference:
    """Return what `template` names: a file here, or one of the repository that `alias` stands for."""
    if alias in ("", "self"):
        return ParsedReference("template", "", path, "", local=True, pinned=False, computed=_is_computed(text))
    repository = repositories.get(alias.lower())
    if repository is None:
        return ParsedReference("template", alias, path, "", local=False, pinned=False, computed=_is_computed(text))
    computed = _is_computed(text + repository.name + repository.ref)
    ref = repository.ref
    return ParsedReference(
        "template", repository.name, path, ref, local=False, pinned=is_commit(ref), computed=computed
    )


def is_commit(ref: str) -> bool:
    """Say whether a ref is a whole commit id."""
    return len(ref) in (40, 64) and _HEX.issuperset(ref)


def _is_computed(text: str) -> bool:
    return "$(" in text or "${{" in text or "$[" in text
