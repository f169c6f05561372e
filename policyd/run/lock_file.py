"""A lock file of tools: pip requirements, each pinned to one version and to the digests of its files.

The file comes from the repository that is judged. pip would also take options from it (an index, a folder of links,
another file), which name places to load code from; so it is parsed here, and pip is given what was understood, never
the file itself.

Source: pip documentation, "Requirements File Format" and "Secure installs" (hash-checking mode); PEP 508; PEP 503.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from policyd.errors import ToolError
from policyd.models.base import Sha256

MAX_LOCK_BYTES = 16 * 1024 * 1024

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})(?:\[(?P<extras>{_NAME}(?:\s*,\s*{_NAME})*)\])?\s*==\s*(?P<version>[A-Za-z0-9._+!-]+)"
    r"(?:\s*;\s*(?P<marker>[A-Za-z0-9_.,()<>=!'\" ~+-]+?))?",
    re.ASCII,
)
_HASH = re.compile(r"--hash=sha256:(?P<sha256>[0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One package at one version, and the files of it that may be used."""

    name: str  # as PEP 503 normalises it
    version: str
    marker: str  # "" where it is wanted everywhere
    sha256s: tuple[Sha256, ...]

    @property
    def line(self) -> str:
        """The requirement as pip reads it. Extras only add other packages, and each of those is locked itself."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " ".join([f"{self.name}=={self.version}{marker}", *(f"--hash=sha256:{one}" for one in self.sha256s)])


def read_lock(content: bytes, *, where: str) -> tuple[Requirement, ...]:
    """Parse a lock file. Raises `ToolError` for anything but pinned requirements with sha256 digests, by line."""
    if len(content) > MAX_LOCK_BYTES:
        raise ToolError(f"the lock file is larger than {MAX_LOCK_BYTES} bytes", where=where, fix="name the right file")
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise ToolError("the lock file is not UTF-8", where=where, fix="write it again with pip-compile") from error
    found = []
    waiting, start = "", 1
    for number, line in enumerate(lines, 1):
        start = start if waiting else number
        bare = "" if line.lstrip().startswith("#") else re.sub(r"\s#.*$", "", line)
        if bare.rstrip().endswith("\\"):
            waiting += bare.rstrip()[:-1] + " "
            continue
        logical, waiting = (waiting + bare).strip(), ""
        if logical:
            found.append(_read_requirement(logical, f"{where}:{start}"))
    if waiting.strip():
        raise ToolError("the lock file ends in the middle of a line", where=where, fix="write it again")
    if not found:
        raise ToolError(
            "the lock file names no package", where=where, fix="write it with pip-compile --generate-hashes"
        )
    return tuple(found)


def render_lock(requirements: Sequence[Requirement]) -> bytes:
    """Return what pip is given: the requirements, and nothing else the file may have held."""
    return "".join(f"{requirement.line}\n" for requirement in requirements).encode()


def normal_name(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_requirement(line: str, where: str) -> Requirement:
    words, _, hashes = line.partition("--hash")
    match = _REQUIREMENT.fullmatch(words.strip())
    if match is None:
        raise ToolError(
            f"this is no pinned requirement: {line[:120]!a}",
            where=where,
            fix="write `name==version --hash=sha256:…` and no options (pip-compile --generate-hashes does)",
        )
    digests = []
    for part in f"--hash{hashes}".split() if hashes else []:
        found = _HASH.fullmatch(part)
        if found is None:
            raise ToolError(
                f"only sha256 digests are taken, not {part[:120]!a}", where=where, fix="use --hash=sha256:…"
            )
        digests.append(found["sha256"])
    if not digests:
        raise ToolError(
            f"{match['name']} has no digest", where=where, fix="write the lock with pip-compile --generate-hashes"
        )
    return Requirement(normal_name(match["name"]), match["version"], (match["marker"] or "").strip(), tuple(digests))
