"""The witnesses of a signature: the logs that have it, the times they and others state, the authority of its signer.

Each function is one of the numbered checks of `policyd.attestation.keyless.instance`, over what a trusted root lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from policyd.attestation.bundle import Bundle, signature_of
from policyd.attestation.findings import Findings, State, refused
from policyd.attestation.keyless.entry_body import Logged, verify_entry_body
from policyd.attestation.keyless.leaf import Leaf
from policyd.attestation.keyless.log_entry import require_in_window, require_log, verify_inclusion, verify_promise
from policyd.attestation.keyless.trusted_root import TrustedRoot
from policyd.attestation.keyless.x509 import find_path, read_certificate, require_path
from policyd.attestation.material import BundleVersion
from policyd.attestation.timestamps import CLOCK_TOLERANCE, verify_time
from policyd.errors import DocumentError, IdentityNotTrusted, VerificationFailed
from policyd.models.base import rfc3339

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def verify_log_entries(bundle: Bundle, root: TrustedRoot, found: Findings, *, required: bool, where: str) -> None:
    """Verify that each log entry of a bundle is in a log that counts: proven, or from a bundle v0.1 at least promised.

    Adds the times that logs promised to `found`. `required` is false only for a managed key under a trusted root that
    lists no log: its owner may log nothing.
    """
    entries = bundle.material.entries
    if not entries:
        if required:
            raise VerificationFailed(
                "the bundle has no log entry",
                where=where,
                fix="get the bundle with its log entry; or get the entry from the log, and add --log-entry FILE",
            )
        found.note("the trusted root lists no log", State.SKIPPED)
        return
    if len({(entry.log_id, entry.log_index) for entry in entries}) != len(entries):
        raise refused("the bundle has a log entry twice", where)
    details = []
    weak = False
    for entry in entries:
        log = require_log(entry, root, where=where)
        promised = verify_promise(entry, log, where=where)
        checkpoint = verify_inclusion(entry, log, where=where)
        if checkpoint is None and bundle.version is not BundleVersion.V0_1:
            raise refused(f"a log entry has no inclusion proof, which a bundle {bundle.version} must have", where)
        if promised is None and bundle.version is BundleVersion.V0_1:
            raise refused("a log entry has no promise, which a bundle v0.1 must have", where)
        if checkpoint is None:
            weak = True
            details.append(f"entry {entry.log_index} is promised by {log.url}, and not proven to be there")
        else:
            details.append(f"entry {entry.log_index} of {log.url}, under a checkpoint of {checkpoint.size} entries")
        if promised is not None:
            found.times.append((promised, f"the log {log.url}"))
        found.log_entries.append((log.url, entry.log_index))
    found.note("; ".join(details), State.WEAKENED if weak else State.HELD)


def verify_entry_bodies(bundle: Bundle, logged: Logged, found: Findings, *, where: str) -> None:
    """Verify that each log entry is of this signature, by this signer, over this content."""
    entries = bundle.material.entries
    unbound = {verify_entry_body(entry, logged, where=where) for entry in entries} - {None}
    kinds = ", ".join(sorted({f"{entry.kind} {entry.version}" for entry in entries}))
    if unbound:
        found.note(f"{kinds}; {'; '.join(sorted(str(reason) for reason in unbound))}", State.WEAKENED)
    else:
        found.note(f"{kinds}: signature, signer and content")


def verify_times(
    bundle: Bundle, root: TrustedRoot, found: Findings, *, required: bool, now: datetime, where: str
) -> None:
    """Verify that something proves when the signature was made; every timestamp that is there has to hold.

    Adds their times to those that logs promised. `required` is false for a managed key, which counts at any time.
    """
    if len(set(bundle.timestamps)) != len(bundle.timestamps):
        raise refused("the bundle has a timestamp twice", where)
    for timestamp in bundle.timestamps:
        time = verify_time(timestamp, signature_of(bundle), root.timestamp_authorities)
        found.times.append((time.moment, f"the timestamp authority {time.authority}"))
    if not found.times:
        if required:
            raise refused(
                "nothing proves when it was signed: the log made no promise, and there is no timestamp "
                "(Rekor v2 gives no time, so its bundles need an RFC 3161 timestamp)",
                where,
            )
        found.note("nothing shows when it was signed; a key given directly counts at any time", State.SKIPPED)
        return
    require_times_fit(bundle, root, found.times, now=now, where=where)
    found.note("; ".join(f"{rfc3339(moment)} by {source}" for moment, source in found.times))


def require_times_fit(
    bundle: Bundle, root: TrustedRoot, times: Sequence[tuple[datetime, str]], *, now: datetime, where: str
) -> None:
    """Raise `VerificationFailed` unless no time lies ahead, and every log that has an entry counts at each of them."""
    for moment, source in times:
        if moment > now + CLOCK_TOLERANCE:
            raise refused(
                f"{source} says {rfc3339(moment)}, which is after this machine's clock ({rfc3339(now)}): "
                "one of the two is wrong",
                where,
            )
        for entry in bundle.material.entries:
            require_in_window(require_log(entry, root, where=where), moment, where=where)


def verify_chain(bundle: Bundle, leaf: Leaf, root: TrustedRoot, found: Findings, *, where: str) -> Certificate:
    """Return the certificate that issued the leaf, if an authority's chain holds at each time that was proven."""
    try:
        between = [read_certificate(der, where=where) for der in bundle.material.certificates[1:]]
    except DocumentError as error:
        raise refused(error.cause, where) from error
    reasons: list[str] = []
    for authority in root.authorities:
        path = find_path(leaf.certificate, between, authority.certificates)
        if path is None:
            continue
        try:
            for moment, _ in found.times:
                if not authority.window.holds(moment):
                    window = authority.window.describe()
                    raise refused(f"the authority {authority.name} counts {window}, not at {rfc3339(moment)}", where)
                require_path(leaf.certificate, path, moment, where=where)
        except VerificationFailed as error:
            reasons.append(error.cause)
            continue
        first, last = leaf.certificate.not_valid_before_utc, leaf.certificate.not_valid_after_utc
        found.note(f"{authority.name}, for the time from {rfc3339(first)} to {rfc3339(last)}")
        return path[0]
    raise IdentityNotTrusted(
        "; ".join(dict.fromkeys(reasons)) or "no authority of the trusted root issued the certificate",
        where=where,
        fix="compare the trusted root with the instance that the signer used",
    )
