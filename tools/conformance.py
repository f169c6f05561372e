#!/usr/bin/env python3
"""sigstore-conformance's client protocol, in front of policyd: `sign-bundle` and `verify-bundle`.

The suite calls a program with the arguments of its protocol and looks at the exit code. Give it this file:

    pytest --entrypoint /path/to/policyd/tools/conformance.py …

Where no trusted root is named, the suite means an instance's own; the file that the installed sigstore carries stands
for it. Nothing is fetched while verifying.

Source: sigstore/sigstore-conformance, docs/cli_protocol.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from urllib.parse import quote

from policyd.adapters import clock
from policyd.app.verify_direct import read_identity_trust, read_key_trust, verify_directly
from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import Asked, IdentityTrust, KeyTrust
from policyd.attestation.dsse import Envelope
from policyd.attestation.keyless.identity import AskedIdentity
from policyd.attestation.material import BundleVersion
from policyd.errors import PolicydError, UsageError

PRODUCTION = "https://tuf-repo-cdn.sigstore.dev"
STAGING = "https://tuf-repo-cdn.sigstage.dev"


def main(arguments: list[str]) -> int:
    """Carry out one call of the protocol and return the exit code."""
    parser = argparse.ArgumentParser(prog="conformance", description="sigstore-conformance's client protocol")
    commands = parser.add_subparsers(dest="command", required=True)

    sign = commands.add_parser("sign-bundle")
    sign.add_argument("--staging", action="store_true")
    sign.add_argument("--in-toto", action="store_true")
    sign.add_argument("--identity-token", required=True)
    sign.add_argument("--bundle", required=True, type=Path)
    sign.add_argument("--trusted-root", type=Path)
    sign.add_argument("--signing-config", type=Path)
    sign.add_argument("file", type=Path)

    verify = commands.add_parser("verify-bundle")
    verify.add_argument("--staging", action="store_true")
    verify.add_argument("--bundle", required=True, type=Path)
    verify.add_argument("--certificate-identity")
    verify.add_argument("--certificate-oidc-issuer")
    verify.add_argument("--key", type=Path)
    verify.add_argument("--trusted-root", type=Path)
    verify.add_argument("file_or_digest")

    asked = parser.parse_args(arguments)
    try:
        return _sign(asked) if asked.command == "sign-bundle" else _verify(asked)
    except PolicydError as error:
        print(f"error: {error.cause}\n  where: {error.where}\n  to do: {error.fix}", file=sys.stderr)
        return int(error.exit_code) or 1


def _sign(asked: argparse.Namespace) -> int:
    raise UsageError(
        "policyd does not sign with an identity token here",
        where="sign-bundle",
        fix="run the suite with its signing tests left out",
    )


def _verify(asked: argparse.Namespace) -> int:
    if asked.key is not None and (asked.certificate_identity or asked.certificate_oidc_issuer):
        raise UsageError("a key and an identity exclude each other", where="verify-bundle", fix="give one of the two")
    trust: KeyTrust | IdentityTrust
    if asked.key is not None:
        # A trusted root is optional with a key; where none is named, no log is asked for.
        trust = read_key_trust(asked.key, asked.trusted_root)
    else:
        identity = AskedIdentity(issuer=asked.certificate_oidc_issuer or "", exact=asked.certificate_identity or "")
        trust = read_identity_trust(identity, asked.trusted_root or carried_root(staging=asked.staging))
    what = Asked(trust, _type(asked.bundle))
    answer = verify_directly(asked.file_or_digest, bundles=[asked.bundle], asked=what, now=clock.now)
    for bundle in answer.bundles:
        for check in bundle.found.checks:
            print(f"{check.state.value} {check.number} {check.name}: {check.detail}", file=sys.stderr)
    return int(answer.exit_code)


def _type(path: Path) -> str | None:
    """Return what the protocol asks for: whatever the bundle holds, be it an attestation or a file's signature."""
    bundle = read_bundle(path.read_bytes(), where=str(path), oldest=BundleVersion.V0_1)
    return "" if isinstance(bundle.content, Envelope) else None


def carried_root(*, staging: bool) -> Path:
    """Return the trusted root that the installed sigstore carries; sigstore itself is not imported."""
    found = importlib.util.find_spec("sigstore")
    if found is None or found.origin is None:
        raise UsageError("sigstore is not installed", where="trusted root", fix="name one with --trusted-root")
    folder = Path(found.origin).parent / "_store" / quote(STAGING if staging else PRODUCTION, safe="")
    return folder / "trusted_root.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
