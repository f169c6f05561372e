"""A registry client on oras: manifests, blobs and referrers, each with a bound and its digest compared.

oras speaks the protocol (tokens, uploads); `RegistrySession` says where requests may go and how long answers may be.
What oras does not do is done here: digests of what was received, referrers with their pages, and the tag that lists
them where a registry has no API for it (docs/adr/0021-registries-through-oras.md).

Source: OCI distribution specification 1.1, end-2, end-3, end-4a, end-6, end-7, end-12a and end-12b.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import oras.container
import oras.logger
import oras.provider
import requests
from oras.auth.token import TokenAuth
from oras.auth.utils import parse_auth_header

from policyd.adapters.registries.credentials import find_basic_auth
from policyd.adapters.registries.session import MAX_ANSWER_BYTES, RegistrySession
from policyd.attestation.bundle import BUNDLE_V03
from policyd.attestation.image_reference import ImageReference, api_host, is_loopback
from policyd.attestation.referrers import (
    EMPTY,
    EMPTY_TYPE,
    INDEX,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SUBJECT_TYPES,
    Descriptor,
    add_referrer,
    describe,
    read_referrers,
)
from policyd.errors import DocumentError, PolicydError, RegistryError

T = TypeVar("T")

#: An image with an attestation for each platform and tool has some dozen.
MAX_REFERRERS = 256
MAX_PAGES = 32
#: Everything that one command asks of a registry, however slowly it answers.
DEADLINE_SECONDS = 300
#: Registries without the API say so in several ways; go-containerregistry, which cosign uses, takes these for it.
_NO_API = (400, 404, 405, 406)
#: Another client may have written the tag in between; each try begins from what is there.
_TRIES = 4


@dataclass(frozen=True, slots=True)
class _Answer:
    content: bytes
    media_type: str


class RegistryClient:
    """Speaks about one image with its registry. Everything it returns has the digest that was asked for."""

    def __init__(self, reference: ImageReference, *, allow_http: bool = False) -> None:
        """Prepare for the registry of `reference`; nothing is sent yet.

        A registry on this machine is spoken to without TLS, others only where `allow_http` says so.
        """
        self.reference = reference
        host = api_host(reference.registry)
        plain = allow_http or is_loopback(host)
        self._oras = _Oras(host, reference, plain=plain)
        # oras' container names need a port or a dot to tell a registry from a repository.
        self._host = host if ":" in host or "." in host else f"{host}:80"
        self._url = f"{'http' if plain else 'https'}://{host}/v2/{reference.repository}"

    def fetch_manifest(self) -> tuple[bytes, str]:
        """Return the image's manifest and its media type; `RegistryError` where the registry does not have it."""
        answer = self._get(f"manifests/{self.reference.digest}", tuple(SUBJECT_TYPES), MAX_MANIFEST_BYTES)
        if answer is None:
            raise _failed("the registry has no such image", str(self.reference), fix="check repository and digest")
        self._require_digest(answer.content, self.reference.sha256, "the image's manifest")
        return answer.content, answer.media_type

    def list_referrers(self) -> tuple[Descriptor, ...]:
        """Return the manifests of bundles that the registry lists for the image, each once."""
        listed = self._list_by_api()
        if listed is None:
            index = self._fetch_referrers_tag()
            listed = () if index is None else self._read(index)
        once = tuple(dict.fromkeys(listed))
        if len(once) > MAX_REFERRERS:
            raise _failed(f"the registry lists more than {MAX_REFERRERS} bundles", str(self.reference))
        return once

    def fetch_referrer(self, listed: Descriptor) -> bytes:
        """Return the manifest of something that the registry lists."""
        answer = self._get(f"manifests/{listed.digest}", (MANIFEST,), MAX_MANIFEST_BYTES)
        if answer is None:
            raise _failed(f"the registry lists {listed.digest} and does not have it", str(self.reference))
        self._require_digest(answer.content, listed.sha256, "a manifest")
        return answer.content

    def fetch_blob(self, blob: Descriptor, *, max_bytes: int) -> bytes:
        """Return the bytes of a blob that a manifest names."""
        answer = self._get(f"blobs/{blob.digest}", ("*/*",), max_bytes)
        if answer is None:
            raise _failed(f"a manifest names {blob.digest} and the registry does not have it", str(self.reference))
        self._require_digest(answer.content, blob.sha256, "a blob")
        return answer.content

    def push_referrer(self, manifest: bytes, bundle: bytes) -> str:
        """Push a bundle and the manifest that ties it to the image; return that manifest's digest.

        Where the registry has no API for referrers, the tag that lists them is written as well.
        """
        # 1. What the manifest names, then the manifest: registries refuse one whose parts are missing.
        for content, kind in ((bundle, BUNDLE_V03), (EMPTY, EMPTY_TYPE)):
            self._push_blob(content, kind)
        pushed = describe(manifest, MANIFEST)
        response = self._put_manifest(pushed.digest, manifest, MANIFEST)

        # 2. That it will be found: by the registry's own word, else by the tag.
        if response.headers.get("OCI-Subject") == self.reference.digest:
            return pushed.digest
        for _ in range(_TRIES):
            listed = self._list_by_api()
            if listed is not None:
                if pushed.digest in {one.digest for one in listed}:
                    return pushed.digest
                break
            updated = self._add_to(self._fetch_referrers_tag(), manifest)
            if updated is None:
                return pushed.digest
            self._put_manifest(self.reference.referrers_tag, updated, INDEX)
        raise _failed(
            "the registry took the bundle and does not list it with the image",
            str(self.reference),
            fix="push it again when nobody else writes to the image's referrers",
        )

    def _list_by_api(self) -> tuple[Descriptor, ...] | None:
        """Return what the referrers API lists, None where the registry has none."""
        # The filter is a courtesy that spares pages; what comes back is filtered by us (`OCI-Filters-Applied` or not).
        url = f"{self._url}/referrers/{self.reference.digest}?artifactType={BUNDLE_V03.replace('+', '%2B')}"
        found: list[Descriptor] = []
        for page in range(MAX_PAGES):
            response = self._request("GET", url, accept=(INDEX,), max_bytes=MAX_MANIFEST_BYTES)
            is_index = _media_type(response) == INDEX
            if page == 0 and (response.status_code in _NO_API or (response.status_code == 200 and not is_index)):
                return None
            if response.status_code != 200 or not is_index:
                raise _unexpected(response, url)
            found += self._read(response.content)
            following = response.links.get("next", {}).get("url")
            if following is None:
                return tuple(found)
            if len(found) > MAX_REFERRERS:
                raise _failed(f"the registry lists more than {MAX_REFERRERS} bundles", str(self.reference))
            url = urljoin(url, following)
            if not url.startswith(f"{self._url}/referrers/"):
                raise _failed("the registry's next page is not of this image", str(self.reference))
        raise _failed(f"the registry's list has more than {MAX_PAGES} pages", str(self.reference))

    def _fetch_referrers_tag(self) -> bytes | None:
        answer = self._get(f"manifests/{self.reference.referrers_tag}", (INDEX,), MAX_MANIFEST_BYTES)
        return None if answer is None else answer.content

    def _get(self, path: str, accept: tuple[str, ...], max_bytes: int) -> _Answer | None:
        url = f"{self._url}/{path}"
        response = self._request("GET", url, accept=accept, max_bytes=max_bytes)
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise _unexpected(response, url)
        return _Answer(response.content, _media_type(response))

    def _put_manifest(self, reference: str, content: bytes, media_type: str) -> requests.Response:
        url = f"{self._url}/manifests/{reference}"
        response = self._request("PUT", url, data=content, headers={"Content-Type": media_type})
        if response.status_code != 201:
            raise _unexpected(response, url)
        return response

    def _push_blob(self, content: bytes, media_type: str) -> None:
        container = oras.container.Container(f"{self._host}/{self.reference.repository}")
        with TemporaryDirectory() as folder:
            path = Path(folder) / "blob"
            path.write_bytes(content)
            descriptor = describe(content, media_type)
            response = self._call(lambda: self._oras.upload_blob(str(path), container, descriptor.to_json()))
        if response.status_code not in (200, 201, 202):
            raise _unexpected(response, f"{self._url}/blobs/uploads/")

    def _request(
        self,
        method: str,
        url: str,
        *,
        accept: tuple[str, ...] = (),
        max_bytes: int | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        sent = {**({"Accept": ", ".join(accept)} if accept else {}), **(headers or {})}
        return self._call(lambda: self._oras.do_request(url, method, data=data, headers=sent), max_bytes)

    def _call(self, work: Callable[[], Any], max_bytes: int | None = None) -> requests.Response:
        self._oras.session.max_bytes = max_bytes or MAX_ANSWER_BYTES
        try:
            response = work()
            assert isinstance(response, requests.Response)
            return response
        except PolicydError:
            raise
        # oras lets its parsers' exceptions through, whatever a registry makes them raise.
        except (ValueError, TypeError, AttributeError, LookupError, OSError, AssertionError) as error:
            raise _failed(f"the registry's answer makes no sense ({type(error).__name__})", self._url) from error

    def _add_to(self, index: bytes | None, manifest: bytes) -> bytes | None:
        return self._checked(lambda: add_referrer(index, manifest, where=self._tag()))

    def _read(self, content: bytes) -> tuple[Descriptor, ...]:
        return self._checked(lambda: read_referrers(content, where=self._tag()))

    def _checked(self, read: Callable[[], T]) -> T:
        """Return what `read` does. What a registry lists wrongly leaves the question open; it is no user's file."""
        try:
            return read()
        except DocumentError as error:
            raise RegistryError(error.cause, where=error.where, fix=error.fix) from error

    def _tag(self) -> str:
        return f"what refers to {self.reference}"

    def _require_digest(self, content: bytes, sha256: str, what: str) -> None:
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _failed(f"{what} is not what its digest says (sha256:{sha256})", str(self.reference))


def within_deadline(work: Callable[[], T], *, where: str, seconds: float = DEADLINE_SECONDS) -> T:
    """Return what `work` returns; `RegistryError` where that takes longer, however little a registry says at a time."""
    done: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 raised again where it is waited for
            raised.append(error)

    # A daemon: nothing waits for a connection that somebody else keeps open.
    thread = threading.Thread(target=run, daemon=True, name="policyd-registry")
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not done:
        raise _failed(f"the registry did not answer in full within {seconds:g} seconds", where, fix="try again later")
    return done[0]


class _Oras(oras.provider.Registry):  # type: ignore[misc]
    """oras' client, on our session, with our credentials, and without its retries: those sleep for two minutes."""

    session: RegistrySession

    def __init__(self, host: str, reference: ImageReference, *, plain: bool) -> None:
        super().__init__(hostname=host, insecure=plain)
        oras.logger.logger.set_level(logging.CRITICAL + 1)  # it would print what registries say
        self.session = RegistrySession(host, plain_http=plain)
        self.auth = _Auth(reference.registry)
        self.auth.session = self.session
        self.auth.prefix = self.prefix
        self.auth._tls_verify = True

    do_request = oras.provider.Registry.do_request.__wrapped__


class _Auth(TokenAuth):  # type: ignore[misc]
    """oras' token flow, and HTTP's Basic scheme. Credentials are looked for when a registry asks for them."""

    def __init__(self, registry: str) -> None:
        super().__init__()
        self._registry = registry
        self._looked = False

    def authenticate_request(
        self, original: requests.Response, headers: dict[str, str], refresh: bool = False
    ) -> tuple[dict[str, str], bool]:
        """Return the headers for another try, and whether there is one."""
        if not self._looked:
            self._looked = True
            self._basic_auth = find_basic_auth(self._registry)
        challenge = original.headers.get("WWW-Authenticate", "")
        scheme = challenge.partition(" ")[0].lower()
        if scheme == "basic" and self._basic_auth:
            return {**headers, "Authorization": f"Basic {self._basic_auth}"}, not refresh
        if scheme != "bearer":
            raise _not_allowed(original)
        asked = parse_auth_header(challenge)
        token = self.request_token(asked) if asked.realm else None
        if not isinstance(token, str) or not token:
            raise _not_allowed(original)
        self.token = token
        return {**headers, "Authorization": f"Bearer {token}"}, True


def _media_type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _not_allowed(response: requests.Response) -> RegistryError:
    return _failed(
        f"the registry does not let us in ({response.status_code})",
        urlsplit(str(response.url)).netloc,
        fix="log in with docker login (policyd reads docker's config.json), or check that you may read this repository",
    )


def _unexpected(response: requests.Response, url: str) -> RegistryError:
    if response.status_code in (401, 403):
        return _not_allowed(response)
    return _failed(f"the registry answers {response.status_code}, with {_media_type(response)[:64] or 'nothing'}", url)


def _failed(cause: str, where: str, *, fix: str = "") -> RegistryError:
    return RegistryError(
        cause,
        where=where.partition("?")[0],
        fix=fix or "check that this is the right registry; nothing it said was taken as verified",
    )
