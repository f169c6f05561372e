"""A timestamp authority: certificates made here, timestamps made by openssl, answered over loopback."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from policyd.models.trust import TimestampAuthority

_CONFIG = """\
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""

MAX_SENT = 256 * 1024 * 1024


@dataclass
class Authority:
    """A timestamp authority in a folder. With `answer`, it says that to everything."""

    folder: Path
    chain: str
    root: str
    url: str = ""
    asked: list[bytes] = field(default_factory=list)
    status: int = 200
    answer: bytes | None = None
    endless: bool = False  # its answers go on, for 256 MiB or until nobody reads on
    cut: bool = False  # its answers end before the length they said
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def trusted(self, **fields: object) -> TimestampAuthority:
        """Return the trust policy's entry for it."""
        values: dict[str, object] = {"name": "tsa", "certificate_chain": self.chain, **fields}
        return TimestampAuthority(**values)  # type: ignore[arg-type]

    def reply(self, query: bytes) -> bytes:
        """Return openssl's answer to a query."""
        with self.lock:  # openssl counts serial numbers in a file
            (self.folder / "query").write_bytes(query)
            _openssl(self.folder, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
            return (self.folder / "reply").read_bytes()

    def stamp(self, content: bytes, digest: str = "sha256") -> bytes:
        """Return a timestamp of `content`."""
        (self.folder / "content").write_bytes(content)
        _openssl(self.folder, "ts", "-query", "-data", "content", f"-{digest}", "-cert", "-out", "made")
        return self.reply((self.folder / "made").read_bytes())


def make_authority(folder: Path, *, usage: bool = True, days: int = 3650) -> Authority:
    """Make an authority in `folder`; without `usage`, its certificate is not one for timestamps."""
    folder.mkdir(parents=True)
    root_key, tsa_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("root", root_key, "root", root_key, ca=True, usage=False, days=days)
    tsa = _certificate("tsa", tsa_key, "root", root_key, ca=False, usage=usage, days=days)
    (folder / "tsa.key").write_bytes(tsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name, certificate in (("root", root), ("tsa", tsa)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))
    pems = [(folder / f"{name}.pem").read_text() for name in ("tsa", "root")]
    return Authority(folder, chain="".join(pems), root=pems[1])


@contextmanager
def serving(authority: Authority) -> Iterator[Authority]:
    """Answer timestamp queries on a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            authority.asked.append(query)
            content = authority.reply(query) if authority.answer is None else authority.answer
            self.send_response(authority.status)
            self.send_header("Content-Type", "application/timestamp-reply")
            length = MAX_SENT if authority.endless else len(content) + authority.cut
            self.send_header("Content-Length", str(length))
            if authority.status == 302:
                self.send_header("Location", authority.url)
            self.end_headers()
            self.wfile.write(content)
            while authority.endless and authority.sent < MAX_SENT:
                try:
                    self.wfile.write(bytes(64 * 1024))
                except OSError:
                    break
                authority.sent += 64 * 1024
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        authority.url = f"http://127.0.0.1:{server.server_address[1]}/tsa"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield authority
        finally:
            server.shutdown()
            thread.join()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    usage: bool,
    days: int,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if usage:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
        ).add_extension(_key_usage(sign=True), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _key_usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, timeout=60, capture_output=True)
