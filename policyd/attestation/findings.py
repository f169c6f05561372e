"""What verifying a bundle with direct trust found: every check by its number, and what it showed.

The numbers are the same in every answer and in docs/verifying.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from policyd.errors import ExitCode, PolicydError, VerificationFailed

#: The checks by number. docs/verifying.md says what each asks and why.
CHECKS: Mapping[int, str] = {
    1: "the bundle is of a version that counts",
    2: "it signs what is asked for",
    3: "the signer's key is one that counts",
    4: "the signature is the signer's",
    5: "a trusted log has the signature",
    6: "the log entry is of this bundle",
    7: "the time of signing is proven",
    8: "a trusted authority issued the certificate, valid at that time",
    9: "a public log has seen the certificate",
    10: "the signer is who is asked for",
    11: "the statement can be read and is of the type asked for",
    12: "it speaks of this artifact",
}


class State(StrEnum):
    """What became of a check."""

    HELD = "held"
    FAILED = "failed"
    WEAKENED = "weakened"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class DirectCheck:
    """One check that was made, or could have been: its number, what it asks, what became of it, what was found."""

    number: int
    name: str
    state: State
    detail: str

    @property
    def passed(self) -> bool:
        """Whether it stands in nobody's way."""
        return self.state is not State.FAILED


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, once that is verified. `facts` are what the certificate's issuer says of the workflow."""

    key_sha256: str
    key_kind: str
    identity: str | None = None
    issuer: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectVerification:
    """What verifying one bundle found. Where it did not hold, there is nothing but `checks` and `error`."""

    checks: tuple[DirectCheck, ...]
    error: PolicydError | None = None
    signer: Signer | None = None
    times: tuple[tuple[datetime, str], ...] = ()
    log_entries: tuple[tuple[str, int], ...] = ()
    predicate_type: str | None = None
    files: frozenset[str] = frozenset()

    @property
    def verified(self) -> bool:
        """True where every check was made that applies, and none failed."""
        return self.error is None and bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """How it ended."""
        if self.error is not None:
            return self.error.exit_code
        return ExitCode.OK if self.verified else ExitCode.REFUSED


@dataclass(slots=True)
class Findings:
    """What has been found so far; the number is that of the check being made."""

    checks: list[DirectCheck] = field(default_factory=list)
    number: int = 0
    signer: Signer | None = None
    times: list[tuple[datetime, str]] = field(default_factory=list)
    log_entries: list[tuple[str, int]] = field(default_factory=list)
    predicate_type: str | None = None
    files: frozenset[str] = frozenset()

    def note(self, detail: str, state: State = State.HELD) -> None:
        """Say what became of the check being made."""
        self.checks.append(DirectCheck(self.number, CHECKS[self.number], state, detail))


def refused(cause: str, where: str) -> VerificationFailed:
    """Return the refusal of a bundle."""
    return VerificationFailed(
        cause, where=where, fix="get the bundle again from its signer; or ask for what this bundle is"
    )
