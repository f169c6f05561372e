"""The one way to a registry: every request passes here, whichever library makes it.

Registries are named by people and not trusted. A credential goes to the registry that was named (or the token service
under its own domain), never over an open connection beyond this machine, and to nobody a redirect names. Answers have a
bound in bytes and are there in whole before anything reads them; each wait has an end (docs/threats.md, T46).

Source: RFC 9110 section 15.4 (redirects), RFC 6750 section 5.3 (bearer tokens only over TLS); distribution, "Token
Authentication Specification".
"""

from __future__ import annotations

import io
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3

from policyd.attestation.image_reference import is_loopback
from policyd.errors import RegistryError

TIMEOUT_SECONDS = 20  # of each wait: to connect, and for the next bytes
#: Registries hand blobs to object stores and mirrors in two or three steps.
MAX_REDIRECTS = 5
#: Of answers that are no manifest and no blob: tokens, errors.
MAX_ANSWER_BYTES = 1024 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"https": 443, "http": 80}


class RegistrySession(requests.Session):
    """A session that speaks to one registry, and to others only as that one's redirects and tokens need."""

    def __init__(self, registry: str, *, plain_http: bool) -> None:
        super().__init__()
        self._registry = _split(f"{'http' if plain_http else 'https'}://{registry}")
        self.max_bytes = MAX_ANSWER_BYTES
        # What is counted and hashed is what was sent.
        self.headers["Accept-Encoding"] = "identity"
        # A callable that adds nothing keeps requests from adding what it finds in ~/.netrc.
        self.auth = _no_auth
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if is_loopback(registry):
            self.trust_env = False  # a proxy has another loopback

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send `request` and return the answer with its whole content; `RegistryError` where the rules forbid it."""
        for _ in range(MAX_REDIRECTS + 1):
            require_allowed(request, self._registry)
            response = self._send_once(request, kwargs)
            if response.status_code not in _REDIRECTS or request.method != "GET":
                return response
            request = follow(request, response, self._registry)
            kwargs["proxies"] = self.rebuild_proxies(request, kwargs.get("proxies"))
        raise _refused(f"the registry redirects more than {MAX_REDIRECTS} times", str(request.url))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: requests would read the body of a redirect, however long, to follow it by its own rules."""

    def _send_once(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        url = str(request.url)
        kwargs |= {"stream": True, "allow_redirects": False, "timeout": TIMEOUT_SECONDS}
        try:
            with super().send(request, **kwargs) as response:
                # One byte more than is taken: what is longer is not waited for.
                content: bytes = response.raw.read(self.max_bytes + 1, decode_content=False)
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            raise RegistryError(
                f"the registry can't be asked ({type(error).__name__})",
                where=_shown(url),
                fix="check its name and that it can be reached from here; a registry without TLS needs "
                "--allow-http-registry",
            ) from error
        if len(content) > self.max_bytes:
            raise _refused(f"the answer is longer than {self.max_bytes} bytes", url)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _refused("the answer is encoded, which was not asked for", url)
        response.raw = io.BytesIO(content)  # what requests and oras read when they ask for the content
        return response


def require_allowed(request: requests.PreparedRequest, registry: SplitResult) -> None:
    """Raise `RegistryError` for a request to somebody whom the registry may not send us to."""
    url = _split(str(request.url))
    if _origin(url) == _origin(registry):
        if "Authorization" in request.headers and url.scheme == "http" and not is_loopback(registry.netloc):
            raise _refused("the registry asks for credentials over a connection that others can read", str(request.url))
        return
    if url.scheme != "https":
        raise _refused(f"the registry sends us to {_shown(str(request.url))}, which is not https", registry.netloc)
    if "Authorization" in request.headers and not shares_domain(registry.hostname or "", url.hostname or ""):
        raise _refused(f"the registry wants credentials sent to another host, {_shown(url.netloc)}", registry.netloc)


def follow(
    request: requests.PreparedRequest, response: requests.Response, registry: SplitResult
) -> requests.PreparedRequest:
    """Return the request that a redirect asks for. Only the registry itself gets the credentials once more."""
    location = response.headers.get("Location", "")
    if not location or len(location) > 16 * 1024:
        raise _refused("the registry redirects to nowhere", str(request.url))
    following = request.copy()
    try:
        following.prepare_url(urljoin(str(request.url), location), None)
    except (requests.RequestException, ValueError) as error:
        raise _refused("the registry redirects to what is no URL", str(request.url)) from error
    if _origin(_split(str(following.url))) != _origin(registry):
        following.headers.pop("Authorization", None)
    return following


def shares_domain(registry: str, other: str) -> bool:
    """Say whether the host `other` may see the registry's credentials: the same, or under the same parent domain.

    Token services stand beside their registries: auth.docker.io for registry-1.docker.io, gitlab.com for
    registry.gitlab.com. A parent of one label (`io`) is nobody's.
    """
    if registry == other:
        return True
    parent = registry.partition(".")[2]
    is_name = any(character.isalpha() for character in parent.rpartition(".")[2])
    return "." in parent and is_name and (other == parent or other.endswith(f".{parent}"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refused("the registry sends us to what is no URL", _shown(url)) from error
    return parts


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _shown(url: str) -> str:
    """Return a URL without its query, which may hold a signature that is a credential."""
    return url.partition("?")[0][:512]


def _refused(cause: str, where: str) -> RegistryError:
    return RegistryError(
        cause, where=_shown(where), fix="ask who runs the registry; nothing it said was taken as verified"
    )
