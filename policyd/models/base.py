"""What every policyd document has in common: strict, frozen, closed models and the words for their fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

#: SHA-256 in lower-case hex. The only digest policyd writes; what it reads may add stronger ones.
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
#: Names of stages, products, tools and targets: ASCII, so no two names can look alike (docs/threats.md, T6).
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
#: 128 random bits in hex.
RunId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
#: `<family>.<rule>`
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")]
#: A step into a JSON document: the keys and indices from its root.
JsonPath = tuple[str | int, ...]


def rfc3339(moment: datetime) -> str:
    """Return `moment` as every policyd document writes time: UTC with microseconds, `2026-01-02T03:04:05.000006Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Model(BaseModel):
    """A value policyd may rely on once it exists."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)

    def to_json(self) -> bytes:
        """Return the canonical JSON (RFC 8785) of this document; fields that are unset stay out."""
        from policyd.models.canonical import canonical_json

        return canonical_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))
