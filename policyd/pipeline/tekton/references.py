"""How Tekton names what comes from elsewhere: images, and tasks fetched by a resolver.

Sources: tekton.dev "Git Resolver", "Hub Resolver", "Bundles Resolver", "HTTP Resolver", "Cluster Resolver";
pipelinesascode.com "Pipelines-as-Code resolver".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from policyd.pipeline.addresses import split_address
from policyd.pipeline.references import ParsedReference, is_commit, split_image

ReferenceKind = Literal["image", "task", "workflow"]

_COMMIT_IN_PATH = re.compile(r"(?:^|/)([0-9a-f]{40}|[0-9a-f]{64})(?:/|$)")
_OWN_REPOSITORY = re.compile(r"\{\{\s*(?:repo_url|source_url)\s*\}\}")
_OWN_COMMIT = re.compile(r"\{\{\s*revision\s*\}\}")


def parse_image(text: str, kind: ReferenceKind = "image") -> ParsedReference:
    """Return what an image, or a bundle of tasks, names; pinned means by digest."""
    image = split_image(text)
    computed = not image.pinned and _is_computed(text)
    return ParsedReference(kind, image.owner, image.name, image.ref, False, image.pinned, computed, text=text)


def parse_resolved(resolver: str, given: Mapping[str, str], kind: ReferenceKind) -> ParsedReference:
    """Return what a resolver is asked for; `given` are its parameters as far as the file writes them out."""
    if resolver == "git":
        return _parse_git(given, kind)
    if resolver == "bundles":
        parsed = parse_image(given.get("bundle", ""), kind)
        return parsed._replace(
            name=given.get("name") or parsed.name, text=_with_name(parsed.text, given.get("name", ""))
        )
    if resolver in ("hub", "artifacthub"):
        name, version = given.get("name", ""), given.get("version", "")
        text = f"{resolver}:{name}@{version}" if version else f"{resolver}:{name}"
        owner = given.get("catalog") or resolver
        return ParsedReference(kind, owner, name, version, False, False, _is_computed(name + version), text=text)
    if resolver == "http":
        return parse_url(given.get("url", ""), kind)
    name = given.get("name", "")
    if resolver == "cluster":
        # An object of the cluster itself, which whoever runs the cluster put there.
        return ParsedReference(kind, given.get("namespace", ""), name, "", True, False, text=f"cluster:{name}")
    text = f"{resolver}:{name}" if name else resolver
    pinned = any(is_commit(one) or parse_image(one).pinned for one in given.values())
    return ParsedReference(kind, resolver, name, given.get("revision", ""), False, pinned, text=text)


def parse_url(url: str, kind: ReferenceKind) -> ParsedReference:
    """Return what an address names; pinned by a commit in its path."""
    host, path = _host_and_path(url)
    commit = _COMMIT_IN_PATH.search(path)
    return ParsedReference(
        kind,
        host,
        path,
        commit[1] if commit else "",
        local=False,
        pinned=commit is not None,
        computed=commit is None and _is_computed(url),
        text=url,
        insecure=url.startswith("http://"),
    )


def parse_remote_annotation(text: str, kind: ReferenceKind) -> ParsedReference:
    """Return what Pipelines-as-Code fetches for `text`: an address, a file of the repository, or a task of a hub."""
    if text.startswith(("http://", "https://")):
        return parse_url(text, kind)
    if "/" in text and text.endswith((".yaml", ".yml")) and "://" not in text:
        return ParsedReference(kind, "", text, "", local=True, pinned=False, text=text)
    catalog, _, rest = text.rpartition("://")
    name, _, version = rest.partition(":")
    return ParsedReference(kind, catalog or "hub", name, version, False, False, _is_computed(text), text=text)


def parse_local(name: str, kind: ReferenceKind) -> ParsedReference:
    """Return what a bare name stands for: an object of the same namespace."""
    return ParsedReference(kind, "", name, "", local=True, pinned=False, computed=_is_computed(name), text=name)


def _parse_git(given: Mapping[str, str], kind: ReferenceKind) -> ParsedReference:
    url, revision, path = given.get("url", ""), given.get("revision", ""), given.get("pathInRepo", "")
    if url:
        host, repository = _host_and_path(url)
        owner = f"{host}/{repository.rpartition('/')[0]}".rstrip("/") if repository else host
        name = repository.rpartition("/")[2].removesuffix(".git")
    else:
        owner, name = given.get("org", ""), given.get("repo", "")
    own = _OWN_REPOSITORY.fullmatch(url) is not None
    local = own and _OWN_COMMIT.fullmatch(revision) is not None
    pinned = is_commit(revision)
    text = url or f"{owner}/{name}"
    text = f"{text}@{revision}" if revision else text
    return ParsedReference(
        kind,
        owner,
        f"{name}:{path}" if path else name,
        revision,
        local=local,
        pinned=pinned,
        computed=not local and _is_computed(url + path + ("" if pinned else revision)),
        text=_with_name(text, path),
        insecure=url.startswith(("http://", "git://")),
    )


def _host_and_path(url: str) -> tuple[str, str]:
    if not url.isascii() or "[" in url:
        return "", url
    parts = split_address(url)
    return parts.netloc, parts.path.strip("/")


def _with_name(text: str, name: str) -> str:
    return f"{text} {name}" if name else text


def _is_computed(text: str) -> bool:
    return "$(" in text or "{{" in text
