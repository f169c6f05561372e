"""Checks 5 to 10: what a pinned Sigstore instance has to say of a signature that was found good.

The same for trust that is given directly (`direct`) and for an identity in a role of the trust policy (`role`): the
numbers are those of docs/verifying.md, and each check that is made adds what it found.
"""

from __future__ import annotations

from datetime import datetime

from policyd.attestation.bundle import Bundle, signature_of
from policyd.attestation.dsse import Envelope
from policyd.attestation.findings import Findings, Signer, State
from policyd.attestation.keyless import witnesses
from policyd.attestation.keyless.certificate_log import verify_certificate_timestamps
from policyd.attestation.keyless.entry_body import Logged
from policyd.attestation.keyless.identity import AskedIdentity, require_identity
from policyd.attestation.keyless.leaf import Leaf
from policyd.attestation.keyless.trusted_root import TrustedRoot
from policyd.attestation.keys import PublicKey
from policyd.attestation.subjects import Digests


def verify_by_instance(
    bundle: Bundle,
    root: TrustedRoot,
    signer: PublicKey | Leaf,
    identity: AskedIdentity | None,
    signed: Digests,
    found: Findings,
    *,
    now: datetime,
    where: str,
    may_lack_logs: bool = False,
) -> None:
    """Make checks 5 to 10 for the signature of `signer`: logs, times, and for a certificate who that is.

    `identity` is whom the certificate has to name, None exactly where `signer` is a managed key; `signed` are the
    digests of the bytes that the signature covers. With `may_lack_logs`, an instance whose trusted root lists no log
    at all needs none: its bundles are as good as its authority and its timestamps; checks 5 and 9 are then skipped.
    """
    leaf = signer if isinstance(signer, Leaf) else None
    if (identity is None) is not (leaf is None):
        raise ValueError("a certificate is compared with an identity, and only a certificate")
    without_logs = may_lack_logs and root.lists_no_log

    # 5. Every log entry: promised or proven by a log of the trusted root.
    found.number = 5
    required = (leaf is not None and not without_logs) or bool(root.logs)
    witnesses.verify_log_entries(bundle, root, found, required=required, where=where)

    # 6. Each is one of this very signature, by this signer.
    if bundle.material.entries:
        found.number = 6
        logged = Logged(
            signature=signature_of(bundle),
            signer=signer.der if isinstance(signer, Leaf) else der_of(signer),
            envelope=bundle.content if isinstance(bundle.content, Envelope) else None,
            signed=signed,
        )
        witnesses.verify_entry_bodies(bundle, logged, found, where=where)

    # 7. The time of signing: by a log's promise, or by a timestamp authority. All that is there has to hold.
    found.number = 7
    witnesses.verify_times(bundle, root, found, required=leaf is not None, now=now, where=where)
    if leaf is None or identity is None:
        return

    # 8. The chain, at each of these times.
    found.number = 8
    issuer = witnesses.verify_chain(bundle, leaf, root, found, where=where)

    # 9. The certificate's own log.
    found.number = 9
    if without_logs:
        found.note("the trusted root lists no log", State.SKIPPED)
    else:
        found.note(verify_certificate_timestamps(leaf, issuer, root, where=where))

    # 10. Who it is.
    found.number = 10
    require_identity(leaf, identity, where=where)
    pattern = "" if identity.pattern is None else f", which {identity.pattern} takes in"
    found.note(f"{leaf.identity} at {leaf.issuer}{pattern}")
    found.signer = Signer(leaf.key.sha256, leaf.key.describe(), leaf.identity, leaf.issuer, leaf.facts)


def der_of(key: PublicKey) -> bytes:
    """Return a public key as log entries name it: SubjectPublicKeyInfo in DER."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
