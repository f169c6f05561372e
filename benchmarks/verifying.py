"""How long verifying takes, as a command and in process, beside a real cosign on the same bundles.

The bundles are those of a private Sigstore instance made for the tests: everything offline, for policyd and cosign
alike. In process the peer is what can't be left out: one ECDSA signature, or the six that a keyless bundle holds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import ROOT, call
from benchmarks.figures import Figure, fastest, seconds
from policyd.attestation.bundle import read_bundle
from policyd.attestation.direct import Asked, IdentityTrust, KeyTrust, verify_direct
from policyd.attestation.keys import is_signed_by, read_public_key
from tests.attestation.keyless.instance import (
    CONTENT,
    IDENTITY,
    ISSUER,
    NOW,
    Instance,
    Value,
    private_key,
    public_pem,
    sign,
)
from tests.attestation.keyless.verifying import file, identity_trust, key_trust

MANY = 1000
_TIMES = 15


def measure() -> Iterator[Figure]:
    """Measure a managed key and a keyless bundle, each as a command and in process, and a thousand in one command."""
    instance = Instance()
    root = instance.trusted_root()
    managed, keyless = instance.bundle(managed="managed"), instance.bundle()
    managed["verificationMaterial"]["tlogEntries"] = []
    pem = public_pem(private_key("p256", "managed"))
    yield from _in_process(managed, keyless, key_trust(pem), identity_trust(root))
    with TemporaryDirectory(prefix="policyd-bench-") as name:
        folder = Path(name)
        (folder / "artifact").write_bytes(CONTENT)
        (folder / "key.pub").write_text(pem)
        (folder / "root.json").write_text(json.dumps(root))
        (folder / "managed.json").write_text(json.dumps(managed))
        for number in range(MANY):
            (folder / f"{number}.json").write_text(json.dumps(keyless))
        yield from _commands(folder)


def _in_process(managed: Value, keyless: Value, key: KeyTrust, identity: IdentityTrust) -> Iterator[Figure]:
    signer = private_key("p256", "peer")
    public, signature = read_public_key(public_pem(signer), where="peer"), sign(signer, CONTENT)
    once = partial(is_signed_by, public, signature, CONTENT)

    def six() -> None:
        for _ in range(6):
            once()

    for what, bundle, trust, budget, peer, work in (
        ("managed key, in process", managed, key, 1, "one ECDSA signature", once),
        ("keyless, in process", keyless, identity, 6, "six ECDSA signatures", six),
    ):
        verify = _verify(json.dumps(bundle).encode(), trust)
        took, least = fastest(_hundred(verify), _hundred(work), times=_TIMES)
        yield Figure(what, 10 * took, "ms", budget, peer=peer, peer_value=10 * least)


def _verify(content: bytes, trust: KeyTrust | IdentityTrust) -> Callable[[], None]:
    asked, files = Asked(trust), [file()]

    def verify() -> None:
        found = verify_direct(read_bundle(content, where="bench"), asked, files, now=NOW, where="bench")
        if not found.verified:
            raise SystemExit(f"the bundle to measure with does not hold: {found.error}")

    return verify


def _hundred(work: Callable[[], object]) -> Callable[[], None]:
    def hundred() -> None:
        for _ in range(100):
            work()

    return hundred


def _commands(folder: Path) -> Iterator[Figure]:
    signer = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER, "--trusted-root", "root.json"]
    policyd = [sys.executable, "-m", "policyd", "verify", "artifact"]
    cosign = find_cosign()
    unlogged = ["--insecure-ignore-tlog", "--key", "key.pub", "artifact"]
    for what, budget, mine, theirs in (
        (
            "managed key, as a command",
            200,
            ["--key", "key.pub", "--bundle", "managed.json"],
            ["verify-blob", "--bundle", "managed.json", *unlogged],
        ),
        (
            "keyless, as a command",
            900,
            [*signer, "--bundle", "0.json"],
            ["verify-blob", "--bundle", "0.json", *signer, "artifact"],
        ),
    ):
        works: list[Callable[[], object]] = [partial(call, [*policyd, *mine], cwd=folder)]
        if cosign is not None:
            works.append(partial(call, [str(cosign), *theirs], cwd=folder))
        took = [1000 * value for value in fastest(*works, times=_TIMES)]
        yield Figure(what, took[0], "ms", budget, peer="cosign" if cosign else "", peer_value=[*took, None][1])
    bundles = [option for number in range(MANY) for option in ("--bundle", f"{number}.json")]
    many = seconds(partial(call, [*policyd, *signer, *bundles], cwd=folder))
    peer = None
    if cosign is not None:
        one = partial(call, [str(cosign), "verify-blob", "--bundle", "0.json", *signer, "artifact"], cwd=folder)
        peer = MANY * fastest(one, times=3)[0]
    called = f"{MANY} cosigns" if peer else ""
    yield Figure(f"{MANY} keyless bundles in one command", many, "s", 4, peer=called, peer_value=peer)


def find_cosign() -> Path | None:
    """Return the cosign that tools/go-tools.sh built, or None."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "policyd-tools"
    for line in (ROOT / "tools" / "versions.txt").read_text().splitlines():
        if line.startswith("cosign "):
            built = cache / f"cosign-{line.rpartition('@')[2]}" / "cosign"
            return built if built.is_file() else None
    return None
