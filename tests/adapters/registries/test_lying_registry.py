"""A registry that lies, stalls or breaks leaves the question open: it is never verified, and says nothing to others."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from policyd.adapters.registries import client as clients
from policyd.adapters.registries.client import RegistryClient, within_deadline
from policyd.app.images import MAX_BUNDLE_BYTES, fetch_image
from policyd.attestation.image_reference import ImageReference
from policyd.errors import DocumentError, ExitCode, InputTooLarge, RegistryError
from tests.registry import BUNDLE, INDEX, MANIFEST, Answer, Asked, LyingRegistry, image_manifest, sha256

IMAGE = image_manifest()[0]
CONTENT = b'{"a":"bundle"}'


def _referrer(layer_size: int | None = None, **changes: Any) -> bytes:
    size = len(CONTENT) if layer_size is None else layer_size
    layer = {"mediaType": BUNDLE, "digest": sha256(CONTENT), "size": size}
    subject = {"mediaType": MANIFEST, "digest": sha256(IMAGE), "size": len(IMAGE)}
    return json.dumps({"mediaType": MANIFEST, "layers": [layer], "subject": subject, **changes}).encode()


def _entry(referrer: bytes, artifact_type: str = BUNDLE) -> dict[str, object]:
    return {"mediaType": MANIFEST, "digest": sha256(referrer), "size": len(referrer), "artifactType": artifact_type}


def _index(*referrers: bytes) -> Answer:
    return Answer(
        body=json.dumps({"mediaType": INDEX, "manifests": [*map(_entry, referrers)]}).encode(), media_type=INDEX
    )


Changes = dict[str, Answer | Callable[[Asked], Answer | None]]


def _honest(changes: Changes, *referrers: bytes) -> Callable[[Asked], Answer | None]:
    """Answer as an honest registry with the referrers API does, but for what `changes` (by the path's end) answers."""
    referrers = referrers or (_referrer(),)
    answers: Changes = {
        f"/manifests/{sha256(IMAGE)}": Answer(body=IMAGE),
        f"/blobs/{sha256(CONTENT)}": Answer(body=CONTENT, media_type="application/octet-stream"),
        f"/referrers/{sha256(IMAGE)}": _index(*referrers),
        **{f"/manifests/{sha256(one)}": Answer(body=one) for one in referrers},
        **changes,
    }

    def answer(asked: Asked) -> Answer | None:
        found = answers.get(asked.path.partition("?")[0].removeprefix("/v2/acme/app"))
        return found(asked) if callable(found) else found

    return answer


def _reference(registry: LyingRegistry) -> ImageReference:
    return ImageReference(registry.host, "acme/app", sha256(IMAGE).partition(":")[2])


def _fetch(changes: Changes, *referrers: bytes) -> tuple[Any, list[Asked]]:
    with LyingRegistry(_honest(changes, *referrers)).running() as registry:
        return fetch_image(_reference(registry)), registry.asked


MANIFEST_PATH = f"/manifests/{sha256(IMAGE)}"
REFERRERS_PATH = f"/referrers/{sha256(IMAGE)}"
REFERRER_PATH = f"/manifests/{sha256(_referrer())}"
TAG_PATH = f"/manifests/{sha256(IMAGE).replace(':', '-')}"
BLOB_PATH = f"/blobs/{sha256(CONTENT)}"


def _endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65536


def test_an_honest_registry_gives_the_bundles_that_refer_to_the_image() -> None:
    image, asked = _fetch({})

    assert image.manifest == IMAGE
    assert [bundle.content for bundle in image.bundles] == [CONTENT]
    assert asked[1].path.endswith("?artifactType=application/vnd.dev.sigstore.bundle.v0.3%2Bjson")
    assert not any("Authorization" in one.headers for one in asked)


@pytest.mark.parametrize("path", [MANIFEST_PATH, REFERRERS_PATH, REFERRER_PATH, BLOB_PATH])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b"{}", "application/json"),
        Answer(429, b"{}", "application/json"),
        Answer(403, b"{}", "application/json"),
        Answer(401, b"{}", "application/json", {"WWW-Authenticate": "Negotiate"}),
        Answer(401, b"{}", "application/json", {"WWW-Authenticate": "Bearer nonsense"}),
        Answer(401, b"{}", "application/json", {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}),
        Answer(401, b"{}", "application/json", {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:1/"'}),
        Answer(200, b"{}", INDEX, {"Content-Encoding": "gzip"}),
        Answer(200, b"{}", INDEX),
        Answer(200, gzip.compress(IMAGE), MANIFEST, {"Content-Encoding": "gzip"}),
        Answer(200, _endless, INDEX),
        Answer(307, b"", headers={"Location": "file:///etc/passwd"}),
        Answer(307, b"", headers={"Location": "http://192.0.2.1/x"}),
        Answer(307, b"", headers={"Location": "http://127.0.0.1:1/x"}),
        Answer(307, _endless, headers={"Location": "ftp://x/"}),
        Answer(302, b""),
    ],
    ids=range(16),
)
def test_no_lie_of_the_registry_is_taken(path: str, answer: Answer) -> None:
    with pytest.raises(RegistryError) as refused:
        _fetch({path: answer})

    assert refused.value.exit_code is ExitCode.UNDECIDED


@pytest.mark.parametrize("path", [MANIFEST_PATH, REFERRER_PATH, BLOB_PATH])
def test_what_is_named_and_not_there_leaves_the_question_open(path: str) -> None:
    with pytest.raises(RegistryError):
        _fetch({path: Answer(404, b"{}", "application/json")})


def test_a_registry_that_redirects_in_circles_is_left() -> None:
    with pytest.raises(RegistryError, match="more than 5 times"):
        _fetch({BLOB_PATH: Answer(307, b"", headers={"Location": f"/v2/acme/app{BLOB_PATH}"})})


def test_a_redirect_within_the_registry_is_followed() -> None:
    image, _ = _fetch(
        {
            BLOB_PATH: Answer(307, b"", headers={"Location": "/v2/acme/app/elsewhere"}),
            "/elsewhere": Answer(body=CONTENT, media_type="application/octet-stream"),
        }
    )

    assert image.bundles[0].content == CONTENT


def test_a_page_of_html_is_no_referrers_api_and_no_list() -> None:
    html = Answer(200, b"<html>welcome</html>", "text/html")

    image, asked = _fetch({REFERRERS_PATH: html, TAG_PATH: _index(_referrer())})
    assert [bundle.content for bundle in image.bundles] == [CONTENT]
    assert asked[2].path.endswith(TAG_PATH)
    with pytest.raises(RegistryError):
        _fetch({REFERRERS_PATH: html, TAG_PATH: html})


@pytest.mark.parametrize("status", [400, 404, 405, 406])
def test_without_the_referrers_api_the_tag_lists_what_refers_to_the_image(status: int) -> None:
    image, _ = _fetch({REFERRERS_PATH: Answer(status, b"{}", "application/json"), TAG_PATH: _index(_referrer())})

    assert [bundle.content for bundle in image.bundles] == [CONTENT]


def test_without_api_and_tag_nothing_refers_to_the_image() -> None:
    image, _ = _fetch({REFERRERS_PATH: Answer(404, b"{}", "application/json")})

    assert image.bundles == ()


def test_all_pages_are_read_and_each_bundle_once() -> None:
    second = _referrer(annotations={"a": "b"})

    def pages(asked: Asked) -> Answer:
        if "page=2" in asked.path:
            return _index(second, _referrer())
        link = f'</v2/acme/app{REFERRERS_PATH}?page=2>; rel="next"'
        return Answer(body=_index(_referrer()).body, media_type=INDEX, headers={"Link": link})

    image, _ = _fetch({REFERRERS_PATH: pages, f"/manifests/{sha256(second)}": Answer(body=second)})

    assert [bundle.name for bundle in image.bundles] == [sha256(_referrer()), sha256(second)]


@pytest.mark.parametrize("link", ["https://evil.example/x", "/v2/other/referrers/x", "//evil.example/x", "file:///x"])
def test_the_next_page_is_one_of_this_image(link: str) -> None:
    page = Answer(body=_index(_referrer()).body, media_type=INDEX, headers={"Link": f'<{link}>; rel="next"'})

    with pytest.raises(RegistryError, match="next page"):
        _fetch({REFERRERS_PATH: page})


def test_a_list_of_endless_pages_is_left() -> None:
    link = {"Link": f'</v2/acme/app{REFERRERS_PATH}?again>; rel="next"'}
    empty = Answer(body=b'{"manifests":[]}', media_type=INDEX, headers=link)

    with pytest.raises(RegistryError, match="more than 32 pages"):
        _fetch({REFERRERS_PATH: empty})


def test_more_bundles_than_anybody_needs_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_REFERRERS", 2)
    many = [_referrer(annotations={"n": str(number)}) for number in range(3)]

    with pytest.raises(RegistryError, match="more than 2 bundles"):
        _fetch({}, *many)


@pytest.mark.parametrize(
    ("referrer", "kind"),
    [
        (_referrer(subject={"mediaType": MANIFEST, "digest": sha256(b"other"), "size": 1}), DocumentError),
        (_referrer(layers=[]), DocumentError),
        (b"null", DocumentError),
        (_referrer(layer_size=MAX_BUNDLE_BYTES + 1), InputTooLarge),
    ],
    ids=range(4),
)
def test_what_somebody_pushed_and_is_no_bundle_is_listed_with_its_problem(
    referrer: bytes, kind: type[Exception]
) -> None:
    """Whoever may push can add it, so it says nothing about the registry and hides no good bundle."""
    image, _ = _fetch({}, referrer, _referrer())

    assert isinstance(image.bundles[0].problem, kind)
    assert image.bundles[0].content == b""
    assert image.bundles[1].content == CONTENT


def test_what_is_no_bundle_is_not_fetched() -> None:
    entries = [_entry(b"sbom", "application/spdx+json"), _entry(b"x", "")]
    index = Answer(body=json.dumps({"manifests": entries}).encode(), media_type=INDEX)

    image, asked = _fetch({REFERRERS_PATH: index})

    assert image.bundles == ()
    assert len(asked) == 2


def test_a_registry_that_says_a_little_at_a_time_is_left_at_the_deadline() -> None:
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b" "

    with LyingRegistry(_honest({MANIFEST_PATH: Answer(body=drip)})).running() as registry:
        client = RegistryClient(_reference(registry))
        with pytest.raises(RegistryError, match=r"within 0\.3 seconds"):
            within_deadline(client.fetch_manifest, where="x", seconds=0.3)


def test_a_registry_that_is_not_there_is_said_so() -> None:
    with LyingRegistry().running() as registry:
        reference = _reference(registry)

    with pytest.raises(RegistryError, match="can't be asked"):
        fetch_image(reference)


def test_a_push_is_done_only_when_the_bundle_is_listed() -> None:
    """A registry that takes everything and lists nothing would make a signature that nobody finds."""

    def take(asked: Asked) -> Answer | None:
        if asked.method == "POST":
            return Answer(202, b"", headers={"Location": "/v2/acme/app/blobs/uploads/1"})
        if asked.method == "PUT":
            return Answer(201, b"")
        return Answer(body=b'{"manifests":[]}', media_type=INDEX) if "/referrers/" in asked.path else None

    with LyingRegistry(take).running() as registry, pytest.raises(RegistryError, match="does not list it"):
        RegistryClient(_reference(registry)).push_referrer(_referrer(), CONTENT)


def _without_api(asked: Asked, tag: Answer | None) -> Answer | None:
    if asked.method == "POST":
        return Answer(202, b"", headers={"Location": "/v2/acme/app/blobs/uploads/1"})
    if asked.method == "PUT":
        return Answer(201, b"")
    return tag if asked.path.endswith(TAG_PATH) else None


def test_what_somebody_else_wrote_over_is_written_again() -> None:
    """Nothing keeps two from writing the tag at once: the first write here is lost to another's."""
    others = _referrer(annotations={"by": "somebody else"})
    state: list[Answer] = []

    def answer(asked: Asked) -> Answer | None:
        if asked.method == "PUT" and asked.path.endswith(TAG_PATH):
            state.append(Answer(body=asked.body, media_type=INDEX) if state else _index(others))
        return _without_api(asked, state[-1] if state else None)

    manifest = _referrer(artifactType=BUNDLE, annotations={})
    with LyingRegistry(answer).running() as registry:
        RegistryClient(_reference(registry)).push_referrer(manifest, CONTENT)

    assert len(state) == 2
    assert isinstance(state[-1].body, bytes)
    listed = json.loads(state[-1].body)["manifests"]
    assert [entry["digest"] for entry in listed] == [sha256(others), sha256(manifest)]


def test_a_tag_that_never_holds_what_was_written_is_an_error() -> None:
    manifest = _referrer(artifactType=BUNDLE, annotations={})
    with (
        LyingRegistry(lambda asked: _without_api(asked, None)).running() as registry,
        pytest.raises(RegistryError, match="does not list it"),
    ):
        RegistryClient(_reference(registry)).push_referrer(manifest, CONTENT)


def test_what_stands_under_the_tag_and_is_no_list_is_not_written_over() -> None:
    manifest = _referrer(artifactType=BUNDLE, annotations={})
    with LyingRegistry(lambda asked: _without_api(asked, Answer(body=IMAGE))).running() as registry:
        with pytest.raises(RegistryError, match="no index"):
            RegistryClient(_reference(registry)).push_referrer(manifest, CONTENT)

        assert not any(asked.method == "PUT" and asked.path.endswith(TAG_PATH) for asked in registry.asked)


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/upload", "file:///tmp/x", "", "https://["])
def test_a_push_goes_nowhere_else(location: str) -> None:
    def take(asked: Asked) -> Answer | None:
        return Answer(202, b"", headers={"Location": location}) if asked.method == "POST" else None

    with LyingRegistry(take).running() as registry, pytest.raises(RegistryError):
        RegistryClient(_reference(registry)).push_referrer(_referrer(), CONTENT)
