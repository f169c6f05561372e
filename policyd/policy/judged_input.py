"""The input of one decision: bytes, held against the model of their gate and parsed once at most.

The bytes are what rules see, what the decision's digest names, and what is recorded. Neither look at them has to come
before the rules are asked, only before anything is made of the answers: so an engine in another process works
meanwhile (`PolicyEngine.query`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Problem

MISFIT = "the input does not fit its model"
_FIX = "report this (SECURITY.md); until it fits, nothing is allowed"


class JudgedInput:
    """The bytes of an input, and what is wrong with them."""

    def __init__(self, content: bytes, find_misfit: Callable[[], Problem | None]) -> None:
        """`find_misfit` is called once: why `content` does not fit the model of its gate."""
        self.content = content
        self._find_misfit = find_misfit

    @functools.cached_property
    def sha256(self) -> str:
        """The digest by which decisions name the input."""
        return sha256_hex(self.content)

    @functools.cached_property
    def misfit(self) -> Problem | None:
        """Why the bytes do not fit the model of their gate; then no answer about them counts."""
        return self._find_misfit()

    @functools.cached_property
    def document(self) -> Any:
        """What the bytes say. Only for an input without a misfit."""
        return json.loads(self.content)

    def look(self) -> None:
        """Do now what the decision will need: for the time in which the rules are at work."""
        if self.misfit is None:
            _ = self.document


def write_input(document_model: Model, *, where: str) -> JudgedInput:
    """Return the input that rules will see.

    Models are put together from parts without a look at each (`model_construct`), so the bytes are what is checked.
    What can't be written has no bytes, and is a misfit.
    """
    try:
        content = document_model.model_dump_json(warnings=False).encode()
    except (PydanticSerializationError, UnicodeEncodeError, AttributeError) as error:
        problem = Problem(message=f"the input can't be written as JSON: {error}", where=where, fix=_FIX)
        return JudgedInput(b"", lambda: problem)
    return JudgedInput(content, lambda: find_misfit(type(document_model), content, where=where))


def find_misfit(model: type[Model], content: bytes, *, where: str, fix: str = _FIX) -> Problem | None:
    """Return why the input in `content` does not fit the model of its gate, None where it does."""
    try:
        model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return Problem(message=f"{MISFIT}: {field}: {first['msg']}", where=where, fix=fix)
    return None
