"""Log entries of a managed key's signature, where a role of the trust policy asks for them.

Checks 5 to 7 as for an identity, but for whose timestamps count: a key's are those of the trust policy's authorities,
and it may have none. A log then has to count now, since nothing shows that it counted earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from policyd.attestation.bundle import Bundle, signature_of
from policyd.attestation.dsse import Envelope
from policyd.attestation.findings import Findings
from policyd.attestation.keyless import witnesses
from policyd.attestation.keyless.entry_body import Logged
from policyd.attestation.keyless.instance import der_of
from policyd.attestation.keyless.role import read_pinned_root
from policyd.attestation.keyless.trusted_root import TrustedRoot
from policyd.attestation.keys import PublicKey
from policyd.attestation.timestamps import VerifiedTime
from policyd.errors import VerificationFailed
from policyd.models.trust import Instance


def verify_key_entries(
    bundle: Bundle,
    key: PublicKey,
    instances: Sequence[Instance],
    times: Sequence[VerifiedTime],
    *,
    now: datetime,
    where: str,
) -> None:
    """Verify that each log entry of `bundle` is in a log of one of `instances`, and of this signature by `key`.

    `times` are those that its timestamps prove. Raises `VerificationFailed` with the number of the check, also where
    there are no entries or no instances.
    """
    refusals: list[VerificationFailed] = []
    for instance in instances:
        found = Findings()
        try:
            _verify(bundle, key, read_pinned_root(instance.trusted_root), times, found, now, where)
        except VerificationFailed as refusal:
            refusal.check = found.number
            refusals.append(refusal)
            continue
        return
    if refusals:
        # The instance that got furthest is the one that was meant.
        raise max(refusals, key=lambda refusal: refusal.check or 0)
    unlisted = VerificationFailed(
        "the trust policy pins no instance whose log could have the signature",
        where=where,
        fix="list the instance under `instances` of the trust policy",
    )
    unlisted.check = 5
    raise unlisted


def _verify(
    bundle: Bundle,
    key: PublicKey,
    root: TrustedRoot,
    times: Sequence[VerifiedTime],
    found: Findings,
    now: datetime,
    where: str,
) -> None:
    # 5. Every log entry: promised or proven by a log of the trusted root.
    found.number = 5
    witnesses.verify_log_entries(bundle, root, found, required=True, where=where)

    # 6. Each is one of this very signature, by this key.
    found.number = 6
    message = bundle.content.signed_bytes() if isinstance(bundle.content, Envelope) else b""
    logged = Logged(
        signature=signature_of(bundle),
        signer=der_of(key),
        envelope=bundle.content if isinstance(bundle.content, Envelope) else None,
        signed={name: hashlib.new(name, message).digest() for name in ("sha256", "sha384", "sha512")},
    )
    witnesses.verify_entry_bodies(bundle, logged, found, where=where)

    # 7. The logs count at every time that was proven; where none was, now.
    found.number = 7
    found.times += [(time.moment, f"the timestamp authority {time.authority}") for time in times]
    proven = found.times or [(now, "this machine's clock")]
    witnesses.require_times_fit(bundle, root, proven, now=now, where=where)
