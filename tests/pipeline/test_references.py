"""Names of what comes from elsewhere, as far as all systems write them alike."""

from __future__ import annotations

import pytest

from policyd.pipeline.references import ImageName, is_commit, split_image

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alpine", ImageName("", "alpine", "", "", pinned=False)),
        ("alpine:3.20", ImageName("", "alpine", "3.20", "3.20", pinned=False)),
        ("localhost:5000/a/b:1", ImageName("localhost:5000/a", "b", "1", "1", pinned=False)),
        (f"ghcr.io/a/b:1@{DIGEST}", ImageName("ghcr.io/a", "b", "1", DIGEST, pinned=True)),
    ],
)
def test_an_image_is_split_into_its_parts(text: str, parts: ImageName) -> None:
    assert split_image(text) == parts


@pytest.mark.parametrize(
    "digest", ["sha256:" + "0" * 63, "sha256:" + "g" * 64, "md5:" + "0" * 64, "sha512:" + "0" * 64]
)
def test_only_a_whole_digest_pins_an_image(digest: str) -> None:
    assert not split_image(f"a@{digest}").pinned


@pytest.mark.parametrize(("ref", "commit"), [("a" * 40, True), ("a" * 64, True), ("a" * 39, False), ("g" * 40, False)])
def test_only_a_whole_commit_id_is_one(ref: str, *, commit: bool) -> None:
    assert is_commit(ref) is commit
