"""The input is looked at once, whenever that is; what does not fit is found before any answer counts."""

from __future__ import annotations

import json
from typing import Any

from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Problem
from policyd.policy.judged_input import JudgedInput, write_input


class Document(Model):
    count: int


def made(**values: Any) -> Document:
    return Document.model_construct(**values)


def test_bytes_digest_and_content_are_those_of_the_document() -> None:
    written = write_input(Document(count=1), where="here")

    assert written.content == b'{"count":1}'
    assert written.sha256 == sha256_hex(written.content)
    assert written.document == json.loads(written.content)
    assert written.misfit is None


def test_what_does_not_fit_its_model_says_where() -> None:
    misfit = write_input(made(count="1"), where="here").misfit

    assert misfit is not None
    assert misfit.message.startswith("the input does not fit its model: count: ")
    assert misfit.where == "here"


def test_what_can_not_be_written_has_no_bytes_and_does_not_fit() -> None:
    written = write_input(made(count=object()), where="here")

    assert written.content == b""
    assert written.misfit is not None
    assert "can't be written" in written.misfit.message


def test_the_model_is_asked_once() -> None:
    asked: list[int] = []

    def find() -> Problem | None:
        asked.append(1)
        return None

    judged = JudgedInput(b"{}", find)
    judged.look()
    judged.look()

    assert (judged.misfit, len(asked)) == (None, 1)


def test_what_does_not_fit_is_not_parsed() -> None:
    problem = Problem(message="m", where="w", fix="f")

    JudgedInput(b"no JSON", lambda: problem).look()
