"""Evidence that is handed in for a target is bounded before anything of it is parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.app.verify import read_bundles
from policyd.attestation.statements import sign_statement
from policyd.errors import InputTooLarge
from tests.attestation.made_run import key

KEYS = b"{" + b",".join(b'"%x":1' % number for number in range(200_000)) + b"}"


@pytest.mark.parametrize(
    "content", [b'{"a":' * 400_000, b'{"policyd":"plan/v1","a":' + b"[1," * 700_000], ids=["nested", "as a plan"]
)
def test_a_document_of_too_many_parts_is_never_a_value(content: bytes, tmp_path: Path) -> None:
    """Counting comes first: what was parsed for another reason took 2 GB for 47 MB."""
    (tmp_path / "x").write_bytes(content)

    with pytest.raises(InputTooLarge, match=r"more than \d+ parts"):
        read_bundles([tmp_path / "x"])


def test_a_statement_of_too_many_parts_is_not_looked_at_before_its_signature(tmp_path: Path) -> None:
    statement = b'{"predicateType":"https://example.com/x/v1","predicate":' + KEYS + b"}"
    bundle = sign_statement(statement, key("approver"))
    (tmp_path / "x").write_bytes(bundle)

    assert read_bundles([tmp_path / "x"]) == [("", bundle)]
