"""Reads frameworks from their JSON files, and says which controls there are."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from policyd.compliance.models import Framework
from policyd.errors import DocumentError

MAX_FRAMEWORK_BYTES = 1_000_000  # the largest published catalogue of controls is below this


def read_framework(path: str, content: bytes) -> Framework:
    """Return the framework in `content`. Raises `DocumentError` with the field that is wrong."""
    if len(content) > MAX_FRAMEWORK_BYTES:
        raise DocumentError(
            f"the framework has {len(content)} bytes, more than {MAX_FRAMEWORK_BYTES}",
            where=path,
            fix="keep one framework a file",
        )
    try:
        return Framework.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file as a whole"
        raise DocumentError(
            f"this is no framework: {field}: {first['msg']}",
            where=path,
            fix="compare it with policies/frameworks/slsa-build-v1.2.json",
        ) from error


def known_controls(frameworks: Iterable[Framework]) -> frozenset[str]:
    """Return the id of every control, so that a rule naming another one is found."""
    return frozenset(control.id for framework in frameworks for control in framework.controls)
