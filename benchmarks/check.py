"""How long `policyd check` takes over many real workflows, beside zizmor on the same files in the same minute.

The workflows are those that lie in Go's module cache, where `go mod download` leaves those of many projects. Without
any, and without zizmor, there is nothing to compare with, and the part that is missing is left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.commands import Ended, call
from benchmarks.figures import Figure, fastest

WORKFLOWS = 280
_TIMES = 5
_REFUSED, _UNDECIDED = 1, 3
_MEMORY_BYTES = 300_000_000


def measure() -> Iterator[Figure]:
    """Measure a check of all workflows, of half of them, and the same again with a cache."""
    found = list(islice(_find_workflows(), WORKFLOWS))
    if not found:
        print("no workflows in Go's module cache: nothing to check", file=sys.stderr)
        return
    with TemporaryDirectory() as folder:
        whole, half = Path(folder, "whole"), Path(folder, "half")
        for project, contents in ((whole, found), (half, found[: len(found) // 2])):
            workflows = project / ".github" / "workflows"
            workflows.mkdir(parents=True)
            (project / ".git").mkdir()
            for number, content in enumerate(contents):
                (workflows / f"w{number}.yml").write_bytes(content)
        cache = Path(folder, "cache")
        cache.mkdir(mode=0o700)
        works = [
            partial(_policyd, whole, "--no-cache"),
            partial(_policyd, half, "--no-cache"),
            partial(_policyd, whole, cache=cache),
            partial(call, [sys.executable, "-m", "policyd", "--version"]),
        ]
        zizmor = _find_zizmor()
        if zizmor is not None:
            works.append(partial(_zizmor, zizmor, whole))
        took = fastest(*works, times=_TIMES)
        peak = works[0]().peak_bytes
    cold, halved, warm, version = (1000 * seconds for seconds in took[:4])
    peer = 1000 * took[4] if zizmor is not None else None
    name = f"check of {len(found)} workflows"
    yield Figure(name, cold, "ms", peer, peer="zizmor", peer_value=peer)
    yield Figure("the same", cold, "ms", peer="half of them", peer_value=halved)
    yield Figure("again, with the cache", warm, "ms", peer="policyd --version", peer_value=version)
    yield Figure("memory of the largest process", peak / 1e6, "MB", _MEMORY_BYTES / 1e6)


def _find_workflows() -> Iterator[bytes]:
    """Yield workflows, in the order of their paths and each content once."""
    cache = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    seen: set[bytes] = set()
    for path in sorted(cache.glob("**/.github/workflows/*.y*ml")):
        content = path.read_bytes() if path.is_file() else b""
        digest = hashlib.sha256(content).digest()
        if b"jobs:" in content and digest not in seen:
            seen.add(digest)
            yield content


def _find_zizmor() -> str | None:
    beside = Path(sys.executable).with_name("zizmor")
    return str(beside) if beside.is_file() else shutil.which("zizmor")


def _policyd(project: Path, *options: str, cache: Path | None = None) -> Ended:
    return call(
        [sys.executable, "-m", "policyd", "check", *options, str(project)],
        expected=(0, _REFUSED, _UNDECIDED),
        more={"XDG_CACHE_HOME": str(cache)} if cache else None,
    )


def _zizmor(zizmor: str, project: Path) -> Ended:
    return call([zizmor, "--offline", "--no-progress", str(project)], expected=range(256))
