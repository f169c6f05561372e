"""What a run made, as lines: each comes back as the bytes that a manifest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.app.run_export import to_line
from policyd.app.verify import read_bundles
from policyd.attestation.dsse import Envelope, Signature
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.attestation.waivers import render_waiver
from policyd.models.statement import PAYLOAD_TYPE, WAIVER_V1
from tests.attestation.made_run import key, sha256

STATEMENT = render_statement([Named("x", sha256("x"))], WAIVER_V1, {"reason": "a line\nand another"})


@pytest.mark.parametrize(
    "content",
    [
        sign_statement(STATEMENT, key("approver")),
        render_waiver(Envelope(STATEMENT, PAYLOAD_TYPE, (Signature(b"one"), Signature(b"two")))),
        b'{"policyd":"plan/v1"}',
    ],
    ids=["bundle", "waiver", "plan"],
)
def test_what_a_manifest_names_comes_back_byte_for_byte(content: bytes, tmp_path: Path) -> None:
    handed_on = tmp_path / "evidence.jsonl"
    other = sign_statement(STATEMENT, key("builder"))
    handed_on.write_bytes(to_line(content) + to_line(other))

    assert [one for _, one in read_bundles([handed_on])] == [content, other]
