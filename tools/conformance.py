#!/usr/bin/env python3
"""sigstore-conformance's client protocol, in front of policyd: `sign-bundle` and `verify-bundle`.

The suite calls a program with the arguments of its protocol and looks at the exit code. Give it this file:

    pytest --entrypoint /path/to/policyd/tools/conformance.py …

Where no trusted root and signing config are named, the suite means an instance's own; the files that the installed
sigstore carries stand for them. Nothing is fetched while verifying, and signing asks the services of the signing config
alone.

Source: sigstore/sigstore-conformance, docs/cli_protocol.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from urllib.parse import quote

from policyd.adapters import clock
from policyd.adapters.output import read_input
from policyd.adapters.signers.keyless import sign_statement
from policyd.adapters.signers.new_file import write_new
from policyd.app.keyless import Keyless, sign_file_keyless, verify_made
from policyd.app.verify_direct import Evidence, read_identity_trust, read_key_trust, verify_directly
from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import ArtifactFile, Asked, IdentityTrust, KeyTrust
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES, Envelope
from policyd.attestation.keyless.client_config import join_client_config, read_client_config
from policyd.attestation.keyless.identity import AskedIdentity
from policyd.attestation.keyless.token import read_identity_token
from policyd.attestation.keyless.trusted_root import MAX_TRUSTED_ROOT_BYTES, MAX_TRUSTED_ROOT_DEPTH
from policyd.attestation.material import BundleVersion
from policyd.attestation.subjects import read_statement
from policyd.errors import DocumentError, PolicydError, UsageError
from policyd.models.strict_json import read_json

PRODUCTION = "https://tuf-repo-cdn.sigstore.dev"
STAGING = "https://tuf-repo-cdn.sigstage.dev"
MAX_STATEMENT_BYTES = MAX_ENVELOPE_BYTES // 2


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
    # 1. The instance: the files that were named, else those that the installed sigstore carries.
    root = asked.trusted_root or carried(staging=asked.staging, name="trusted_root.json")
    signing = asked.signing_config or carried(staging=asked.staging, name="signing_config.v0.2.json")
    content = join_client_config(_read_json(root), _read_json(signing))
    config = read_client_config(content, where=f"{root} and {signing}")

    # 2. The signer. That the token is an argument here is the protocol's choice; `policyd sign` takes none.
    token = read_identity_token(asked.identity_token, now=clock.now(), where="--identity-token")
    keyless = Keyless(config, token)
    if not asked.in_toto:
        sign_file_keyless(asked.file, keyless=keyless, bundle=asked.bundle, now=clock.now)
        return 0

    # 3. A statement that is there already: of whatever it names first.
    statement = read_input(asked.file, max_bytes=MAX_STATEMENT_BYTES)
    found, subjects = read_statement(statement, where=str(asked.file))
    made = sign_statement(statement, token, config)
    file = ArtifactFile(subjects[0].name, subjects[0].digests)
    verify_made(made, keyless, file, statement=statement, predicate_type=found.predicate_type, now=clock.now())
    write_new(asked.bundle, made.bundle + b"\n", mode=0o644, what="a bundle")
    return 0


def _read_json(path: Path) -> dict[str, object]:
    content = read_input(path, max_bytes=MAX_TRUSTED_ROOT_BYTES)
    value = read_json(content, where=str(path), max_bytes=MAX_TRUSTED_ROOT_BYTES, max_depth=MAX_TRUSTED_ROOT_DEPTH)
    if not isinstance(value, dict):
        raise DocumentError("this is no JSON object", where=str(path), fix="name the file as the instance gives it")
    return value


def _verify(asked: argparse.Namespace) -> int:
    if asked.key is not None and (asked.certificate_identity or asked.certificate_oidc_issuer):
        raise UsageError("a key and an identity exclude each other", where="verify-bundle", fix="give one of the two")
    trust: KeyTrust | IdentityTrust
    if asked.key is not None:
        # A trusted root is optional with a key; where none is named, no log is asked for.
        trust = read_key_trust(asked.key, asked.trusted_root)
    else:
        identity = AskedIdentity(issuer=asked.certificate_oidc_issuer or "", exact=asked.certificate_identity or "")
        trust = read_identity_trust(
            identity, asked.trusted_root or carried(staging=asked.staging, name="trusted_root.json")
        )
    what = Asked(trust, _type(asked.bundle))
    answer = verify_directly(asked.file_or_digest, evidence=Evidence(bundles=[asked.bundle]), asked=what, now=clock.now)
    for bundle in answer.bundles:
        for check in bundle.found.checks:
            print(f"{check.state.value} {check.number} {check.name}: {check.detail}", file=sys.stderr)
    return int(answer.exit_code)


def _type(path: Path) -> str | None:
    """Return what the protocol asks for: whatever the bundle holds, be it an attestation or a file's signature."""
    bundle = read_bundle(path.read_bytes(), where=str(path), oldest=BundleVersion.V0_1)
    return "" if isinstance(bundle.content, Envelope) else None


def carried(*, staging: bool, name: str) -> Path:
    """Return a file that the installed sigstore carries for an instance; sigstore itself is not imported."""
    found = importlib.util.find_spec("sigstore")
    if found is None or found.origin is None:
        raise UsageError("sigstore is not installed", where=name, fix="name the files of the instance")
    folder = Path(found.origin).parent / "_store" / quote(STAGING if staging else PRODUCTION, safe="")
    return folder / name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
