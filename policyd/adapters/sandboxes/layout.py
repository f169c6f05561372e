"""What a stage sees: a root that starts empty, and the names of what is put there.

    /usr (with /bin, /sbin, /lib…)   the system's programs, read-only
    /etc                             generated; little more than names and the loader's cache
    /work  /out                      the stage's folders; /work is where commands start and holds the source
    /inputs/STAGE/OUTPUT             products it was given, read-only
    /tools/NAME                      tools its pipeline names, read-only
    /target                          the target's folder: writable for deploy, read-only for monitor
    /tmp /home/stage /dev /proc      private

Never `/`, /run, /var, /home, /root, /sys, the store, the checkout, a socket or a key: what is not put here is not
there. (A unix socket works through a read-only mount, so "read-only" would not do.) /usr/local belongs to /usr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from policyd.errors import SandboxUnavailable
from policyd.run.ports import Job

#: Who a stage is, as it sees itself, on every machine: what lands in archives is then the same everywhere.
STAGE_UID_INSIDE = 1000
HOSTNAME = "stage"

#: Where programs under /usr keep what they need to start. Public files of the distribution, read-only.
_SYSTEM_ETC = (
    "/etc/alternatives",  # /usr/bin/awk, cc, java… are links through here
    "/etc/crypto-policies",  # Fedora: named by openssl.cnf
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
_JAVA_ETC = "java-"  # Debian: the configuration of /usr/lib/jvm/*

GENERATED_ETC: Mapping[str, bytes] = {
    "/etc/passwd": b"root:x:0:0:root:/root:/usr/sbin/nologin\n"
    b"stage:x:1000:1000:stage:/home/stage:/bin/sh\n"
    b"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": b"root:x:0:\nstage:x:1000:\nnogroup:x:65534:\n",
    "/etc/hosts": b"127.0.0.1 localhost stage\n::1 localhost\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    "/etc/resolv.conf": b"",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """bwrap's arguments for a root, in order, and the files it copies there."""

    arguments: tuple[str, ...]
    files: Mapping[str, bytes]


def system_layout() -> Layout:
    """Return the part that is the same for every stage: /usr and its links, /etc."""
    if not Path("/usr/bin/sh").exists():
        raise SandboxUnavailable(
            "this system keeps its programs elsewhere than in /usr",
            where="/usr/bin/sh",
            fix="run on a system with a merged /usr (Debian 12, Ubuntu 22.04, Fedora and later)",
        )
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/") / name
        if place.is_symlink():
            arguments += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            arguments += ["--ro-bind", str(place), str(place)]
    for path in (*_SYSTEM_ETC, *_java_folders()):
        if os.path.exists(path):
            arguments += ["--ro-bind", path, path]
    return Layout(tuple(arguments), GENERATED_ETC)


def stage_layout(job: Job) -> tuple[str, ...]:
    """Return bwrap's arguments for the folders of `job`."""
    folders = job.folders
    arguments = ["--proc", "/proc", "--dev", "/dev", "--size", str(256 * 1024 * 1024), "--tmpfs", "/dev/shm"]  # noqa: S108  # the sandbox's own
    for folder, place in (
        (folders.work, "/work"),
        (folders.out, "/out"),
        (folders.tmp, "/tmp"),  # noqa: S108  # the sandbox's own
        (folders.home, "/home/stage"),
    ):
        arguments += ["--bind", folder, place]
    arguments += ["--ro-bind", folders.inputs, "/inputs", "--dir", "/tools"]
    for tool in job.tools:
        arguments += ["--ro-bind", tool.folder, f"/tools/{tool.name}"]
    if job.target is not None:
        arguments += ["--bind" if job.target.writable else "--ro-bind", job.target.folder, "/target"]
    # Last: from here on nothing can be added beside what was put there.
    return (*arguments, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work")


def stage_environment(job: Job, *, places: Mapping[str, str], path: Sequence[str]) -> dict[str, str]:
    """Return the whole environment of a stage: nothing is inherited.

    `places` are WORK, OUT, INPUTS, TOOLS, TARGET, HOME and TMPDIR as the stage sees them; a pipeline can't replace
    them. `path` are the folders of programs that its tools bring. The rest are defaults, which `job.env` may replace.
    """
    python = [f"{places['TOOLS']}/{tool.name}" for tool in job.tools if tool.python_path]
    return {
        "PATH": ":".join((*path, "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(job.source_date_epoch),
        **({"PYTHONPATH": ":".join(python)} if python else {}),
        **job.env,
        "USER": "stage",
        "LOGNAME": "stage",
        "POLICYD_STAGE": job.stage,
        **places,
    }


def program_folders(job: Job, tools: str) -> list[str]:
    """Return the folders with programs that the job's tools bring, where they stand below `tools`."""
    found = []
    for tool in job.tools:
        inner = "/bin" if os.path.isdir(f"{tool.folder}/bin") else ""
        found.append(f"{tools}/{tool.name}{inner}")
    return found


def _java_folders() -> list[str]:
    return [f"/etc/{name}" for name in sorted(os.listdir("/etc")) if name.startswith(_JAVA_ETC)]
