"""The witnesses that a role asks for (`roles.NAME.witnesses`): who else has to have seen a signature.

What an identity needs is verified whether it is asked for or not, and all that its bundle brings has to hold (`keyless.
instance`): there it is enough to look for what is missing. A managed key needs nobody, so for one what is asked for is
verified here: timestamps by the authorities of the trust policy, log entries by one of its instances.

The numbers are those of docs/verifying.md: 5 for what logs say, 7 for time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from policyd.attestation.bundle import Bundle, signature_of
from policyd.attestation.keys import PublicKey
from policyd.attestation.timestamps import CLOCK_TOLERANCE, VerifiedTime, find_times
from policyd.errors import VerificationFailed
from policyd.models.trust import LOG_WITNESSES, Role, TrustPolicy, Witness

_CHECKS: Final[Mapping[Witness, int]] = {"inclusion-proof": 5, "signed-entry-timestamp": 5, "timestamp": 7}


def require_brought(bundle: Bundle | None, asked: Sequence[Witness], *, role: Role, where: str) -> None:
    """Raise `VerificationFailed` unless `bundle` brings each witness that is asked for, be it good or not.

    None is an envelope without a bundle, which brings nothing.
    """
    entries = () if bundle is None else bundle.material.entries
    brought: Mapping[Witness, bool] = {
        "inclusion-proof": any(entry.proof is not None for entry in entries),
        "signed-entry-timestamp": any(entry.promise is not None for entry in entries),
        "timestamp": bundle is not None and bool(bundle.timestamps),
    }
    for witness in sorted(asked, key=lambda one: _CHECKS[one]):
        if not brought[witness]:
            raise _refused(f"the bundle has no {witness}, which the role {role} must have", witness, where)


def verify_key_witnesses(
    bundle: Bundle | None,
    keys: Sequence[PublicKey],
    asked: Sequence[Witness],
    trust: TrustPolicy,
    *,
    role: Role,
    now: datetime,
    where: str,
) -> None:
    """Verify each witness that is asked for of the one signature in `bundle`, which is by `keys`.

    Raises `VerificationFailed` with the number of the check.
    """
    # 1. Everything is there. An envelope of several signatures brings nothing, so from here on there is one.
    require_brought(bundle, asked, role=role, where=where)
    if bundle is None or not asked:
        return

    # 2. A timestamp by an authority of the trust policy; clocks may differ a little, as for identities.
    times: tuple[VerifiedTime, ...] = ()
    if bundle.timestamps:
        found = find_times(
            bundle.timestamps, signature_of(bundle), trust.timestamp_authorities, now=now + CLOCK_TOLERANCE
        )
        times = found.verified
        if "timestamp" in asked and not times:
            raise _refused("; ".join(found.problems), "timestamp", where)

    # 3. The log entries, all of them, by one instance of the trust policy.
    if LOG_WITNESSES.intersection(asked):
        from policyd.attestation.keyless.key_log import verify_key_entries

        for key in keys:
            verify_key_entries(bundle, key, trust.instances, times, now=now, where=where)


def _refused(cause: str, witness: Witness, where: str) -> VerificationFailed:
    refusal = VerificationFailed(
        cause,
        where=where,
        fix="have it signed with all that the trust policy asks for in `witnesses` of the role",
    )
    refusal.check = _CHECKS[witness]
    return refusal
