"""A baseline: the violations that a repository had when it began to be checked, so that only new ones deny.

A convenience of `policyd check` alone. No gate reads it: what a run, a release or a verification asks stays asked.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from policyd.models.base import Model, RuleId, Sha256


class KnownViolation(Model):
    """A rule broken by a part of a file, as often as that part stands there.

    The part is named by digest, so it stays known when lines move and becomes new when it is edited. A violation of the
    file as a whole has no part, and is named by its message.
    """

    rule: RuleId
    file: str  # from the project's root
    part_sha256: Sha256 | None = None
    message: str | None = None
    count: Annotated[int, Field(ge=1)] = 1


class Baseline(Model):
    """What was known when the baseline was written."""

    policyd: Literal["baseline/v1"] = "baseline/v1"
    known: tuple[KnownViolation, ...]
