"""Keys that never leave a device or a service: named by URI, used through securesystemslib's signers.

    hsm:[ID][?label=TOKEN&module=/path/to/pkcs11.so]      PKCS#11 (SoftHSM, YubiKey, network HSMs)
    awskms:KEY_ID_OR_ARN_OR_ALIAS                         AWS KMS
    gcpkms:projects/…/cryptoKeyVersions/N                 Google Cloud KMS
    azurekms://VAULT.vault.azure.net/keys/NAME[/VERSION]  Azure Key Vault
    hv:NAME[/VERSION]                                     HashiCorp Vault, transit engine (`hashivault:` is the same)

The public key is asked of the device when the signer is made, and every signature is verified with it before it is
used: a service that signs with another key, another version of it or another algorithm is noticed here and not by
whoever verifies later. Each needs an extra of policyd; without it the error says which.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from policyd.adapters.strict_modes import require_safe_file
from policyd.attestation.keys import KeyKind, PublicKey, is_signed_by, read_public_key
from policyd.errors import KeyUnusable
from policyd.models.base import Sha256

_URI = re.compile(r"(hsm|awskms|gcpkms|azurekms|hv|hashivault):(.*)", re.ASCII)
_AZURE = re.compile(r"azurekms://([A-Za-z0-9-]+)\.vault\.azure\.net/keys/([A-Za-z0-9-]+)(?:/([0-9a-f]+))?", re.ASCII)
_VAULT = re.compile(r"(?:hv|hashivault):/{0,2}([A-Za-z0-9_.-]+)(?:/([0-9]+))?", re.ASCII)
MAX_URI = 2048
#: scheme → extra of policyd, and a module that is there when it is installed.
_EXTRAS = {
    "hsm": ("hsm", "pkcs11"),
    "awskms": ("awskms", "boto3"),
    "gcpkms": ("gcpkms", "google.cloud.kms"),
    "azurekms": ("azurekms", "azure.keyvault.keys"),
    "hv": ("vault", "hvac"),
    "hashivault": ("vault", "hvac"),
}
#: securesystemslib's names of what policyd verifies.
_SCHEMES = {
    "ecdsa-sha2-nistp256": KeyKind.P256,
    "ecdsa-sha2-nistp384": KeyKind.P384,
    "ecdsa-sha2-nistp521": KeyKind.P521,
    "ed25519": KeyKind.ED25519,
    "rsa-pkcs1v15-sha256": KeyKind.RSA,
}
#: Variables that a service's client reads to know who it is; the signing process gets these and no others.
ENVIRONMENT = {
    "hsm": ("PYKCS11LIB", "SOFTHSM2_CONF"),
    "awskms": ("AWS_",),
    "gcpkms": ("GOOGLE_", "CLOUDSDK_"),
    "azurekms": ("AZURE_", "IDENTITY_", "MSI_"),
    "hv": ("VAULT_",),
    "hashivault": ("VAULT_",),
}


def is_key_uri(name: str) -> bool:
    """Say whether `name` is the URI of a key and not a path."""
    return _URI.match(name) is not None


def environment_for(names: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of `environment` that the clients of the key URIs among `names` need, and their home."""
    schemes = [found[1] for name in names if (found := _URI.match(name))]
    prefixes = tuple(prefix for scheme in schemes for prefix in ENVIRONMENT[scheme])
    wanted = {name: value for name, value in environment.items() if prefixes and name.startswith(prefixes)}
    if schemes and "HOME" in environment:
        wanted["HOME"] = environment["HOME"]  # ~/.aws/config and its like
    return wanted


class UriSigner:
    """A key in a device or service; fulfils the core's `OwnSigner` port."""

    def __init__(self, signer: Any, public_key: PublicKey, uri: str) -> None:
        self._signer = signer  # of securesystemslib
        self._public_key = public_key
        self._uri = uri

    @property
    def key_sha256(self) -> Sha256:
        """The key's fingerprint."""
        return self._public_key.sha256

    @property
    def public_key_pem(self) -> str:
        """The public key, PEM SubjectPublicKeyInfo."""
        return self._public_key.pem

    @property
    def kind(self) -> KeyKind:
        """What the key signs with."""
        return self._public_key.kind

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, verified; `KeyUnusable` where the device gives none that holds."""
        signature = bytes.fromhex(_translated(self._uri, lambda: self._signer.sign(message)).signature)
        if not is_signed_by(self._public_key, signature, message):
            raise KeyUnusable(
                "what came back is no signature by the key that was asked for",
                where=self._uri,
                fix="check that the URI names the version of the key that you mean",
            )
        return signature

    def for_blobs(self) -> UriBlobSigner:
        """Return the signer of files with this key. Ask for it only after making sure that the key has no role."""
        return UriBlobSigner(self)

    def __repr__(self) -> str:
        return f"UriSigner(key_sha256={self.key_sha256!r})"


class UriBlobSigner:
    """Signs files with a key in a device or service; fulfils the core's `BlobSigner` port.

    securesystemslib's signers hash for themselves and take the content whole.
    """

    needs_content = True

    def __init__(self, signer: UriSigner) -> None:
        self._signer = signer

    @property
    def key_sha256(self) -> Sha256:
        """The key's fingerprint."""
        return self._signer.key_sha256

    @property
    def kind(self) -> KeyKind:
        """What the key signs with."""
        return self._signer.kind

    def sign_digest(self, digest: bytes) -> bytes:
        """Raise `TypeError`: the content is needed."""
        del digest
        raise TypeError("a key named by URI signs content")

    def sign_content(self, content: bytes) -> bytes:
        """Return the signature of a file."""
        return self._signer.sign(content)


def load_uri_key(uri: str, *, password: str | Callable[[], str]) -> UriSigner:
    """Return the signer for the key that `uri` names; `password` is asked for the PIN of a token.

    Raises `KeyUnusable` where the extra is not installed, the device or service does not answer, or the key is of a
    kind that policyd does not verify with.
    """
    secret = _Secret(password)
    library_uri, key, public_key = _find_key(uri, secret)
    if uri.startswith("hsm:"):
        secret("pin")  # now, while whoever knows it is asked for such things, and not at the first signature
    signer = _translated(uri, lambda: _library().Signer.from_priv_key_uri(library_uri, key, secret))
    return UriSigner(signer, public_key, uri)


def read_uri_key(uri: str, *, password: str | Callable[[], str]) -> PublicKey:
    """Return the public key of the key that `uri` names; raises as `load_uri_key` does."""
    return _find_key(uri, _Secret(password))[2]


def _find_key(uri: str, secret: _Secret) -> tuple[str, Any, PublicKey]:
    """Return the URI as securesystemslib writes it, and the public key as it has it and as we have it."""
    # 1. A URI of a kind we know, and the client for it.
    found = _URI.fullmatch(uri)
    if found is None or len(uri) > MAX_URI or not uri.isprintable():
        raise KeyUnusable("this is no URI of a key", where=uri[:200], fix="docs/signing.md lists the kinds there are")
    extra, module = _EXTRAS[found[1]]
    if not _is_installed(module):
        raise KeyUnusable(
            f"keys of the kind {found[1]}: need the extra `{extra}`, which is not installed",
            where=uri,
            fix=f"pip install 'policyd[{extra}]'",
        )

    # 2. The public key, from the device or service.
    library_uri, key = _translated(uri, lambda: _import(found[1], uri, secret))
    if key.scheme not in _SCHEMES:
        raise KeyUnusable(
            f"the key signs with {key.scheme}, which policyd does not verify",
            where=uri,
            fix="use an ECDSA, an Ed25519 or an RSA PKCS#1 v1.5 SHA-256 key",
        )
    public_key = read_public_key(_pem(key), where=uri)
    if public_key.kind is not _SCHEMES[key.scheme]:
        raise KeyUnusable(
            f"the key is {public_key.kind} and said to sign with {key.scheme}", where=uri, fix="report it"
        )
    return library_uri, key, public_key


@dataclass(slots=True)
class _Secret:
    """Asks for a PIN once and remembers it: a device is opened anew for each signature."""

    _password: str | Callable[[], str]
    _told: str | None = None

    def __call__(self, _name: str) -> str:
        if self._told is None:
            self._told = self._password if isinstance(self._password, str) else self._password()
        return self._told

    def __repr__(self) -> str:
        return "_Secret()"


def _library() -> Any:
    """Return securesystemslib's signers: 0.3 s to import, and its names are not exported as mypy wants them."""
    return importlib.import_module("securesystemslib.signer")


def _import(scheme: str, uri: str, secret: _Secret) -> tuple[str, Any]:
    """Return the URI as securesystemslib writes it, and its public key."""
    signer = _library()
    library_uri: str
    rest = uri.partition(":")[2]
    match scheme:
        case "hsm":
            return _import_hsm(uri, secret)
        case "awskms":
            library_uri, key = signer.AWSSigner.import_(rest)
            # Of the algorithms of an RSA key it takes PSS by itself, which Sigstore's clients don't verify.
            if key.keytype == "rsa":
                library_uri, key = signer.AWSSigner.import_(rest, "rsa-pkcs1v15-sha256")
            return library_uri, key
        case "gcpkms":
            library_uri, key = signer.GCPSigner.import_(rest)
            return library_uri, key
        case "azurekms":
            found = _require(_AZURE, uri)
            library_uri, key = signer.AzureSigner.import_(found[1], found[2])
        case _:
            found = _require(_VAULT, uri)
            library_uri, key = signer.VaultSigner.import_(found[1])
    version = found[found.lastindex or 0] if found.lastindex == found.re.groups else None
    if version is not None and library_uri.rpartition("/")[2] != version:
        raise KeyUnusable(
            f"the service now uses version {library_uri.rpartition('/')[2]} of this key, not {version}",
            where=uri,
            fix="name that version and list its public key, or take the version back",
        )
    return library_uri, key


def _import_hsm(uri: str, secret: _Secret) -> tuple[str, Any]:
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query))
    if not options.keys() <= {"label", "module"} or not (parts.path == "" or re.fullmatch(r"[0-9]{1,9}", parts.path)):
        raise KeyUnusable(
            "this names no key of a PKCS#11 token",
            where=uri,
            fix="write hsm:ID?label=TOKEN&module=/usr/lib/…/libsofthsm2.so; ID is a number",
        )
    # The library is loaded into the process that holds the key: it carries as much authority as the key.
    module = options.get("module") or os.environ.get("PYKCS11LIB")
    if module is None or not os.path.isabs(module):
        raise KeyUnusable(
            "nothing says which PKCS#11 library to use",
            where=uri,
            fix="add module=/absolute/path.so to the URI, or set PYKCS11LIB",
        )
    os.environ["PYKCS11LIB"] = str(require_safe_file(Path(os.path.realpath(module))))
    keyid = int(parts.path) if parts.path else None
    library_uri, key = _library().HSMSigner.import_(keyid, options.get("label"), secret)
    return library_uri, key


def _require(pattern: re.Pattern[str], uri: str) -> re.Match[str]:
    found = pattern.fullmatch(uri)
    if found is None:
        raise KeyUnusable("this names no key of the service", where=uri, fix="docs/signing.md says how it is written")
    return found


def _pem(key: Any) -> str:
    text: str = key.keyval["public"]
    if key.keytype != "ed25519":
        return text
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False


def _translated(uri: str, ask: Callable[[], Any]) -> Any:
    """Return what `ask` does; whatever a client library raises becomes `KeyUnusable`."""
    from securesystemslib.exceptions import Error

    try:
        return ask()
    except KeyUnusable:
        raise
    except (Error, ValueError, LookupError, OSError, RuntimeError, TypeError, AttributeError) as error:
        raise _refused(uri, error) from error
    except Exception as error:
        # The clients of five services share no class of errors. Only theirs are told in our words.
        if type(error).__module__.partition(".")[0] in ("pkcs11", "botocore", "boto3", "google", "azure", "hvac"):
            raise _refused(uri, error) from error
        raise


def _refused(uri: str, error: Exception) -> KeyUnusable:
    said = " ".join(str(error).split())[:300]
    return KeyUnusable(
        f"the key can't be used: {type(error).__name__}{f': {said}' if said else ''}",
        where=uri,
        fix="check the URI, the PIN or the credentials, and that the device or service can be reached",
    )
