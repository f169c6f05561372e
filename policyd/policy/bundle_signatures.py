"""`.signatures.json`: OPA's signature of a bundle, a JSON Web Token that lists every file with its hash.

A stock OPA given the author's public key refuses the bundle where it does not hold. The algorithm follows from the
key's type; the token's `alg` has to say the same and is looked at for nothing else, so `none` or an HMAC keyed with
the public key can't be chosen by whoever wrote the token.

Source: OPA 1.22, docs "Bundles", sections "Signing" and "Signature Format", and v1/bundle/{sign,verify,hash}.go for how
JSON is hashed; RFC 7515 sections 3.1, 5.2 and 7.1; RFC 7518 sections 3.1, 3.3 and 3.4; RFC 8037 section 3.1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from policyd.attestation.keys import KeyKind, PublicKey, is_signed_by, read_public_key
from policyd.attestation.signing import Signer
from policyd.attestation.trust import require_key_in_force
from policyd.errors import DocumentError, SignatureInvalid, VerificationFailed
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.models.strict_json import read_json
from policyd.models.trust import Role, TrustPolicy
from policyd.policy.bundle_archive import MAX_BUNDLE_FILES
from policyd.policy.bundle_files import SIGNATURES

HASH_ALGORITHM = "SHA-256"
MAX_SIGNATURES_BYTES = 512 * MAX_BUNDLE_FILES  # a path, a hash and base64 around them
_MAX_DEPTH = 6
_COORDINATE_BYTES: Final = {"ES256": 32, "ES384": 48, "ES512": 66}
_ALGORITHMS: Final = {
    KeyKind.P256: "ES256",
    KeyKind.P384: "ES384",
    KeyKind.P521: "ES512",
    KeyKind.ED25519: "EdDSA",
    KeyKind.RSA: "RS256",
}


def render_signatures(files: Mapping[str, bytes], signer: Signer) -> bytes:
    """Return the `.signatures.json` of a bundle's files (path → content), signed by `signer`."""
    key = read_public_key(signer.public_key_pem, where="the signer's key")
    algorithm = _algorithm(key)
    header = {"alg": algorithm, "kid": key.sha256, "typ": "JWT"}
    signed = f"{_encode(canonical_json(header))}.{_encode(canonical_json({'files': list(_list_files(files))}))}"
    signature = _to_jws(signer.sign(signed.encode()), algorithm)
    return canonical_json({"signatures": [f"{signed}.{_encode(signature)}"]})


def verify_signatures(files: Mapping[str, bytes], trust: TrustPolicy, *, now: datetime, where: str) -> None:
    """Return if `.signatures.json` is a policy author's, as of `now`, and lists exactly the other files as they are.

    Raises `SignatureInvalid` or `IdentityNotTrusted` for the token, `VerificationFailed` for the files.
    """
    place = f"{where}, {SIGNATURES}"
    # 1. One token, and nothing beside it: OPA knows `plugin`, which names another way to verify.
    if SIGNATURES not in files:
        raise SignatureInvalid(
            "the policy bundle is not signed",
            where=where,
            fix="have one of its authors sign it: policyd policy sign BUNDLE --key KEY",
        )
    document = _read(files[SIGNATURES], place)
    if not isinstance(document, dict) or document.keys() != {"signatures"}:
        raise _refused("it does not hold `signatures` alone", place)
    tokens = document["signatures"]
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise _refused("it does not hold exactly one token", place)

    # 2. Three parts, and an algorithm from our list.
    parts = tokens[0].split(".")
    if len(parts) != 3:  # header, payload, signature
        raise _refused("the token does not have three parts", place)
    header = _read(_decode(parts[0], place), place)
    if not isinstance(header, dict) or not header.keys() <= {"alg", "kid", "typ"}:
        raise _refused("the token's header has fields that policyd does not know", place)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS.values():
        raise SignatureInvalid(
            f"the token's algorithm is {algorithm!r}", where=place, fix="sign with a key of policyd: ES256 or EdDSA"
        )

    # 3. The signature, with the algorithm of the key.
    signed = f"{parts[0]}.{parts[1]}".encode()
    signature = _from_jws(_decode(parts[2], place), algorithm, place)
    require_key_in_force(
        trust,
        role=Role.POLICY_AUTHOR,
        now=now,
        where=place,
        is_signer=lambda key: _algorithm(key) == algorithm and is_signed_by(key, signature, signed),
    )

    # 4. The files it lists, parsed from the bytes that were verified: none missing, none more, each as it is.
    payload = _read(_decode(parts[1], place), place)
    listed = payload.get("files") if isinstance(payload, dict) and payload.keys() == {"files"} else None
    if not isinstance(listed, list):
        raise _refused("the token does not list files, or says more than that", place)
    _require_same(listed, list(_list_files(files)), place)


def _require_same(listed: list[object], found: list[dict[str, str]], place: str) -> None:
    if listed == found:
        return
    hashes = {entry["name"]: entry["hash"] for entry in found}
    names = [entry.get("name") for entry in listed if isinstance(entry, dict)]
    for name in names:
        if name not in hashes:
            raise _changed(f"the file {name!r} is signed and not there", place)
    for name in hashes:
        if name not in names:
            raise _changed(f"the file {name!r} is there and not signed", place)
    for entry in listed:
        if entry not in found:
            name = entry.get("name") if isinstance(entry, dict) else None
            raise _changed(f"the file {name!r} is not as it was signed", place)
    raise _changed("the list of files is not in order, or names one twice", place)


def _list_files(files: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
    """Yield name, hash and hash algorithm of every file that a signature covers, in order.

    OPA hashes `.manifest` and `data.json` not as bytes but as JSON values, in an order and a spelling of its own. Both
    are canonical JSON here, of ASCII names, printable text and whole numbers, which is that very spelling.
    """
    for path, content in sorted(files.items()):
        if path != SIGNATURES:
            yield {"algorithm": HASH_ALGORITHM, "hash": sha256_hex(content), "name": path}


def _algorithm(key: PublicKey) -> str:
    """Return the JWS name of the one algorithm that `key` signs with."""
    return _ALGORITHMS[key.kind]


def _to_jws(signature: bytes, algorithm: str) -> bytes:
    """Return a signature as a token holds it: ECDSA as two numbers of fixed length, not in DER."""
    if algorithm not in _COORDINATE_BYTES:
        return signature
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    size = _COORDINATE_BYTES[algorithm]
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(signature))


def _from_jws(signature: bytes, algorithm: str, place: str) -> bytes:
    if algorithm not in _COORDINATE_BYTES:
        return signature
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    size = _COORDINATE_BYTES[algorithm]
    if len(signature) != 2 * size:
        raise _refused(f"the signature has {len(signature)} bytes, which none of {algorithm} has", place)
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str, place: str) -> bytes:
    """Return what base64url without padding encodes, in its one spelling."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused("the token is not base64url", place) from error
    if _encode(content) != text:
        raise _refused("the token is not canonical base64url", place)
    return content


def _read(content: bytes, place: str) -> object:
    try:
        return read_json(content, where=place, max_bytes=MAX_SIGNATURES_BYTES, max_depth=_MAX_DEPTH)
    except DocumentError as error:
        raise _refused(error.cause, place) from error


def _refused(cause: str, place: str) -> SignatureInvalid:
    return SignatureInvalid(
        f"the bundle's signature can't be used: {cause}",
        where=place,
        fix="bundle the policy set again and sign it: policyd policy bundle, policyd policy sign",
    )


def _changed(cause: str, place: str) -> VerificationFailed:
    return VerificationFailed(
        cause, where=place, fix="get the bundle again from its authors, and find out who changed it"
    )
