"""How GitHub workflows name what comes from elsewhere: actions, reusable workflows and images."""

from __future__ import annotations

from typing import Literal

from policyd.pipeline.references import ParsedReference, is_commit, split_image


def parse_uses(text: str) -> ParsedReference:
    """Return what `uses: text` names; its `slug` is `owner/repository` in lower case.

    A path such as `actions/checkout/./` is written plainly first: GitHub drops its empty and `.` parts.
    """
    if text.startswith("docker://"):
        return parse_image(text.removeprefix("docker://"))
    kind: Literal["action", "workflow"] = "workflow" if _names_workflow(text) else "action"
    if text.startswith("./") or text == ".":
        return ParsedReference(kind, "", text, "", local=True, pinned=False)
    path, _, ref = text.rpartition("@") if "@" in text else (text, "", "")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    owner, name = (parts[0], "/".join(parts[1:])) if len(parts) > 1 else ("", "/".join(parts))
    slug = "/".join(parts[:2]).lower()
    return ParsedReference(kind, owner, name, ref, local=False, pinned=is_commit(ref), slug=slug)


def parse_image(text: str) -> ParsedReference:
    """Return what an image reference names; pinned means by digest."""
    image = split_image(text)
    return ParsedReference("image", image.owner, image.name, image.ref, local=False, pinned=image.pinned)


def _names_workflow(text: str) -> bool:
    path = text.rpartition("@")[0] if "@" in text else text
    return ".github/workflows/" in path and path.endswith((".yml", ".yaml"))
