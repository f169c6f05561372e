from __future__ import annotations

import pytest

from policyd.pipeline.addresses import split_address


@pytest.mark.parametrize("text", ["https://ci.example]", "https://[x", "https://\u2100.example/a", "", "a b"])
def test_what_is_no_address_is_a_path(text: str) -> None:
    assert split_address(text).netloc == ""


def test_an_address_has_a_host() -> None:
    assert split_address("https://ci.example/a/b.yml").netloc == "ci.example"
