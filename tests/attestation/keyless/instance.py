"""A private Sigstore instance in memory: authority, certificate log, two transparency logs, timestamp authority.

It makes real bundles, offline and for any time, and each of its parts can be told to do something else than it should.
Everything is built from the specifications with `cryptography` alone and shares no code with what it tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SIGNED_AT = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)
IDENTITY = "https://github.com/example/project/.github/workflows/release.yml@refs/tags/v1"
ISSUER = "https://token.actions.githubusercontent.com"
CONTENT = b"a release\n"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
IN_TOTO = "application/vnd.in-toto+json"

Kind = Literal["p256", "p384", "p521", "ed25519", "rsa3072", "rsa2048", "secp256k1"]
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Value = dict[str, Any]

_SHA = {"p256": "sha256", "p384": "sha384", "p521": "sha512", "ed25519": "sha512", "rsa3072": "sha256"}
_DETAILS = {
    "p256": "PKIX_ECDSA_P256_SHA_256",
    "p384": "PKIX_ECDSA_P384_SHA_384",
    "p521": "PKIX_ECDSA_P521_SHA_512",
    "ed25519": "PKIX_ED25519",
    "rsa3072": "PKIX_RSA_PKCS1V15_3072_SHA256",
}
_V2_NAMES = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
_FULCIO = "1.3.6.1.4.1.57264.1."


@cache
def private_key(kind: Kind, name: str) -> PrivateKey:
    """Return a key of its own for each name; made once, because RSA takes its time."""
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind in ("rsa3072", "rsa2048"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
    return ec.generate_private_key(curves[kind])


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Sign with the digest that goes with the key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    digests: dict[str, hashes.HashAlgorithm] = {"secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    return key.sign(message, ec.ECDSA(digests.get(key.curve.name, hashes.SHA256())))


def public_der(key: PrivateKey) -> bytes:
    """Return the SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_pem(key: PrivateKey) -> str:
    """Return the public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def b64(content: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(content).decode()


def moment(at: datetime) -> str:
    """Return a proto3 JSON timestamp."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def statement(content: bytes = CONTENT, **changes: object) -> bytes:
    """Return an in-toto statement about `content`; a change of None takes the field out."""
    value: Value = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "release.tar.gz", "digest": {"sha256": hashlib.sha256(content).hexdigest()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"builder": "x"},
    } | changes
    return json.dumps({key: item for key, item in value.items() if item is not None}).encode()


@dataclass(frozen=True)
class LeafOptions:
    """How a signing certificate is made."""

    kind: Kind = "p256"
    names: Sequence[x509.GeneralName] = (x509.UniformResourceIdentifier(IDENTITY),)
    purposes: Sequence[ObjectIdentifier] | None = (ExtendedKeyUsageOID.CODE_SIGNING,)
    digital_signature: bool = True
    is_authority: bool = False
    issuer_v1: bytes | None = ISSUER.encode()
    issuer_v2: bytes | None = None  # DER; None for the same as issuer_v1
    without_issuer: bool = False
    valid_from: datetime = SIGNED_AT - timedelta(seconds=5)
    valid_for: timedelta = timedelta(minutes=10)
    timestamps: int = 1
    sct_at: datetime = SIGNED_AT - timedelta(seconds=4)
    more: Sequence[tuple[str, bytes, bool]] = ()  # OID, value, critical


@dataclass
class Certificates:
    """A certificate authority with an intermediate, and the log of what it issued."""

    name: str = "example"
    start: datetime = BEGINNING
    end: datetime = END
    intermediate_purposes: Sequence[ObjectIdentifier] | None = (ExtendedKeyUsageOID.CODE_SIGNING,)
    path_length: int | None = 0
    root_key: PrivateKey = field(init=False)
    key: PrivateKey = field(init=False)
    log_key: PrivateKey = field(init=False)
    root: x509.Certificate = field(init=False)
    intermediate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.root_key = private_key("p384", f"{self.name} root")
        self.key = private_key("p384", f"{self.name} intermediate")
        self.log_key = private_key("p256", f"{self.name} certificate log")
        self.root = self._authority(f"{self.name} root", self.root_key, f"{self.name} root", self.root_key, None, None)
        self.intermediate = self._authority(
            f"{self.name} intermediate",
            self.key,
            f"{self.name} root",
            self.root_key,
            self.path_length,
            self.intermediate_purposes,
        )

    def _authority(
        self,
        subject: str,
        key: PrivateKey,
        issuer: str,
        issuer_key: PrivateKey,
        path_length: int | None,
        purposes: Sequence[ObjectIdentifier] | None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(abs(hash((subject, self.name))) + 1)
            .not_valid_before(self.start)
            .not_valid_after(self.end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_usage(cert_sign=True, signature=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
        return builder.sign(issuer_key, hashes.SHA384())

    def issue(self, options: LeafOptions, key: PrivateKey) -> x509.Certificate:
        """Return a signing certificate, seen by the certificate log as often as the options say."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(options.valid_from)
            .not_valid_after(options.valid_from + options.valid_for)
            .add_extension(_usage(cert_sign=options.is_authority, signature=options.digital_signature), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if options.is_authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if options.purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(options.purposes)), critical=False)
        if options.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(options.names)), critical=True)
        extensions: list[tuple[str, bytes, bool]] = []
        if not options.without_issuer:
            bare = options.issuer_v1
            if bare is not None:
                extensions.append((_FULCIO + "1", bare, False))
            written = options.issuer_v2 if options.issuer_v2 is not None else utf8(bare or ISSUER.encode())
            extensions.append((_FULCIO + "8", written, False))
        extensions += [
            (_FULCIO + "12", utf8(b"https://github.com/example/project"), False),
            (_FULCIO + "20", utf8(b"push"), False),
            *options.more,
        ]
        for oid, value, critical in extensions:
            builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical)
        unlogged = builder.sign(self.key, hashes.SHA384())
        if not options.timestamps:
            return unlogged
        one = self._timestamp(unlogged.tbs_certificate_bytes, options.sct_at)
        listed = b"".join(len(one).to_bytes(2, "big") + one for _ in range(options.timestamps))
        value = der(0x04, len(listed).to_bytes(2, "big") + listed)
        return builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), value), critical=False
        ).sign(self.key, hashes.SHA384())

    def _timestamp(self, body: bytes, at: datetime) -> bytes:
        milliseconds = int(at.timestamp() * 1000).to_bytes(8, "big")
        issuer = hashlib.sha256(public_der(self.key)).digest()
        signed = b"\x00\x00" + milliseconds + b"\x00\x01" + issuer + len(body).to_bytes(3, "big") + body + b"\x00\x00"
        signature = sign(self.log_key, signed)
        log_id = hashlib.sha256(public_der(self.log_key)).digest()
        return b"\x00" + log_id + milliseconds + b"\x00\x00\x04\x03" + len(signature).to_bytes(2, "big") + signature


@dataclass
class TransparencyLog:
    """A log like Rekor: v1 with promises and a tree number in its origin, v2 with neither."""

    host: str = "rekor.example.com"
    generation: int = 1
    kind: Kind = "p256"
    entries: list[bytes] = field(default_factory=lambda: [b"an earlier entry", b"another", b"a third"])
    tree: str = "1234567890"

    @property
    def key(self) -> PrivateKey:
        """The log's key."""
        return private_key(self.kind, f"log {self.host}")

    @property
    def log_id(self) -> bytes:
        """What bundles call the log by."""
        if self.generation == 1:
            return hashlib.sha256(public_der(self.key)).digest()
        assert isinstance(self.key, ed25519.Ed25519PrivateKey)
        raw = self.key.public_key().public_bytes_raw()
        return hashlib.sha256(self.host.encode() + b"\n\x01" + raw).digest()

    def add(self, body: bytes, at: datetime, kind: str, version: str) -> Value:
        """Log an entry and return it as it stands in a bundle."""
        index = len(self.entries)
        self.entries = [*self.entries, body, b"one that came later"]
        root = _tree_hash(self.entries)
        entry: Value = {
            "logIndex": str(index + (1000 if self.generation == 1 else 0)),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind, "version": version},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root),
                "treeSize": str(len(self.entries)),
                "hashes": [b64(one) for one in _path(index, self.entries)],
                "checkpoint": {"envelope": self.checkpoint(root, len(self.entries))},
            },
            "canonicalizedBody": b64(body),
        }
        if self.generation == 1:
            entry["integratedTime"] = str(int(at.timestamp()))
            entry["inclusionPromise"] = {"signedEntryTimestamp": b64(self.promise(body, at, index + 1000))}
        return entry

    def promise(self, body: bytes, at: datetime, index: int) -> bytes:
        """Return a signed entry timestamp."""
        text = (
            f'{{"body":"{b64(body)}","integratedTime":{int(at.timestamp())},'
            f'"logID":"{self.log_id.hex()}","logIndex":{index}}}'
        )
        return sign(self.key, text.encode())

    def checkpoint(self, root: bytes, size: int, *, origin: str | None = None, name: str | None = None) -> str:
        """Return a signed checkpoint."""
        origin = origin or (f"{self.host} - {self.tree}" if self.generation == 1 else self.host)
        note = f"{origin}\n{size}\n{b64(root)}\n"
        line = b64(self.log_id[:4] + sign(self.key, note.encode()))
        return f"{note}\n\N{EM DASH} {name or self.host} {line}\n"


@dataclass
class Clock:
    """A timestamp authority, for any time."""

    name: str = "tsa"
    start: datetime = BEGINNING
    end: datetime = END
    root: x509.Certificate = field(init=False)
    leaf: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        root_key, key = private_key("p384", f"{self.name} root"), self.key

        def made(subject: str, public: PrivateKey) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(_name(subject))
                .issuer_name(_name(f"{self.name} root"))
                .public_key(public.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(self.start)
                .not_valid_after(self.end)
            )

        self.root = (
            made(f"{self.name} root", root_key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(cert_sign=True, signature=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hashes.SHA384())
        )
        self.leaf = (
            made(self.name, key)
            .add_extension(_usage(cert_sign=False, signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hashes.SHA384())
        )

    @property
    def key(self) -> PrivateKey:
        """The authority's key."""
        return private_key("p256", self.name)

    def stamp(self, signature: bytes, at: datetime) -> bytes:
        """Return an RFC 3161 response over `signature`."""
        return self.stamp_digest(hashlib.sha256(signature).digest(), at)

    def stamp_digest(self, digest: bytes, at: datetime) -> bytes:
        """Return an RFC 3161 response over what has this SHA-256 (RFC 3161 section 2.4, RFC 5652 section 5)."""
        sha256 = der(0x30, oid("2.16.840.1.101.3.4.2.1"))
        info = der(
            0x30,
            der(0x02, b"\x01"),
            oid("1.3.6.1.4.1.57264.2"),
            der(0x30, sha256, der(0x04, digest)),
            der(0x02, b"\x2a"),
            der(0x18, at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode()),
        )
        content_type = oid("1.2.840.113549.1.9.16.1.4")
        certificate = self.leaf.public_bytes(Encoding.DER)
        attributes = sorted(
            [
                der(0x30, oid("1.2.840.113549.1.9.3"), der(0x31, content_type)),
                der(0x30, oid("1.2.840.113549.1.9.4"), der(0x31, der(0x04, hashlib.sha256(info).digest()))),
                der(
                    0x30,
                    oid("1.2.840.113549.1.9.16.2.47"),
                    der(0x31, der(0x30, der(0x30, der(0x30, der(0x04, hashlib.sha256(certificate).digest()))))),
                ),
            ]
        )
        signer = der(
            0x30,
            der(0x02, b"\x01"),
            der(0x30, self.leaf.issuer.public_bytes(), der(0x02, _integer(self.leaf.serial_number))),
            sha256,
            der(0xA0, *attributes),
            der(0x30, oid("1.2.840.10045.4.3.2")),
            der(0x04, sign(self.key, der(0x31, *attributes))),
        )
        signed = der(
            0x30,
            der(0x02, b"\x03"),
            der(0x31, sha256),
            der(0x30, content_type, der(0xA0, der(0x04, info))),
            der(0xA0, certificate),
            der(0x31, signer),
        )
        return der(
            0x30,
            der(0x30, der(0x02, b"\x00")),
            der(0x30, oid("1.2.840.113549.1.7.2"), der(0xA0, signed)),
        )


@dataclass
class Instance:
    """All parts of one instance. `bundle` makes what a client of it would."""

    certificates: Certificates = field(default_factory=Certificates)
    log: TransparencyLog = field(default_factory=TransparencyLog)
    log_v2: TransparencyLog = field(
        default_factory=lambda: TransparencyLog(host="log2026.example.com", generation=2, kind="ed25519")
    )
    clock: Clock = field(default_factory=Clock)

    def trusted_root(self) -> Value:
        """Return the trusted root of this instance."""
        window = {"start": moment(BEGINNING)}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                _log_to_json(f"https://{log.host}", log.key, log.kind, log.log_id, window)
                for log in (self.log, self.log_v2)
            ],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "example"},
                    "uri": "https://fulcio.example.com",
                    "certChain": {
                        "certificates": [
                            {"rawBytes": b64(one.public_bytes(Encoding.DER))}
                            for one in (self.certificates.intermediate, self.certificates.root)
                        ]
                    },
                    "validFor": dict(window),
                }
            ],
            "ctlogs": [
                _log_to_json(
                    "https://ctfe.example.com",
                    self.certificates.log_key,
                    "p256",
                    hashlib.sha256(public_der(self.certificates.log_key)).digest(),
                    window,
                )
            ],
            "timestampAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "tsa"},
                    "uri": "https://tsa.example.com",
                    "certChain": {
                        "certificates": [
                            {"rawBytes": b64(one.public_bytes(Encoding.DER))}
                            for one in (self.clock.leaf, self.clock.root)
                        ]
                    },
                    "validFor": dict(window),
                }
            ],
        }

    def bundle(
        self,
        content: bytes = CONTENT,
        *,
        payload: bytes | None = None,
        payload_type: str = IN_TOTO,
        entry: tuple[str, str] | None = None,
        version: str = "0.3",
        leaf: LeafOptions = LeafOptions(),  # frozen
        at: datetime = SIGNED_AT,
        stamps: Sequence[datetime] | None = None,
        body: Callable[[Value], Value] = lambda body: body,
        logged_by: TransparencyLog | None = None,
        managed: str | None = None,
    ) -> Value:
        """Return a bundle of `content`, or with `payload` an attestation, as JSON.

        `entry` names the kind of log entry; `stamps` are the times of RFC 3161 timestamps (by default one where the log
        gives no time). `managed` is the name of a key that signs instead of a certificate.
        """
        key = private_key(leaf.kind, managed or "leaf")
        kind, api = entry or (("dsse", "0.0.1") if payload is not None else ("hashedrekord", "0.0.1"))
        is_v2 = api == "0.0.2" and kind != "intoto"
        if managed is None:
            certificate = self.certificates.issue(leaf, key)
            signer_der = certificate.public_bytes(Encoding.DER)
            signer_pem = certificate.public_bytes(Encoding.PEM)
        else:
            signer_der, signer_pem = public_der(key), public_pem(key).encode()
        message = content if payload is None else pae(payload_type, payload)
        signature = sign(key, message)

        # The content.
        value: Value = {"mediaType": MEDIA_TYPES[version], "verificationMaterial": {}}
        material = value["verificationMaterial"]
        if payload is None:
            algorithm = _SHA.get(leaf.kind, "sha256")
            value["messageSignature"] = {
                "messageDigest": {
                    "algorithm": _V2_NAMES[algorithm],
                    "digest": b64(hashlib.new(algorithm, content).digest()),
                },
                "signature": b64(signature),
            }
        else:
            value["dsseEnvelope"] = {
                "payload": b64(payload),
                "payloadType": payload_type,
                "signatures": [{"sig": b64(signature), "keyid": ""}],
            }

        # The signer.
        if managed is not None:
            material["publicKey"] = {"hint": b64(hashlib.sha256(signer_der).digest())}
        elif version.startswith("0.3"):
            material["certificate"] = {"rawBytes": b64(signer_der)}
        else:
            material["x509CertificateChain"] = {"certificates": [{"rawBytes": b64(signer_der)}]}

        # The log entry and the time.
        log = logged_by or (self.log_v2 if is_v2 else self.log)
        parts = _Parts(kind, api, leaf.kind, message, payload, payload_type, signature, signer_der, signer_pem)
        written = json.dumps(body(parts.body(managed is not None)), separators=(",", ":"), sort_keys=True).encode()
        material["tlogEntries"] = [log.add(written, at, kind, api)]
        times = stamps if stamps is not None else ([at] if log.generation == 2 else [])
        if times:
            material["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(self.clock.stamp(signature, one))} for one in times]
            }
        return value


@dataclass(frozen=True)
class _Parts:
    kind: str
    api: str
    key_kind: str
    message: bytes
    payload: bytes | None
    payload_type: str
    signature: bytes
    signer_der: bytes
    signer_pem: bytes

    def body(self, managed: bool) -> Value:
        """Return the log entry's body, as Rekor writes it."""
        algorithm = _SHA.get(self.key_kind, "sha256")
        digest = hashlib.new(algorithm, self.message)
        pem, signature = b64(self.signer_pem), b64(self.signature)
        payload_hash = {"algorithm": "sha256", "value": hashlib.sha256(self.payload or b"").hexdigest()}
        verifier = {
            "keyDetails": _DETAILS.get(self.key_kind, ""),
            "publicKey" if managed else "x509Certificate": {"rawBytes": b64(self.signer_der)},
        }
        specs: dict[tuple[str, str], Value] = {
            ("hashedrekord", "0.0.1"): {
                "data": {"hash": {"algorithm": algorithm, "value": digest.hexdigest()}},
                "signature": {"content": signature, "publicKey": {"content": pem}},
            },
            ("hashedrekord", "0.0.2"): {
                "hashedRekordV002": {
                    "data": {"algorithm": _V2_NAMES[algorithm], "digest": b64(digest.digest())},
                    "signature": {"content": signature, "verifier": verifier},
                }
            },
            ("dsse", "0.0.1"): {
                "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
                "payloadHash": payload_hash,
                "signatures": [{"signature": signature, "verifier": pem}],
            },
            ("dsse", "0.0.2"): {
                "dsseV002": {
                    "payloadHash": {
                        "algorithm": "SHA2_256",
                        "digest": b64(hashlib.sha256(self.payload or b"").digest()),
                    },
                    "signatures": [{"content": signature, "verifier": verifier}],
                }
            },
            ("intoto", "0.0.1"): {
                "content": {"hash": {"algorithm": "sha256", "value": "0" * 64}, "payloadHash": payload_hash},
                "publicKey": pem,
            },
            ("intoto", "0.0.2"): {
                "content": {
                    "envelope": {
                        "payloadType": self.payload_type,
                        "signatures": [{"publicKey": pem, "sig": b64(signature.encode())}],
                    },
                    "hash": {"algorithm": "sha256", "value": "0" * 64},
                    "payloadHash": payload_hash,
                }
            },
        }
        return {"apiVersion": self.api, "kind": self.kind, "spec": specs.get((self.kind, self.api), {})}


MEDIA_TYPES = {
    "0.1": "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "0.2": "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "0.3 as before": "application/vnd.dev.sigstore.bundle+json;version=0.3",
}


def der(tag: int, *parts: bytes) -> bytes:
    """Return a DER value."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def oid(dotted: str) -> bytes:
    """Return a DER object identifier."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray()
    for part in (first * 40 + second, *rest):
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(0x80 | part & 0x7F)
        content += bytes(reversed(groups))
    return der(0x06, bytes(content))


def utf8(text: bytes) -> bytes:
    """Return a DER UTF8String."""
    return der(0x0C, text)


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, cert_sign: bool, signature: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=not signature and not cert_sign,  # a key usage must have one
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _log_to_json(url: str, key: PrivateKey, kind: Kind, log_id: bytes, window: Value) -> Value:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(public_der(key)), "keyDetails": _DETAILS[kind], "validFor": dict(window)},
        "logId": {"keyId": b64(log_id)},
    }


def _tree_hash(entries: Sequence[bytes]) -> bytes:
    """Return MTH (RFC 6962 section 2.1)."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1 << (len(entries) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _tree_hash(entries[:split]) + _tree_hash(entries[split:])).digest()


def _path(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """Return PATH (RFC 6962 section 2.1.1)."""
    if len(entries) == 1:
        return []
    split = 1 << (len(entries) - 1).bit_length() - 1
    if index < split:
        return [*_path(index, entries[:split]), _tree_hash(entries[split:])]
    return [*_path(index - split, entries[split:]), _tree_hash(entries[:split])]
