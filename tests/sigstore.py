"""A Sigstore instance that really runs here: Fulcio, Rekor v2 and a timestamp authority, on loopback, for the tests.

What only stands around it is made here: an identity provider that vouches for whomever it is told to, and a
certificate log that sees everything. The keys and certificates are those of `tests.attestation.keyless.instance`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.attestation.keyless.instance import (
    Certificates,
    Clock,
    Instance,
    PrivateKey,
    TransparencyLog,
    b64,
    der,
    moment,
    oid,
    private_key,
    public_der,
    sign,
)

HOST = "127.0.0.1"
EMAIL = "alice@example.com"
AUDIENCE = "sigstore"
WORKFLOW = "example/project/.github/workflows/release.yml@refs/heads/main"
CI_CONFIG = "gitlab.com/example/project//.gitlab-ci.yml@refs/heads/main"
START_SECONDS = 60
_POISON = oid("1.3.6.1.4.1.11129.2.4.3")

Answer = tuple[int, str, bytes]
Talk = Callable[[str, bytes], Answer]


@dataclass(frozen=True)
class LocalSigstore:
    """The running instance: where its parts listen, and what a client has to know of it."""

    parts: Instance
    issuer: str
    fulcio: str
    rekor: str
    tsa: str

    def token(self, kind: str = "email", **claims: object) -> str:
        """Return an identity token of the provider; a claim of None is left out."""
        return make_token(f"{self.issuer}/{kind}", kind, **claims)

    def trust_config(self, **services: object) -> dict[str, Any]:
        """Return the client trust config; `fulcio`, `rekor` and `tsa` name other addresses, `tsa=None` none."""
        return trust_config(
            self.parts,
            fulcio=str(services.get("fulcio", self.fulcio)),
            rekor=str(services.get("rekor", self.rekor)),
            tsa=None if services.get("tsa", "") is None else str(services.get("tsa", self.tsa)),
            rekor_version=2,
        )


def make_parts() -> Instance:
    """Return keys and certificates for now, with the names that a log on loopback has."""
    now = datetime.now(UTC).replace(microsecond=0)
    start, end = now - timedelta(days=1), now + timedelta(days=365)
    return Instance(
        certificates=Certificates(start=start, end=end),
        log_v2=TransparencyLog(host=HOST, generation=2, kind="ed25519"),
        clock=Clock(start=start, end=end),
    )


def make_token(issuer: str, kind: str, **claims: object) -> str:
    """Return an identity token for five minutes; a claim of None is left out."""
    import jwt

    now = int(time.time())
    said: dict[str, object] = {"iss": issuer, "aud": AUDIENCE, "iat": now - 5, "nbf": now - 5, "exp": now + 300}
    kinds: dict[str, dict[str, object]] = {
        "email": {"sub": "1234", "email": EMAIL, "email_verified": True},
        "github": {"sub": "repo:example/project:ref:refs/heads/main", "job_workflow_ref": WORKFLOW},
        "gitlab": {"sub": "project_path:example/project", "ci_config_ref_uri": CI_CONFIG},
    }
    said |= kinds[kind] | claims
    key = private_key("p256", "identity provider")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return jwt.encode(
        {name: value for name, value in said.items() if value is not None}, key, "ES256", headers={"kid": "1"}
    )


def trust_config(parts: Instance, *, fulcio: str, rekor: str, tsa: str | None, rekor_version: int) -> dict[str, Any]:
    """Return a client trust config (v0.1): the trusted root, and where to ask."""
    window = {"start": moment(datetime.now(UTC) - timedelta(days=1))}
    root = parts.trusted_root()
    root["tlogs"] = [root["tlogs"][rekor_version - 1] | {"baseUrl": rekor}]

    def service(url: str, version: int = 1) -> dict[str, object]:
        return {"url": url, "majorApiVersion": version, "validFor": window, "operator": "tests"}

    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(fulcio)],
            "oidcUrls": [],
            "rekorTlogUrls": [service(rekor, rekor_version)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [] if tsa is None else [service(tsa)],
            "tsaConfig": {"selector": "ANY"},
        },
    }


@contextmanager
def run_sigstore(fulcio: Path, rekor: Path, tsa: Path, bwrap: Path, folder: Path) -> Iterator[LocalSigstore]:
    """Run an instance in `folder`; it ends with the block."""
    parts = make_parts()
    with ExitStack() as stack:
        issuer = stack.enter_context(serve(_provider))
        log = stack.enter_context(serve(functools.partial(_see, parts.certificates)))
        rekor_url = stack.enter_context(_run_rekor(rekor, folder, parts))
        tsa_url = stack.enter_context(_run_tsa(tsa, bwrap, folder, parts))
        fulcio_url = stack.enter_context(_run_fulcio(fulcio, folder, parts, issuer, log))
        yield LocalSigstore(parts, issuer, fulcio_url, rekor_url, tsa_url)


@contextmanager
def serve(talk: Talk) -> Iterator[str]:
    """Answer HTTP on loopback with `talk` (path, body → status, type, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, kind, body = talk(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815  # http.server's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def as_json(value: object, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return status, "application/json", json.dumps(value).encode()


def _provider(path: str, _body: bytes) -> Answer:
    key = private_key("p256", "identity provider")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    _, kind, *rest = path.split("/")
    if rest == [".well-known", "openid-configuration"]:
        # Fulcio compares the issuer with the address it asked, so it is told its own.
        here = _ISSUERS[kind]
        return as_json(
            {
                "issuer": here,
                "jwks_uri": f"{here}/keys",
                "authorization_endpoint": f"{here}/auth",
                "token_endpoint": f"{here}/token",
                "id_token_signing_alg_values_supported": ["ES256"],
                "subject_types_supported": ["public"],
                "response_types_supported": ["id_token"],
            }
        )
    numbers = key.public_key().public_numbers()
    point = {
        name: base64.urlsafe_b64encode(number.to_bytes(32)).decode().rstrip("=")
        for name, number in (("x", numbers.x), ("y", numbers.y))
    }
    return as_json({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig", **point}]})


_ISSUERS: dict[str, str] = {}


def _see(certificates: Certificates, path: str, body: bytes) -> Answer:
    """Answer as a certificate log (RFC 6962 section 4.2): a timestamp for each precertificate."""
    assert path.endswith("/ct/v1/add-pre-chain"), path
    chain = json.loads(body)["chain"]
    precertificate = x509.load_der_x509_certificate(base64.b64decode(chain[0]))
    issued = _without_poison(precertificate.tbs_certificate_bytes)
    milliseconds = int(time.time() * 1000)
    issuer = hashlib.sha256(public_der(certificates.key)).digest()
    signed = b"".join(
        (b"\x00\x00", milliseconds.to_bytes(8), b"\x00\x01", issuer, len(issued).to_bytes(3), issued, b"\x00\x00")
    )
    signature = sign(certificates.log_key, signed)
    return as_json(
        {
            "sct_version": 0,
            "id": b64(hashlib.sha256(public_der(certificates.log_key)).digest()),
            "timestamp": milliseconds,
            "extensions": "",
            "signature": b64(b"\x04\x03" + len(signature).to_bytes(2) + signature),
        }
    )


def _without_poison(body: bytes) -> bytes:
    """Return a to-be-signed certificate without the extension that marks a precertificate."""
    (content,) = _values(body)
    *fields, extensions = _values(_content(content))
    (listed,) = _values(_content(extensions))
    kept = [one for one in _values(_content(listed)) if not _content(one).startswith(_POISON)]
    return der(0x30, *fields, der(0xA3, der(0x30, *kept)))


def _values(content: bytes) -> list[bytes]:
    """Return the DER values that stand one after another."""
    values = []
    while content:
        head, length = _measure(content)
        values.append(content[: head + length])
        content = content[head + length :]
    return values


def _content(value: bytes) -> bytes:
    return value[_measure(value)[0] :]


def _measure(value: bytes) -> tuple[int, int]:
    if value[1] < 0x80:
        return 2, value[1]
    head = 2 + (value[1] & 0x7F)
    return head, int.from_bytes(value[2:head])


@contextmanager
def _run_rekor(program: Path, folder: Path, parts: Instance) -> Iterator[str]:
    key = _write_key(folder / "rekor.key", parts.log_v2.key)
    (folder / "tiles").mkdir()

    def command(port: int, grpc: int, metrics: int) -> list[str]:
        return [
            f"--http-port={port}",
            f"--grpc-port={grpc}",
            f"--http-metrics-port={metrics}",
            f"--hostname={HOST}",
            f"--signer-filepath={key}",
            f"--storage-dir={folder / 'tiles'}",
            "--batch-max-age=10ms",
            "--checkpoint-interval=100ms",
        ]

    with _running([program, "serve"], command, folder, "rekor", "/healthz") as url:
        yield url


@contextmanager
def _run_fulcio(program: Path, folder: Path, parts: Instance, issuer: str, log: str) -> Iterator[str]:
    certificates = parts.certificates
    chain = folder / "fulcio.pem"
    chain.write_bytes(
        b"".join(one.public_bytes(Encoding.PEM) for one in (certificates.intermediate, certificates.root))
    )
    key = _write_key(folder / "fulcio.key", certificates.key, passphrase=b"passphrase")
    _ISSUERS.update({kind: f"{issuer}/{kind}" for kind in ("email", "github", "gitlab")})
    providers = {
        "github": "https://github.com/{{ .job_workflow_ref }}",
        "gitlab": "https://{{ .ci_config_ref_uri }}",
    }
    config = {
        "OIDCIssuers": {
            url: {"IssuerURL": url, "ClientID": AUDIENCE}
            | ({"Type": "ci-provider", "CIProvider": kind} if kind in providers else {"Type": "email"})
            for kind, url in _ISSUERS.items()
        },
        "CIIssuerMetadata": {kind: {"SubjectAlternativeNameTemplate": name} for kind, name in providers.items()},
    }
    (folder / "fulcio.json").write_text(json.dumps(config))

    def command(port: int, grpc: int, metrics: int) -> list[str]:
        return [
            f"--host={HOST}",
            f"--port={port}",
            f"--grpc-host={HOST}",
            f"--grpc-port={grpc}",
            f"--metrics-port={metrics}",
            f"--legacy-unix-domain-socket={folder / 'fulcio.sock'}",
            f"--config-path={folder / 'fulcio.json'}",
            "--ca=fileca",
            f"--fileca-cert={chain}",
            f"--fileca-key={key}",
            "--fileca-key-passwd=passphrase",
            "--fileca-watch=false",
            f"--ct-log-url={log}",
        ]

    with _running([program, "serve"], command, folder, "fulcio", "/healthz") as url:
        yield url


@contextmanager
def _run_tsa(program: Path, bwrap: Path, folder: Path, parts: Instance) -> Iterator[str]:
    """Run the timestamp server without a network: its port for metrics is fixed, and may be anybody's."""
    clock, spoken = parts.clock, folder / "tsa.sock"
    chain = folder / "tsa.pem"
    chain.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in (clock.leaf, clock.root)))
    arguments = [
        *(bwrap, "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent", "--"),
        *(program, "serve", "--scheme=unix", f"--socket-path={spoken}", "--disable-ntp-monitoring"),
        *("--timestamp-signer=file", f"--file-signer-key-path={_write_key(folder / 'tsa.key', clock.key)}"),
        f"--certificate-chain-path={chain}",
    ]
    with _process([str(one) for one in arguments], folder, "tsa") as process:
        deadline = time.monotonic() + START_SECONDS
        while not spoken.exists():
            assert process.poll() is None, (folder / "tsa.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with serve(functools.partial(_forward, spoken)) as url:
            yield f"{url}/api/v1/timestamp"


def _forward(to: Path, path: str, body: bytes) -> Answer:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(to))
        head = (
            f"POST {path} HTTP/1.1\r\nHost: tsa\r\nContent-Type: application/timestamp-query\r\nConnection: close\r\n"
        )
        channel.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b"".join(iter(functools.partial(channel.recv, 1 << 16), b""))
    status, _, content = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), "application/timestamp-reply", content


@contextmanager
def _running(
    program: list[str | Path], options: Callable[[int, int, int], list[str]], folder: Path, name: str, path: str
) -> Iterator[str]:
    """Run a server on ports of its own and wait until it answers."""
    import requests

    deadline = time.monotonic() + START_SECONDS
    while True:
        port, grpc, metrics = _ports(3)
        command = [str(one) for one in (*program, *options(port, grpc, metrics))]
        url = f"http://{HOST}:{port}"
        with _process(command, folder, name) as process:
            while process.poll() is None and time.monotonic() < deadline:
                with suppress(requests.RequestException):
                    if requests.get(url + path, timeout=10).ok:
                        yield url
                        return
                time.sleep(0.02)
        # Somebody else may have taken a port meanwhile.
        said = (folder / f"{name}.log").read_text()
        assert "address already in use" in said, said
        assert time.monotonic() < deadline, said


@contextmanager
def _process(command: list[str], folder: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [probe.getsockname()[1] for probe in probes]


def _write_key(path: Path, key: PrivateKey, passphrase: bytes | None = None) -> Path:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return path
