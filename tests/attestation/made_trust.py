"""Trust policies as signed documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from policyd.app.trust_edit import render_trust
from policyd.attestation.dsse import Envelope, Signature
from policyd.attestation.trust_chain import TrustDocument, read_trust_document, render_envelope
from policyd.models.trust import TRUST_POLICY_TYPE, Role, RolePolicy, TrustPolicy
from tests.attestation.made_run import key, make_trust, trusted


def make_version(
    version: int,
    authors: Sequence[str] = ("ann", "bob"),
    *,
    threshold: int = 1,
    expires_at: datetime | None = None,
    types: Sequence[str] = (TRUST_POLICY_TYPE,),
    **changes: object,
) -> TrustPolicy:
    """Return a version of a trust policy; an author `ann/2` is ann with another key."""
    trust = make_trust()
    roles = dict(trust.roles)
    if authors:
        roles[Role.TRUST_AUTHOR] = RolePolicy(
            keys=tuple(trusted(key(f"trust-author {name}"), name.partition("/")[0]) for name in authors),
            threshold=threshold,
            predicate_types=tuple(types),
        )
    return trust.model_copy(update={"version": version, "expires_at": expires_at, "roles": roles, **changes})


def signed(
    trust: TrustPolicy, by: Sequence[str] = (), *, payload_type: str = TRUST_POLICY_TYPE, name: str = ""
) -> TrustDocument:
    """Return the document of a trust policy, signed by these authors' keys."""
    return read_trust_document(
        signed_bytes(trust, by, payload_type=payload_type), where=name or f"trust.v{trust.version}.json"
    )


def signed_bytes(trust: TrustPolicy, by: Sequence[str] = (), *, payload_type: str = TRUST_POLICY_TYPE) -> bytes:
    """Return the file of a trust policy: an envelope, or bare YAML where nobody signed it."""
    payload = render_trust(trust).encode()
    if not by:
        return payload
    unsigned = Envelope(payload, payload_type, ())
    signatures = tuple(Signature(key(f"trust-author {name}").sign(unsigned.signed_bytes())) for name in by)
    return render_envelope(Envelope(payload, payload_type, signatures))
