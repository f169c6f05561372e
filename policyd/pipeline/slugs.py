"""The name by which a reference is looked up in lists of known components, alike however it is spelled.

Systems take `Actions/Checkout` and `docker.io/library/alpine` for `actions/checkout` and `alpine`. Rules compare texts
as they are, so the spelling is settled here.
"""

from __future__ import annotations

from policyd.pipeline.references import ParsedReference

_HUB = ("docker.io/", "index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/")


def find_slug(reference: ParsedReference) -> str:
    """Return `owner/name` in lower case, `owner/repository` for actions and workflows; "" for what lies here."""
    if reference.local:
        return ""
    slug = f"{reference.owner}/{reference.name}".strip("/").lower()
    if reference.kind in ("action", "workflow") and reference.owner and "/" not in reference.owner:
        return "/".join(slug.split("/")[:2])
    if reference.kind == "image":
        for prefix in _HUB:
            slug = slug.removeprefix(prefix)
        return slug.removeprefix("library/")
    return slug
