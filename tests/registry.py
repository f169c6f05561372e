"""Registries for tests: the real docker-registry, and one that lies."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def sha256(content: bytes) -> str:
    """Return the digest as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image_manifest(text: str = "app") -> tuple[bytes, bytes, bytes]:
    """Return the manifest of a small image, its configuration and its only layer."""
    layer = text.encode()
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": sha256(configuration),
            "size": len(configuration),
        },
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": sha256(layer), "size": len(layer)}
        ],
    }
    return json.dumps(manifest).encode(), configuration, layer


@dataclass(frozen=True)
class Registry:
    """A registry that runs, by host and port."""

    host: str

    def push(self, repository: str, manifest: bytes, *blobs: bytes, media_type: str = MANIFEST) -> str:
        """Push blobs and a manifest; return its digest."""
        base = f"http://{self.host}/v2/{repository}"
        for blob in blobs:
            upload = self._send("POST", f"{base}/blobs/uploads/", b"")["Location"]
            self._send("PUT", f"{upload}{'&' if '?' in upload else '?'}digest={sha256(blob)}", blob)
        self._send("PUT", f"{base}/manifests/{sha256(manifest)}", manifest, media_type)
        return sha256(manifest)

    def push_image(self, repository: str = "acme/app", text: str = "app") -> str:
        """Push a small image; return how policyd names it."""
        manifest, *blobs = image_manifest(text)
        return f"oci://{self.host}/{repository}@{self.push(repository, manifest, *blobs)}"

    def get(self, path: str, accept: str) -> bytes:
        """Return what is at a path."""
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def put_tag(self, repository: str, tag: str, content: bytes, media_type: str) -> None:
        """Put a manifest or index under a tag."""
        self._send("PUT", f"http://{self.host}/v2/{repository}/manifests/{tag}", content, media_type)

    def _send(
        self, method: str, url: str, data: bytes, media_type: str = "application/octet-stream"
    ) -> Mapping[str, str]:
        headers = {"Content-Type": media_type}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(answer.headers.items())


@contextmanager
def running_registry(program: Path, folder: Path, *, password_file: Path | None = None) -> Iterator[Registry]:
    """Run docker-registry on a free port of the loopback, with its content in `folder`."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    settings: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "content")}},
        "http": {"addr": host},
    }
    if password_file is not None:
        settings["auth"] = {"htpasswd": {"realm": "a registry", "path": str(password_file)}}
    configuration = folder / "registry.yml"
    configuration.write_text(json.dumps(settings))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([str(program), "serve", str(configuration)], stdout=log, stderr=log, cwd=folder)
        try:
            _wait_until_it_answers(host, process)
            yield Registry(host)
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_it_answers(host: str, process: subprocess.Popen[bytes]) -> None:
    address = host.partition(":")
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"docker-registry ended with {process.returncode}")
        with socket() as connection:
            if connection.connect_ex((address[0], int(address[2]))) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("docker-registry does not answer")


@dataclass(frozen=True)
class Asked:
    """A request that a lying registry was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What it answers. `body` may come in pieces, without an end."""

    status: int = 200
    body: bytes | Callable[[], Iterator[bytes]] = b""
    media_type: str = MANIFEST
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class LyingRegistry:
    """A registry whose every answer a test chooses: `answer` gets the request, whatever it does not answer is 404."""

    answer: Callable[[Asked], Answer | None] = lambda _asked: None
    asked: list[Asked] = field(default_factory=list)
    host: str = ""

    @contextmanager
    def running(self) -> Iterator[LyingRegistry]:
        """Run it on a free port of the loopback."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 64 * 1024
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers.items()), sent)
                outer.asked.append(asked)
                answer = outer.answer(asked) or Answer(404, b"{}", "application/json")
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.media_type)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                whole = isinstance(answer.body, bytes)
                if isinstance(answer.body, bytes):
                    self.send_header("Content-Length", str(len(answer.body)))
                else:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command == "HEAD":
                    return
                try:
                    for piece in [answer.body] if isinstance(answer.body, bytes) else answer.body():
                        self.wfile.write(piece)
                        self.wfile.flush()
                except OSError:
                    pass  # who asked has gone
                self.close_connection = not whole

            do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 the names that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.host = f"127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join(20)
            server.server_close()
