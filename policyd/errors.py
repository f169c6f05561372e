"""Everything that can go wrong in policyd, in one family.

A refusal after judgement is usually a value (a `Decision`); what keeps policyd from judging is raised. Each class
names one reason and knows its exit code (README.md, "Exit codes").
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process tells its caller. Only `OK` lets a deployment through."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNDECIDED = 3
    NOT_EVALUATED = 4
    STAGE_FAILED = 5
    WAITING = 6
    FAULT = 70


#: When several reasons hold at once, the first of these that applies is the exit code.
EXIT_PRECEDENCE = (
    ExitCode.FAULT,
    ExitCode.USAGE,
    ExitCode.UNDECIDED,
    ExitCode.REFUSED,
    ExitCode.STAGE_FAILED,
    ExitCode.WAITING,
    ExitCode.NOT_EVALUATED,
    ExitCode.OK,
)


def worst(*codes: ExitCode) -> ExitCode:
    """Return the code that wins when all of `codes` hold; nothing at all is `NOT_EVALUATED`."""
    return next((code for code in EXIT_PRECEDENCE if code in codes), ExitCode.NOT_EVALUATED)


class PolicydError(Exception):
    """policyd could not reach a decision. Every subclass names one reason."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNDECIDED

    def __init__(self, cause: str, *, where: str, fix: str) -> None:
        super().__init__(cause)
        self.cause, self.where, self.fix = cause, where, fix

    def __reduce__(self) -> tuple[object, ...]:
        """Let an error travel between processes with all it says."""
        return _revive, (type(self), self.__dict__)


class UsageError(PolicydError):
    """The request can't be used: a wrong option, a path that is not there."""

    exit_code = ExitCode.USAGE


class SettingsError(PolicydError):
    """Operator settings, project settings or the trust policy are missing or malformed."""

    exit_code = ExitCode.USAGE


class UnsafePermissions(SettingsError):
    """A file that carries authority belongs to, or can be changed by, somebody else."""


class DocumentError(PolicydError):
    """A document named by the caller does not parse or does not fit its schema."""

    exit_code = ExitCode.USAGE


class InputTooLarge(DocumentError):
    """A document is beyond a bound (bytes, depth, nodes, aliases) and was not read further."""


class PlanChanged(PolicydError):
    """What would run now is not what the plan names."""

    exit_code = ExitCode.REFUSED


class PolicyError(PolicydError):
    """A policy set can't be used: empty, not compiling, incomplete metadata, forbidden builtin."""


class RuleUndefined(PolicyError):
    """A rule that was asked has no value: silence is never a pass."""


class EngineError(PolicydError):
    """A Rego engine failed, timed out, died or is not there."""


class SandboxUnavailable(PolicydError):
    """This machine can't isolate a stage and the caller did not accept that."""

    exit_code = ExitCode.USAGE


class SandboxError(PolicydError):
    """The sandbox failed before or around the stage: the stage's own outcome is not known."""


class CollectError(PolicydError):
    """What a stage left can't be taken as its products: missing, undeclared, a link, a special file.

    The run was allowed and the stage fails.
    """

    exit_code = ExitCode.STAGE_FAILED


class SourceError(PolicydError):
    """The source tree can't be read as it stands."""

    exit_code = ExitCode.USAGE


class ToolError(PolicydError):
    """A stage's tool can't be had as locked."""


class StoreError(PolicydError):
    """The store can't be read or written: full disk, corrupted object, another policyd at work."""


class RegistryError(PolicydError):
    """A registry could not be asked, contradicts itself or a digest, or goes beyond a bound."""


class RecordError(StoreError):
    """The record contradicts itself or a checkpoint."""

    exit_code = ExitCode.REFUSED


class KeyUnusable(SettingsError):
    """A key is missing, can't be opened, or may not be used for this."""


class SigningFailed(PolicydError):
    """The signing process died or does not answer: nothing was signed."""


class SigningRefused(SigningFailed):
    """The runner's keys do not sign what they were asked to: it does not belong to the run they are bound to."""


class TimestampError(PolicydError):
    """A timestamp was asked for and could not be had: nothing was written without it."""


class TokenUnusable(UsageError):
    """There is no identity token to sign with, or none that can be used."""


class KeylessError(PolicydError):
    """A keyless signature was asked for and could not be had: nothing was written."""


class VerificationFailed(PolicydError):
    """Verification was done and the evidence does not suffice: a refusal, not a doubt."""

    exit_code = ExitCode.REFUSED
    #: The number of the check (docs/verifying.md) that failed, where whoever made it says.
    check: int | None = None


class SignatureInvalid(VerificationFailed):
    """No signature by an acceptable key."""


class IdentityNotTrusted(VerificationFailed):
    """The signer is not among those the trust policy lists for this role and predicate type."""


class ThresholdNotMet(VerificationFailed):
    """Too few distinct persons signed."""


class SubjectMismatch(VerificationFailed):
    """The statement speaks of another artifact, run, plan or target."""


class WaiverUnusable(VerificationFailed):
    """A waiver does not count: not approved by enough persons, outside its time, revoked, or not signed as it must."""

    def __init__(self, cause: str, *, where: str, fix: str, state: str) -> None:
        super().__init__(cause, where=where, fix=fix)
        self.state = state


class EvidenceMissing(PolicydError):
    """Evidence that the run manifest lists can't be found: `undecided`, never skipped."""


class ClockBehind(PolicydError):
    """The clock lies before the newest entry of the record or before evidence: no gate can say what holds now."""


def _revive(kind: type[PolicydError], said: dict[str, object]) -> PolicydError:
    error = kind.__new__(kind, said["cause"])
    error.__dict__.update(said)
    return error
