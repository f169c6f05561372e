"""An approval: somebody's signed word that one artifact may go to one target.

Who approved is not in here: that is the person whose key or identity signed, as the trust policy has it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, StringConstraints, model_validator

from policyd.models.base import Model, Name, Sha256
from policyd.models.waiver import Reason

#: A person as the trust policy spells it, or a run as its builder names it.
Label = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Approval(Model):
    """The predicate `approval/v1`. The artifact is the subject of the statement, by its digest."""

    policyd: Literal["approval/v1"] = "approval/v1"
    target: Name  # an approval for one place is none for another
    reason: Reason
    requested_by: Label  # who asked for it, and can't be who grants it
    approved_at: AwareDatetime
    run_id: Label | None = None
    plan_sha256: Sha256 | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")] | None = None

    @model_validator(mode="after")
    def _names_what_made_it(self) -> Self:
        if self.run_id is None and self.plan_sha256 is None and self.commit is None:
            raise ValueError("it names none of `run_id`, `plan_sha256` and `commit`")
        return self
