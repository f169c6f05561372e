from __future__ import annotations

import pytest

from policyd.pipeline.github.references import parse_image, parse_uses

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "kind", "owner", "name", "ref", "local", "pinned"),
    [
        ("actions/checkout@v4", "action", "actions", "checkout", "v4", False, False),
        (f"actions/checkout@{COMMIT}", "action", "actions", "checkout", COMMIT, False, True),
        (f"actions/checkout@{COMMIT[:39]}", "action", "actions", "checkout", COMMIT[:39], False, False),
        ("actions/cache/save@v4", "action", "actions", "cache/save", "v4", False, False),
        ("actions//checkout/./@v4", "action", "actions", "checkout", "v4", False, False),
        ("actions/checkout", "action", "actions", "checkout", "", False, False),
        ("./local/action", "action", "", "./local/action", "", True, False),
        ("o/r/.github/workflows/x.yml@main", "workflow", "o", "r/.github/workflows/x.yml", "main", False, False),
        ("./.github/workflows/x.yml", "workflow", "", "./.github/workflows/x.yml", "", True, False),
        ("docker://ghcr.io/o/i:1", "image", "ghcr.io/o", "i", "1", False, False),
        (f"docker://i@{DIGEST}", "image", "", "i", DIGEST, False, True),
    ],
)
def test_uses_is_taken_apart(text: str, kind: str, owner: str, name: str, ref: str, local: bool, pinned: bool) -> None:
    parsed = parse_uses(text)

    assert parsed[:6] == (kind, owner, name, ref, local, pinned)


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        (f"localhost:5000/a/b:1@{DIGEST}", True),
        ("a@sha256:abc", False),
        ("a@sha256:" + "g" * 64, False),
        ("a@md5:" + "0" * 32, False),
        ("a", False),
        ("${{ x }}", False),
    ],
)
def test_images_are_pinned_by_a_full_digest_only(text: str, pinned: bool) -> None:
    assert parse_image(text).pinned is pinned


def test_a_port_is_no_tag() -> None:
    assert parse_image("localhost:5000/a/b")[1:4] == ("localhost:5000/a", "b", "")
