from __future__ import annotations

import pytest

from policyd.attestation.predicate_types import SHORT_NAMES, require_predicate_type
from policyd.errors import UsageError
from policyd.models.statement import DECISION_V1, MANIFEST_V1, PROVENANCE_V1


def test_short_names_and_uris_are_predicate_types() -> None:
    assert require_predicate_type("slsaprovenance1") == PROVENANCE_V1
    assert require_predicate_type("https://example.com/review/v1") == "https://example.com/review/v1"
    assert all(require_predicate_type(name) == uri for name, uri in SHORT_NAMES.items())


@pytest.mark.parametrize("text", [DECISION_V1, MANIFEST_V1, "HTTPS://POLICYD.DEV/attestation/decision/v1"])
def test_the_types_of_a_run_are_nobodys_to_sign(text: str) -> None:
    with pytest.raises(UsageError, match="only a policyd run"):
        require_predicate_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "provenance",
        "slsaprovenance",
        "file:///etc/passwd",
        "ftp://example.com/v1",
        "https://",
        "https:///v1",
        "https://a b/v1",
        "https://[/v1",
        "https://exаmple.com/v1",
        "https://example.com/\x1b[0m",
        "https://example.com/" + "a" * 300,
    ],
)
def test_other_texts_are_no_predicate_types(text: str) -> None:
    with pytest.raises(UsageError):
        require_predicate_type(text)
