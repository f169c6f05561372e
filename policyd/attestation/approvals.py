"""Approvals: a person's word that an artifact may go to a target, signed by the role `approver` alone.

What is checked here holds whatever rules ask: an approval says in full what it is for, and nobody approves what they
asked for. How many persons it takes, and for which run and commit, rules say (docs/attestations.md).
"""

from __future__ import annotations

from policyd.attestation.trust import VerifiedStatement
from policyd.errors import IdentityNotTrusted
from policyd.models.approval import Approval


def verify_approval(verified: VerifiedStatement, *, where: str) -> Approval:
    """Return the approval in a statement that the role approver signed.

    Raises `VerificationFailed` for a predicate that is none, `IdentityNotTrusted` where who asked for it signed it.
    """
    approval = verified.read_predicate(Approval, where=where)
    if approval.requested_by in verified.signers:
        raise IdentityNotTrusted(
            f"{approval.requested_by} asked for this approval, and can't grant it",
            where=where,
            fix="ask another approver whom the trust policy lists",
        )
    return approval
