"""How GitHub workflows name what comes from elsewhere: actions, reusable workflows and images."""

from __future__ import annotations

from typing import Literal, NamedTuple

_DIGEST_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = frozenset("0123456789abcdefABCDEF")


class ParsedReference(NamedTuple):
    """A reference taken apart. `slug` is `owner/repository` in lower case, for looking actions up; "" for others."""

    kind: Literal["action", "workflow", "image"]
    owner: str
    name: str
    ref: str
    local: bool
    pinned: bool
    slug: str = ""


def parse_uses(text: str) -> ParsedReference:
    """Return what `uses: text` names.

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
    return ParsedReference(kind, owner, name, ref, local=False, pinned=_is_commit(ref), slug=slug)


def parse_image(text: str) -> ParsedReference:
    """Return what an image reference names; pinned means by digest."""
    path, _, digest = text.partition("@")
    head, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    algorithm, _, hexadecimal = digest.partition(":")
    pinned = len(hexadecimal) == _DIGEST_LENGTHS.get(algorithm) and _HEX.issuperset(hexadecimal)
    return ParsedReference("image", head if slash else "", name, digest or tag, local=False, pinned=pinned)


def _is_commit(ref: str) -> bool:
    return len(ref) in (40, 64) and _HEX.issuperset(ref)


def _names_workflow(text: str) -> bool:
    path = text.rpartition("@")[0] if "@" in text else text
    return ".github/workflows/" in path and path.endswith((".yml", ".yaml"))
