"""How Azure names what comes from elsewhere: tasks, images, templates and repositories."""

from __future__ import annotations

import re
from typing import NamedTuple

from policyd.pipeline.references import ParsedReference, is_commit, split_image

_WHOLE_VERSION = re.compile(r"\d+\.\d+\.\d+\Z")
#: Tags that name what this very pipeline built.
_OWN_TAG = re.compile(r"\$\(Build\.(?:BuildId|BuildNumber|SourceVersion)\)\Z", re.IGNORECASE)


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
    image = split_image(text)
    local = _OWN_TAG.search(image.tag) is not None
    computed = not image.pinned and not local and _is_computed(text)
    return ParsedReference("image", image.owner, image.name, image.ref, local, image.pinned, computed)


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


def _is_computed(text: str) -> bool:
    return "$(" in text or "${{" in text or "$[" in text
