"""Keyless signing: a Sigstore instance vouches for whoever has an identity token, and no key is kept by anybody.

What the instance helped to make is verified at once, by the same checks as `policyd verify`, under the trusted root
that was pinned and for the identity that the token claims. What does not hold is never written: an instance that
answers with another's certificate, or leaves out the timestamp that Rekor v2 needs, is noticed here and not by those
who download.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.hashed_file import read_hashed
from policyd.adapters.identity_tokens import find_ambient_token, log_in, read_token_file
from policyd.adapters.signers.keyless import Made, sign_digest, sign_statement
from policyd.adapters.signers.new_file import write_new
from policyd.adapters.strict_modes import read_safe_file
from policyd.app.signing import read_predicate, require_signable
from policyd.attestation.bundle import Bundle, read_bundle
from policyd.attestation.direct import ArtifactFile, Asked, IdentityTrust, verify_direct
from policyd.attestation.dsse import Envelope
from policyd.attestation.findings import DirectVerification
from policyd.attestation.keyless.client_config import ClientConfig, read_client_config
from policyd.attestation.keyless.identity import AskedIdentity
from policyd.attestation.keyless.leaf import read_leaf
from policyd.attestation.keyless.token import IdentityToken, read_identity_token
from policyd.attestation.keyless.trusted_root import MAX_TRUSTED_ROOT_BYTES
from policyd.attestation.material import BundleVersion
from policyd.attestation.predicate_types import require_predicate_type
from policyd.attestation.statements import Named, render_statement
from policyd.errors import IdentityNotTrusted, TokenUnusable, UsageError, VerificationFailed


@dataclass(frozen=True, slots=True)
class Keyless:
    """Who signs, and with which instance. `identity` and `issuer` are what the certificate must name, where given."""

    config: ClientConfig
    token: IdentityToken
    identity: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class KeylessSigned:
    """What was signed, as whom, and what the checks found."""

    file: Path
    digest: str  # `sha256:…`
    bundle: Path
    found: DirectVerification
    predicate_type: str | None = None


def find_keyless(
    trust_config: Path | None,
    *,
    identity_token: str | None = None,
    browser: bool = False,
    identity: str | None = None,
    issuer: str | None = None,
    now: Callable[[], datetime],
) -> Keyless:
    """Return who signs: by the token in a file, or after logging in at a browser, or as the CI job that this is.

    Raises `UsageError` where nobody said which instance, `TokenUnusable` where there is no token that can be used.
    """
    # 1. The instance. There is none that policyd asks by itself: the token goes to nobody who wasn't named.
    if trust_config is None:
        raise UsageError(
            "no Sigstore instance is named, and none is asked by default",
            where="--keyless",
            fix="add --trust-config FILE: the instance's trusted root and signing config, pinned by you",
        )
    # Who can change this file would get the token.
    content = read_safe_file(trust_config.absolute(), max_bytes=MAX_TRUSTED_ROOT_BYTES)
    config = read_client_config(content, where=str(trust_config))

    # 2. The token, from one place.
    if identity_token is not None and browser:
        raise UsageError("a token comes from one place", where="--identity-token and --browser", fix="leave one out")
    if identity_token is not None:
        text, where = read_token_file(identity_token), "--identity-token"
    elif browser:
        text, where = log_in(config), "--browser"
    elif (ambient := find_ambient_token()) is not None:
        text, where = ambient
    else:
        raise TokenUnusable(
            "there is no identity token: this is no GitHub or GitLab job, and no token was given",
            where="--keyless",
            fix="add --identity-token FILE, or --browser to log in",
        )
    return Keyless(config, read_identity_token(text, now=now(), where=where), identity, issuer)


def sign_file_keyless(file: Path, *, keyless: Keyless, bundle: Path, now: Callable[[], datetime]) -> KeylessSigned:
    """Sign `file` and write the Sigstore bundle, once it has been verified.

    Raises `UsageError` for content that must not be signed as a file and for a bundle that is there already,
    `KeylessError` where the instance gives no signature, `VerificationFailed` where what it gave does not hold.
    """
    _require_free(bundle)
    content = read_hashed(file, ["sha256"])
    require_signable(content, file)
    sha256 = content.digests["sha256"]
    made = sign_digest(sha256, keyless.token, keyless.config)
    found = verify_made(made, keyless, ArtifactFile(file.name, {"sha256": sha256}), now=now())
    write_new(bundle, made.bundle + b"\n", mode=0o644, what="a bundle")
    return KeylessSigned(file, f"sha256:{sha256.hex()}", bundle, found)


def attest_file_keyless(
    file: Path,
    *,
    predicate_type: str,
    predicate: Path,
    keyless: Keyless,
    bundle: Path,
    now: Callable[[], datetime],
) -> KeylessSigned:
    """Sign a statement that says `predicate` (a JSON file) of `file`, and write the bundle once it has been verified.

    Raises as `sign_file_keyless`, and `DocumentError` for a predicate that is no JSON object.
    """
    _require_free(bundle)
    uri = require_predicate_type(predicate_type)
    document = read_predicate(predicate, uri)
    sha256 = read_hashed(file, ["sha256"]).digests["sha256"]
    statement = render_statement([Named(file.name, sha256.hex())], uri, document)
    made = sign_statement(statement, keyless.token, keyless.config)
    artifact = ArtifactFile(file.name, {"sha256": sha256})
    found = verify_made(made, keyless, artifact, statement=statement, predicate_type=uri, now=now())
    write_new(bundle, made.bundle + b"\n", mode=0o644, what="a bundle")
    return KeylessSigned(file, f"sha256:{sha256.hex()}", bundle, found, uri)


def verify_made(
    made: Made,
    keyless: Keyless,
    file: ArtifactFile,
    *,
    statement: bytes | None = None,
    predicate_type: str | None = None,
    now: datetime,
) -> DirectVerification:
    """Return what the checks found in a bundle that was just made; raise where one of them does not hold."""
    where = "the bundle that the Sigstore instance helped to make"
    bundle = read_bundle(made.bundle, where=where)

    # 1. What was to be signed, to the byte.
    signed = bundle.content.payload if isinstance(bundle.content, Envelope) else None
    if signed != statement:
        raise _refused("it is not of what was to be signed", where)

    # 2. The timestamps that were asked for: sigstore only warns where an authority gives none.
    if len(bundle.timestamps) < made.stamps:
        raise _refused(f"it has {len(bundle.timestamps)} timestamps, and {made.stamps} were asked for", where)

    # 3. All that whoever downloads it will check, for the identity that the token claims.
    trust = IdentityTrust(_expect(bundle, keyless, where), keyless.config.root)
    found = verify_direct(bundle, Asked(trust, predicate_type, BundleVersion.V0_3), [file], now=now, where=where)
    if found.error is not None:
        raise found.error
    return found


def _expect(bundle: Bundle, keyless: Keyless, where: str) -> AskedIdentity:
    """Return the identity to verify: the one given, else of those that the token claims the one in the certificate."""
    if not bundle.material.certificates:
        raise _refused("it has no certificate", where)
    leaf = read_leaf(bundle.material.certificates[0], where=where)
    names = keyless.token.names if keyless.identity is None else (keyless.identity,)
    issuers = keyless.token.issuers if keyless.issuer is None else (keyless.issuer,)
    if leaf.identity not in names or leaf.issuer not in issuers:
        raise IdentityNotTrusted(
            f"the certificate is for {leaf.identity} at {leaf.issuer}, and the token is of {' or '.join(names)} "
            f"at {' or '.join(issuers)}",
            where=where,
            fix="nothing was written; if the instance names this signer so, say it with --cert-identity and "
            "--cert-oidc-issuer",
        )
    return AskedIdentity(issuer=leaf.issuer, exact=leaf.identity)


def _require_free(bundle: Path) -> None:
    """Raise before anything is signed where the bundle could not be written: log entries stay for ever."""
    if os.path.lexists(bundle):
        raise UsageError(
            "there is a file of this name already; policyd never overwrites a bundle",
            where=str(bundle),
            fix="choose another name, or move the old file away",
        )


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(
        cause, where=where, fix="nothing was written; compare the trust config with the instance, and try again"
    )
