"""The signer's certificate: whose it is, what it is for, and what its issuer says about the workflow behind it.

Fulcio writes what it took from an identity token into extensions of its own; GitHub's and GitLab's tokens fill most of
them. They are facts about the signer once the certificate has been verified, and none before.

Source: sigstore/fulcio docs/oid-info.md and docs/certificate-specification.md; RFC 5280 section 4.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policyd.attestation.keyless.x509 import (
    extensions_of,
    find_extension,
    public_key_of,
    read_certificate,
    refused,
    require_known,
)
from policyd.attestation.keys import PublicKey
from policyd.errors import DocumentError, KeyUnusable, SignatureInvalid

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Extensions, GeneralName

MAX_IDENTITY = 2048
MAX_FACT = 2048
_FULCIO = "1.3.6.1.4.1.57264.1."
_OTHER_NAME = _FULCIO + "7"
_UTF8_STRING = 0x0C
#: Fulcio's extensions by their last number. Up to 6 the value is bare text, from 8 on a DER UTF8String.
_BARE = {
    1: "issuer",
    2: "github_workflow_trigger",
    3: "github_workflow_sha",
    4: "github_workflow_name",
    5: "github_workflow_repository",
    6: "github_workflow_ref",
}
_DER = {
    8: "issuer",
    9: "build_signer_uri",
    10: "build_signer_digest",
    11: "runner_environment",
    12: "source_repository_uri",
    13: "source_repository_digest",
    14: "source_repository_ref",
    15: "source_repository_identifier",
    16: "source_repository_owner_uri",
    17: "source_repository_owner_identifier",
    18: "build_config_uri",
    19: "build_config_digest",
    20: "build_trigger",
    21: "run_invocation_uri",
    22: "source_repository_visibility_at_signing",
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A signing certificate of a form that counts. That anybody issued it is not said here."""

    certificate: Certificate
    der: bytes
    key: PublicKey
    identity: str
    issuer: str
    facts: Mapping[str, str]  # Fulcio's extensions by name, without the issuer


def read_leaf(der: bytes, *, where: str) -> Leaf:
    """Return the signing certificate in DER.

    Raises `VerificationFailed` for one that is not for signing code or does not name one signer, `SignatureInvalid` for
    a key that policyd does not verify with.
    """
    from cryptography.x509 import BasicConstraints, ExtendedKeyUsage, KeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    # 1. A certificate, with nothing in it that would have to be judged and can't be.
    try:
        certificate = read_certificate(der, where=where)
    except DocumentError as error:
        raise refused(error.cause, where) from error
    extensions = extensions_of(certificate, where=where)
    require_known(extensions, where=where)

    # 2. For signing code, and nothing that issues certificates itself.
    constraints = find_extension(extensions, BasicConstraints)
    usage = find_extension(extensions, KeyUsage)
    purposes = find_extension(extensions, ExtendedKeyUsage)
    if (constraints is not None and constraints.ca) or (usage is not None and usage.key_cert_sign):
        raise refused("the signer's certificate is one of an authority", where)
    if usage is None or not usage.digital_signature:
        raise refused("the signer's certificate is not for digital signatures (key usage)", where)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise refused("the signer's certificate is not for signing code (extended key usage)", where)

    # 3. A key of a kind from our list.
    try:
        key = public_key_of(certificate, where=where)
    except KeyUnusable as error:
        raise SignatureInvalid(error.cause, where=where, fix="sign with a key of a kind that policyd lists") from error

    # 4. One signer, and what its issuer says.
    facts = _read_facts(extensions, where)
    issuer = facts.pop("issuer", None)
    if issuer is None:
        raise refused("the signer's certificate does not say which identity provider vouched for the signer", where)
    return Leaf(
        certificate=certificate,
        der=der,
        key=key,
        identity=_read_identity(extensions, where),
        issuer=issuer,
        facts=facts,
    )


def _read_identity(extensions: Extensions, where: str) -> str:
    from cryptography.x509 import SubjectAlternativeName

    names = find_extension(extensions, SubjectAlternativeName)
    found = [] if names is None else [_name(name) for name in names]
    if len(found) != 1 or found[0] is None:
        # With several names each tool would choose its own.
        raise refused(
            f"the signer's certificate has {len(found)} names; it must have one: an address, a URI or Fulcio's own",
            where,
        )
    if not 0 < len(found[0]) <= MAX_IDENTITY:
        raise refused(f"the signer's name does not have 1 to {MAX_IDENTITY} characters", where)
    return found[0]


def _name(name: GeneralName) -> str | None:
    from cryptography.x509 import OtherName, RFC822Name, UniformResourceIdentifier

    if isinstance(name, RFC822Name | UniformResourceIdentifier):
        return name.value
    if isinstance(name, OtherName) and name.type_id.dotted_string == _OTHER_NAME:
        return _utf8_string(name.value)
    return None


def _read_facts(extensions: Extensions, where: str) -> dict[str, str]:
    from cryptography.x509 import UnrecognizedExtension

    facts: dict[str, str] = {}
    for extension in extensions:
        name = extension.oid.dotted_string
        if not name.startswith(_FULCIO) or not isinstance(extension.value, UnrecognizedExtension):
            continue
        number = int(last) if (last := name.removeprefix(_FULCIO)).isdecimal() else 0
        if number not in _BARE and number not in _DER:
            continue
        value = _bare(extension.value.value) if number in _BARE else _utf8_string(extension.value.value)
        if value is None or len(value) > MAX_FACT:
            raise refused(f"the certificate's extension {name} holds no text", where)
        key = _BARE.get(number) or _DER[number]
        # The issuer stands twice; two readers of a certificate must not see two issuers.
        if facts.setdefault(key, value) != value:
            raise refused(f"the certificate names two values for {key}: {facts[key]!r} and {value!r}", where)
    return facts


def _bare(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _utf8_string(der: bytes) -> str | None:
    """Return the text of one DER UTF8String, and None for anything else, also for bytes behind it."""
    if len(der) < 2 or der[0] != _UTF8_STRING:
        return None
    if der[1] < 0x80:
        length, start = der[1], 2
    else:
        start = 2 + (der[1] & 0x7F)
        length = int.from_bytes(der[2:start]) if start <= 4 else -1
        if length < 0x80 or (start == 4 and length < 0x100):  # DER has one form for each length
            return None
    return _bare(der[start:]) if len(der) - start == length else None
