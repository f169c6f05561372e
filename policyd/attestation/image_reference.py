"""References to images: which registry, which repository, and the digest that says which image.

Only a digest names an image. A tag names whatever was pushed under it last, so what was verified under a tag need not
be what runs; references with a tag are refused (docs/threats.md, T46).

Source: OCI distribution specification 1.1, "Pulling manifests" (`<name>`) and image specification 1.1, descriptor.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from policyd.errors import UsageError
from policyd.models.base import Sha256

SCHEME = "oci://"
#: `<name>` may have 255 characters together with the registry.
MAX_CHARACTERS = 255
_HOST = re.compile(
    r"(?P<host>[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:(?P<port>[0-9]{1,5}))?", re.ASCII
)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
#: Docker Hub is called by one name and answers under another.
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image or artifact in a registry, by its digest. `registry` is host and, where one was given, port."""

    registry: str
    repository: str
    sha256: Sha256

    @property
    def digest(self) -> str:
        """The digest as registries write it."""
        return f"sha256:{self.sha256}"

    @property
    def name(self) -> str:
        """Registry and repository: what signatures call it."""
        return f"{self.registry}/{self.repository}"

    @property
    def referrers_tag(self) -> str:
        """The tag that lists what refers to it, where the registry has no API for that.

        Source: OCI distribution specification 1.1, "Referrers Tag Schema".
        """
        return f"sha256-{self.sha256}"

    def __str__(self) -> str:
        """Return it as a person writes it."""
        return f"{SCHEME}{self.name}@{self.digest}"


def read_image_reference(text: str) -> ImageReference:
    """Return the image that `oci://REGISTRY/REPOSITORY@sha256:HEX` names; else raise `UsageError`."""
    if not text.startswith(SCHEME):
        raise _malformed("this names no image in a registry", text)
    name, at, digest = text.removeprefix(SCHEME).partition("@")
    registry, _, repository = name.partition("/")
    before_tag, colon, tag = repository.rpartition(":")
    if colon:
        shown = f"{SCHEME}{registry}/{before_tag}"
        raise UsageError(
            f"a tag ({tag[:128]!r}) names whatever was pushed under it last: an image is named by its digest",
            where=text[:512],
            fix=f"write {shown}@{digest or 'sha256:HEX'}" + ("" if at else f"; {_HOW_TO_RESOLVE}"),
        )
    if not at:
        raise UsageError(
            "the image is not named by its digest",
            where=text[:512],
            fix=f"write {SCHEME}REGISTRY/REPOSITORY@sha256:HEX; {_HOW_TO_RESOLVE}",
        )
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(value):
        raise _malformed("the digest is not sha256: and 64 lower-case hex digits", text)
    if not _REPOSITORY.fullmatch(repository) or len(name) > MAX_CHARACTERS:
        raise _malformed("the repository is not lower-case words joined by / . _ or -", text)
    host = _read_host(registry)
    if host is None:
        raise _malformed("the registry is not a host, or a host and a port", text)
    if host in _HUB_NAMES and "/" not in repository:
        repository = f"library/{repository}"
    return ImageReference("docker.io" if host in _HUB_NAMES else host, repository, value)


def api_host(registry: str) -> str:
    """Return the host (and port) that answers for `registry`."""
    return _HUB if registry in _HUB_NAMES else registry


def is_loopback(registry: str) -> bool:
    """Say whether a registry (host and port) is this machine."""
    host = host_of(registry)
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(registry: str) -> str:
    """Return the host alone, an IPv6 address without its brackets."""
    found = _HOST.fullmatch(registry)
    return "" if found is None else found["host"].strip("[]").lower()


def _read_host(registry: str) -> str | None:
    found = _HOST.fullmatch(registry)
    if found is None or (found["port"] is not None and not 0 < int(found["port"]) < 65536):
        return None
    host: str = found["host"]
    if host.startswith("["):
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            return None
    elif ".." in host or ("." not in host and found["port"] is None and host.lower() != "localhost"):
        return None  # `oci://app@sha256:…` names no registry; which one is meant is not guessed
    return registry.lower()


_HOW_TO_RESOLVE = (
    "the digest is what your build printed when it pushed, or `docker buildx imagetools inspect NAME:TAG` shows"
)


def _malformed(cause: str, text: str) -> UsageError:
    return UsageError(cause, where=text[:512], fix=f"write {SCHEME}REGISTRY/REPOSITORY@sha256:HEX")
