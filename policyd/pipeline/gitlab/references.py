"""How GitLab names what comes from elsewhere: images, included files, components, projects."""

from __future__ import annotations

import re

from policyd.pipeline.addresses import split_address
from policyd.pipeline.references import ParsedReference, is_commit, split_image

#: Beginnings of image names that name a registry and no image, so that what follows is known all the same.
_REGISTRIES = re.compile(
    r"^\$\{?(?:CI_DEPENDENCY_PROXY_(?:DIRECT_)?GROUP_IMAGE_PREFIX|CI_REGISTRY|CI_TEMPLATE_REGISTRY_HOST|CI_SERVER_FQDN"
    r"|CI_SERVER_HOST)\}?/"
)
_OWN_IMAGE = re.compile(r"^\$\{?CI_REGISTRY_IMAGE\}?")
#: Tags that name what this very pipeline built.
_OWN_TAG = re.compile(r"\$\{?(?:CI_COMMIT_SHA|CI_COMMIT_SHORT_SHA|CI_PIPELINE_ID|CI_PIPELINE_IID|CI_JOB_ID)\}?")
_OWN_PROJECT = re.compile(r"^\$\{?(?:CI_SERVER_FQDN|CI_SERVER_HOST)\}?/\$\{?CI_PROJECT_PATH\}?/")
_COMMIT_IN_URL = re.compile(r"(?:^|/)([0-9a-f]{40}|[0-9a-f]{64})(?:/|$)")


def parse_image(text: str) -> ParsedReference:
    """Return what an image names; pinned means by digest.

    An image that this pipeline has just built (`$CI_REGISTRY_IMAGE:$CI_COMMIT_SHA`) is the repository's own.
    """
    known = _REGISTRIES.sub("", text)
    own = _OWN_IMAGE.match(text) is not None
    image = split_image(known)
    local = own and _OWN_TAG.fullmatch(image.tag) is not None
    computed = not local and not image.pinned and _is_computed(_OWN_IMAGE.sub("", known))
    return ParsedReference("image", image.owner, image.name, image.ref, local, image.pinned, computed)


def parse_remote(url: str, integrity: str) -> ParsedReference:
    """Return what `include: remote` names; pinned by `integrity` or by a commit in its path."""
    parts = split_address(url)
    host, path = parts.netloc, parts.path.strip("/")
    commit = _COMMIT_IN_URL.search(path)
    pinned = integrity.startswith("sha256-") or commit is not None
    ref = integrity or (commit[1] if commit else "")
    return ParsedReference("include", host, path, ref, local=False, pinned=pinned, computed=_is_computed(url))


def parse_project(project: str, file: str, ref: str) -> ParsedReference:
    """Return what `include: project` names: a file of another project at `ref`, its default branch without one."""
    owner, name = _split(project)
    full = f"{name}:{file}" if file else name
    own = project in ("$CI_PROJECT_PATH", "${CI_PROJECT_PATH}")
    local = own and ref in ("$CI_COMMIT_SHA", "${CI_COMMIT_SHA}")
    pinned = is_commit(ref)
    computed = not local and _is_computed(project + file + ("" if pinned else ref))
    return ParsedReference("include", owner, full, ref, local, pinned, computed)


def parse_template(name: str) -> ParsedReference:
    """Return what `include: template` names: a file that comes with GitLab itself, so it has no version of its own."""
    return ParsedReference("template", "gitlab", name, "", local=True, pinned=False)


def parse_component(text: str) -> ParsedReference:
    """Return what `include: component` names: `host/group/project/component@version`."""
    address, _, ref = text.rpartition("@") if "@" in text else (text, "", "")
    local = _OWN_PROJECT.match(address) is not None and ref in ("$CI_COMMIT_SHA", "${CI_COMMIT_SHA}")
    known = _REGISTRIES.sub("", address)
    path = known if known != address else known.partition("/")[2] or known
    owner, name = _split(path)
    pinned = is_commit(ref)
    computed = not local and _is_computed(path + ("" if pinned else ref))
    return ParsedReference("component", owner, name, ref, local, pinned, computed)


def parse_downstream(project: str, branch: str) -> ParsedReference:
    """Return the project whose pipeline a job starts. It runs there, from a branch."""
    owner, name = _split(project)
    return ParsedReference("repository", owner, name, branch, local=False, pinned=False, computed=_is_computed(project))


def _split(path: str) -> tuple[str, str]:
    owner, _, name = path.strip("/").rpartition("/")
    return owner, name


def _is_computed(text: str) -> bool:
    return "$" in text
