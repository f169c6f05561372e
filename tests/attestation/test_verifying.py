"""docs/verifying.md says what the code does, and nothing lets a signature through unjudged."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import policyd
from policyd.attestation.findings import CHECKS

ROOT = Path(policyd.__file__).parent.parent


def test_the_checks_are_documented_by_number_and_name() -> None:
    text = (ROOT / "docs" / "verifying.md").read_text().partition("\n## The checks\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE))

    assert {int(number): name for number, name in documented.items() if int(number) in CHECKS} == CHECKS
    assert max(map(int, documented)) == len(CHECKS) + 1  # a folder's own check


def test_no_policy_of_sigstores_that_lets_everything_through_can_be_reached() -> None:
    """`UnsafeNoOp` accepts every identity, and `production(offline=True)` an unverified file in the user's cache."""
    for path in (ROOT / "policyd").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.Name):
                names = [node.id]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = [node.value]
            else:
                continue
            assert not any("UnsafeNoOp" in name or name.startswith("sigstore.verify") for name in names), path


HOSTILE = {
    "lists": "b'[' + b'[],' * (N // 3 - 2) + b'[]]'",
    "strings": "b'[' + b'\"a\",' * (N // 4 - 2) + b'\"a\"]'",
    "depth": "b'[' * N",
    "quotes": "b'\"' + b'\\\\\"' * (N // 2 - 1) + b'\"'",
    "too large": "bytes(64 * 1024 * 1024)",
    "empty lines": "b'\\n' * N",
    "short lines": "b'{}\\n' * (N // 3)",
    "long lines": "(b'{' + b'a' * (N // 2 - 4) + b'}\\n') * 2",
    "listed payloads": (
        'b\'{"attestations": [{"bundle": {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", '
        '"verificationMaterial": {}, "dsseEnvelope": {"payloadType": "application/vnd.in-toto+json", '
        '"signatures": [{"sig": "AAAA"}], "payload": "\''
        " + b'W10s' * (N // 4 - 128) + b'\"}}}]}'"
    ),
    "payload": (
        'b\'{"payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AAAA"}], "payload": "\''
        " + b'W1tb' * (N // 4 - 64) + b'\"}'"
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_bundle_of_any_size_takes_little_memory_and_time(kind: str, tmp_path: Path) -> None:
    """Under 200 MB and a few seconds for each; parsed without bounds some take 3 GB and 20 s (measured)."""
    make = f"N = 48 * 1024 * 1024; open('b.json', 'wb').write({HOSTILE[kind]})"
    subprocess.run([sys.executable, "-c", make], cwd=tmp_path, check=True)
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "key.pub").write_text(
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4M25NDTMbDCpLsh9zJtoZOeD5l38\n"
        "fUpzTdK3JWjJGf1Gb75J0xooxS+n/gdN3ch6dUU9ZyRy75JQPvMBl/uEdA==\n"
        "-----END PUBLIC KEY-----\n"
    )
    measured = (
        "import resource, subprocess, sys\n"
        "call = [sys.executable, '-m', 'policyd', 'verify', 'a', '--bundle', 'b.json', '--key', 'key.pub']\n"
        "call += ['--type', 'slsaprovenance1']\n"
        "done = subprocess.run(call, stdout=subprocess.DEVNULL, timeout=60)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    said = subprocess.run([sys.executable, "-c", measured], cwd=tmp_path, capture_output=True, text=True, check=True)
    code, peak = map(int, said.stdout.split())

    assert code in (1, 2)
    assert peak < 200 * 1024
    assert "Traceback" not in said.stderr
