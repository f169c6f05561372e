"""Manifests and indexes: what they say is compared, and nothing that two tools read in two ways is taken."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.bundle import read_bundle, render_bundle
from policyd.attestation.dsse import Envelope, Signature
from policyd.attestation.referrers import (
    DOCKER_INDEX,
    INDEX,
    MANIFEST,
    add_referrer,
    describe,
    read_bundle_manifest,
    read_referrers,
    read_subject,
    render_bundle_manifest,
)
from policyd.errors import DocumentError, PolicydError
from tests.registry import BUNDLE, image_manifest, sha256

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE = image_manifest()[0]
SUBJECT = describe(IMAGE, MANIFEST)
CONTENT = render_bundle(
    Envelope(payload=b"{}", payload_type="application/vnd.in-toto+json", signatures=(Signature(b"s"),)),
    key_sha256="a" * 64,
)


def _manifest(**changes: Any) -> bytes:
    made = render_bundle_manifest(
        read_bundle(CONTENT, where="b"), CONTENT, SUBJECT, predicate_type="https://example.com/p", created=NOW
    )
    value = json.loads(made)
    value.update(changes)
    return json.dumps({key: entry for key, entry in value.items() if entry is not None}).encode()


def test_a_bundle_refers_to_its_image_as_cosign_lays_it_out() -> None:
    value = json.loads(_manifest())

    assert value["artifactType"] == BUNDLE
    assert value["config"] == {
        "mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "size": 2,
    }
    assert value["subject"] == {"mediaType": MANIFEST, "digest": sha256(IMAGE), "size": len(IMAGE)}
    assert value["layers"][0]["mediaType"] == BUNDLE
    assert value["annotations"] == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://example.com/p",
        "org.opencontainers.image.created": "2026-03-01T12:00:00.000000Z",
    }
    layer = read_bundle_manifest(_manifest(), SUBJECT.sha256, where="m")
    assert (layer.digest, layer.size) == (sha256(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"subject": None}, "does not refer to this image"),
        ({"subject": {"digest": "sha256:" + "b" * 64}}, "does not refer to this image"),
        ({"subject": [sha256(IMAGE)]}, "does not refer to this image"),
        ({"mediaType": INDEX}, "no image manifest"),
        ({"manifests": []}, "no image manifest"),
        ({"layers": []}, "exactly one layer"),
        ({"layers": [{}, {}]}, "exactly one layer"),
        ({"layers": "x"}, "exactly one layer"),
        ({"layers": [{"mediaType": "text/plain", "digest": sha256(b""), "size": 0}]}, "no bundle"),
        ({"layers": [{"mediaType": BUNDLE, "digest": "sha256:../../x", "size": 0}]}, "descriptor"),
        ({"layers": [{"mediaType": BUNDLE, "digest": sha256(b""), "size": -1}]}, "descriptor"),
        ({"layers": [{"mediaType": BUNDLE, "digest": sha256(b""), "size": True}]}, "descriptor"),
    ],
    ids=range(12),
)
def test_what_is_no_bundle_of_this_image_is_refused(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(DocumentError, match=cause):
        read_bundle_manifest(_manifest(**changes), SUBJECT.sha256, where="m")


@pytest.mark.parametrize(
    ("content", "media_type", "cause"),
    [
        (IMAGE, INDEX, "calls itself"),
        (IMAGE, "text/html", "no image"),
        (b"<html>", MANIFEST, "JSON"),
        (b"null", MANIFEST, "JSON object"),
        (b'{"layers":[],"layers":[]}', MANIFEST, "twice"),
        (b'{"layers":[],"manifests":[]}', MANIFEST, "nothing else"),
        (b'{"layers":[],"manifests":[]}', DOCKER_INDEX, "nothing else"),
        (b'{"manifests":[]}', MANIFEST, "nothing else"),
        (b"[" * 100_000, MANIFEST, "nested"),
    ],
    ids=range(9),
)
def test_what_is_no_image_or_two_at_once_is_refused(content: bytes, media_type: str, cause: str) -> None:
    with pytest.raises(DocumentError, match=cause):
        read_subject(content, media_type, where="m")


def test_an_index_of_platforms_is_an_image() -> None:
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()

    assert read_subject(content, INDEX, where="m").digest == sha256(content)


def test_the_list_gets_one_more_and_keeps_what_it_has() -> None:
    other = {"mediaType": MANIFEST, "digest": sha256(b"x"), "size": 1, "artifactType": "application/other", "x": 1}
    before = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [other], "annotations": {"a": "b"}})

    first = add_referrer(None, _manifest(), where="tag")
    after = add_referrer(before.encode(), _manifest(), where="tag")

    assert first is not None
    assert after is not None
    assert json.loads(after)["manifests"][0] == other
    assert json.loads(after)["annotations"] == {"a": "b"}
    entry = json.loads(after)["manifests"][1]
    assert entry["artifactType"] == BUNDLE
    assert entry["annotations"] == json.loads(_manifest())["annotations"]
    assert [one.digest for one in read_referrers(after, where="tag")] == [sha256(_manifest())]
    assert add_referrer(after, _manifest(), where="tag") is None


@pytest.mark.parametrize(
    "content",
    [b"{}", IMAGE, b"<html>", b'{"manifests":[null]}', b'{"manifests":{}}', b'{"manifests":[],"layers":[]}'],
    ids=range(6),
)
def test_what_is_no_list_is_not_written_over(content: bytes) -> None:
    with pytest.raises(DocumentError):
        add_referrer(content, _manifest(), where="tag")


def test_a_listed_bundle_without_a_sha256_is_refused() -> None:
    entry = {"mediaType": MANIFEST, "digest": "md5:aa", "size": 1, "artifactType": BUNDLE}

    with pytest.raises(DocumentError, match="descriptor"):
        read_referrers(json.dumps({"manifests": [entry]}).encode(), where="tag")


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from([MANIFEST, INDEX, BUNDLE, sha256(b"")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mediaType", "manifests", "layers", "subject", "digest", "size", "artifactType", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64))
def test_whatever_a_registry_gives_is_read_or_refused(content: bytes) -> None:
    for read in (
        lambda: read_referrers(content, where="x"),
        lambda: read_bundle_manifest(content, SUBJECT.sha256, where="x"),
        lambda: read_subject(content, MANIFEST, where="x"),
        lambda: add_referrer(content, _manifest(), where="x"),
    ):
        try:
            read()
        except PolicydError:
            continue
