"""OPA servers that somebody else runs, and things at an https URL that are none."""

from __future__ import annotations

import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.engines.loopback_tls import write_certificate
from policyd.models.settings import OpaServer

HOST = "127.0.0.1"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reachable:
    """Where a server listens, the certificate it shows, and how it ends."""

    url: str
    ca_file: Path
    stop: Callable[[], object]

    def settings(self, *, timeout_seconds: int = 30, token_file: Path | None = None) -> OpaServer:
        """Return what operator settings say of it."""
        return OpaServer(
            url=self.url,
            ca_file=str(self.ca_file),
            token_file=None if token_file is None else str(token_file),
            timeout_seconds=timeout_seconds,
        )


@contextmanager
def open_opa_server(opa: Path, files: Mapping[str, str], *args: str) -> Iterator[Reachable]:
    """Run a stock OPA behind TLS that holds `files` (path → text); it ends with the block, or when told to."""
    with tempfile.TemporaryDirectory(prefix="policyd-opa-") as made:
        folder = Path(made)
        for path, text in files.items():
            (folder / "held" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "held" / path).write_text(text)
        certificate, key = write_certificate(folder, HOST)
        process, url = _start(opa, folder, [f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}", *args])

        def stop() -> None:
            process.kill()
            process.wait()

        try:
            yield Reachable(url, certificate, stop)
        finally:
            stop()


def _start(opa: Path, folder: Path, args: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start OPA on some port and wait until it answers with our certificate, whatever it says."""
    import requests

    command = [str(opa), "run", "--server", "--log-level=error", "--skip-version-check", "--shutdown-grace-period=0"]
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, f"--addr={HOST}:{port}", *args, "held"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(requests.RequestException):
                requests.get(f"https://{HOST}:{port}/health", verify=str(folder / "certificate.pem"), timeout=10)
                return process, f"https://{HOST}:{port}"
            time.sleep(0.02)
        process.kill()
        process.wait()
        # Somebody else may have taken the port meanwhile.
        said = (folder / "log").read_text()
        assert "address already in use" in said, said
        assert time.monotonic() < deadline, said


@contextmanager
def open_stub(answer: Callable[[bytes, ssl.SSLSocket], None]) -> Iterator[Reachable]:
    """Listen behind TLS; `answer` is given what was asked first and the connection, and is ended with the block."""
    with tempfile.TemporaryDirectory(prefix="policyd-stub-") as made:
        certificate, key = write_certificate(Path(made), HOST)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listening = socket.create_server((HOST, 0))

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=[plain], daemon=True).start()

        def talk(plain: socket.socket) -> None:
            # Whoever asks may hang up at any time.
            with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                answer(connection.recv(1 << 16), connection)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield Reachable(f"https://{HOST}:{listening.getsockname()[1]}", certificate, listening.close)
        finally:
            # Wakes `accept`, which closing alone does not.
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()


def say(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """Return an answer of HTTP after which the connection ends."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body
