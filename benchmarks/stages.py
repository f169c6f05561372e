"""What policyd adds to a stage: admit, sandbox, collect, attest, sign, record, with every wait for the disk.

A run of `true`-like stages, each leaving one product of 1 KiB, timed whole; what a run of one stage takes is taken
off, and the rest divided. The peer does by hand the least a stage can cost: a bare `bwrap … true`, one ECDSA P-256
signature, three commits to SQLite.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.commands import Ended, Home, open_home
from benchmarks.figures import Figure, typical

STAGES = 100
MANY_STAGES = 1000
_BUDGET_MS = 25
_BUDGET_BYTES = 200_000_000
_TIMES = 3
_PEER_TIMES = 30

_BWRAP = ["/usr/bin/bwrap", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
_BWRAP += ["--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--die-with-parent"]
_BWRAP += ["--", "/usr/bin/true"]


def measure() -> Iterator[Figure]:
    """Measure what each of 100 stages adds."""
    with open_home() as home, _open_peer(home.folder) as peer:
        one, many, peers = [], [], []
        for _ in range(_TIMES):  # in turns, so that what else goes on in the machine meets them alike
            peers.append(1000 * typical(peer, times=_PEER_TIMES))
            one.append(_run(home, 1).seconds)
            many.append(_run(home, STAGES))
    yield Figure(
        f"added to a stage, over {STAGES}",
        _each(min(one), min(ended.seconds for ended in many), STAGES),
        "ms",
        _BUDGET_MS,
        peer="bwrap true, ECDSA, 3 commits",
        peer_value=min(peers),
    )
    yield _memory(STAGES, many)


def measure_growth() -> Iterator[Figure]:
    """Measure what each of 1,000 stages adds; the peer is what each of 100 did just before."""
    with open_home() as home:
        one = min(_run(home, 1).seconds for _ in range(_TIMES))
        hundred = min(_run(home, STAGES).seconds for _ in range(_TIMES))
        many = _run(home, MANY_STAGES)
    yield Figure(
        f"added to a stage, over {MANY_STAGES}",
        _each(one, many.seconds, MANY_STAGES),
        "ms",
        _BUDGET_MS,
        peer=f"the same over {STAGES}",
        peer_value=_each(one, hundred, STAGES),
    )
    yield _memory(MANY_STAGES, [many])


def render_pipeline(stages: int) -> str:
    """Return a pipeline of so many stages, each needing the one before it and leaving one product of 1 KiB."""
    lines = ["policyd: pipeline/v1", "name: many", "stages:"]
    for number in range(stages):
        lines += [
            f"  - name: stage-{number}",
            "    kind: build",
            *([f"    needs: [stage-{number - 1}]"] if number else []),
            f"    run: printf '%01024d' {number} > \"$OUT/product\"",
            "    outputs: [{name: product, path: product}]",
        ]
    return "\n".join((*lines, ""))


def _run(home: Home, stages: int) -> Ended:
    (home.project / "pipeline.yaml").write_text(render_pipeline(stages))
    return home.policyd("run", "--jobs", "1", "pipeline.yaml")


def _each(one: float, many: float, stages: int) -> float:
    """Return the milliseconds each stage beyond the first takes."""
    return 1000 * (many - one) / (stages - 1)


def _memory(stages: int, ended: list[Ended]) -> Figure:
    return Figure(f"memory for {stages} stages", max(one.peak_bytes for one in ended) / 1e6, "MB", _BUDGET_BYTES / 1e6)


@contextmanager
def _open_peer(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold a function that does by hand the least a stage can cost."""
    key = ec.generate_private_key(ec.SECP256R1())
    connection = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, content BLOB)")

    def work() -> None:
        subprocess.run(_BWRAP, check=True, timeout=60)
        key.sign(bytes(1024), ec.ECDSA(hashes.SHA256()))
        for _ in range(3):
            connection.execute("INSERT INTO entries (content) VALUES (?)", (bytes(1024),))

    try:
        yield work
    finally:
        connection.close()
