"""The syscall filter of a stage: a deny list that takes the kernel's rarely needed doors away.

The namespaces of the sandbox are the wall; this filter keeps a stage from the parts of the kernel where such walls have
had holes, and from what a wall does not stop: pushing keystrokes into a terminal (TIOCSTI), talking to the hypervisor
(AF_VSOCK), the keyrings, which are not per namespace. It is assembled here, as classic BPF, in the layout that
`bwrap --seccomp` loads, so no library has to be trusted for it.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; struct sock_filter in uapi/linux/filter.h. Numbers are
those of asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policyd.errors import SandboxUnavailable

# Answers of a filter (uapi/linux/seccomp.h).
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

# Offsets into struct seccomp_data. Arguments are 64 bits wide; the kernel looks at the lower 32 of all that are
# compared here, so the upper half is left alone: a filter that looked at it could be passed by setting a bit there.
_NR, _ARCH, _ARGS = 0, 4, 16

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: x86_64 only: the x32 calls are the same doors under other numbers.
X32_BIT = 0x40000000

_CLONE_NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, Linux32, each with UNAME26, and "which?"

#: Refused with EPERM: name, number on x86_64, number on aarch64 (None: not there).
REFUSED: tuple[tuple[str, int, int | None], ...] = (
    # Other processes: also keeps a stage's command away from the shell that runs the next one.
    ("ptrace", 101, 117),
    ("process_vm_readv", 310, 270),
    ("process_vm_writev", 311, 271),
    ("process_madvise", 440, 440),
    ("kcmp", 312, 272),
    ("pidfd_getfd", 438, 438),
    # Keyrings know no namespaces.
    ("add_key", 248, 217),
    ("request_key", 249, 218),
    ("keyctl", 250, 219),
    # Programs and events inside the kernel.
    ("bpf", 321, 280),
    ("perf_event_open", 298, 241),
    ("userfaultfd", 323, 282),
    # Mounts and namespaces: the wall itself.
    ("mount", 165, 40),
    ("umount2", 166, 39),
    ("pivot_root", 155, 41),
    ("chroot", 161, 51),
    ("fsopen", 430, 430),
    ("fsconfig", 431, 431),
    ("fsmount", 432, 432),
    ("fspick", 433, 433),
    ("move_mount", 429, 429),
    ("open_tree", 428, 428),
    ("open_tree_attr", 467, 467),
    ("mount_setattr", 442, 442),
    ("setns", 308, 268),
    ("unshare", 272, 97),
    ("open_by_handle_at", 304, 265),
    # The machine.
    ("kexec_load", 246, 104),
    ("kexec_file_load", 320, 294),
    ("init_module", 175, 105),
    ("finit_module", 313, 273),
    ("delete_module", 176, 106),
    ("reboot", 169, 142),
    ("swapon", 167, 224),
    ("swapoff", 168, 225),
    ("acct", 163, 89),
    ("quotactl", 179, 60),
    ("quotactl_fd", 443, 443),
    ("syslog", 103, 116),
    ("settimeofday", 164, 170),
    ("clock_settime", 227, 112),
    ("adjtimex", 159, 171),
    ("clock_adjtime", 305, 266),
    ("sethostname", 170, 161),
    ("setdomainname", 171, 162),
    ("iopl", 172, None),
    ("ioperm", 173, None),
    ("modify_ldt", 154, None),
    ("vhangup", 153, 58),
    ("fanotify_init", 300, 262),
    ("migrate_pages", 256, 238),
    ("move_pages", 279, 239),
    ("lookup_dcookie", 212, 18),
    ("uselib", 134, None),
)

#: Refused with ENOSYS, which programs take as "an older kernel" and do without.
MISSING: tuple[tuple[str, int, int | None], ...] = (
    ("clone3", 435, 435),  # hides its flags behind a pointer, where no filter can look; libc falls back to clone
    ("io_uring_setup", 425, 425),
    ("io_uring_enter", 426, 426),
    ("io_uring_register", 427, 427),
)


@dataclass(frozen=True, slots=True)
class _Numbers:
    clone: int
    socket: int
    socketpair: int
    ioctl: int
    personality: int


_CHECKED = {"x86_64": _Numbers(56, 41, 53, 16, 135), "aarch64": _Numbers(220, 198, 199, 29, 92)}


def assemble_filter(machine: str | None = None) -> bytes:
    """Return the filter for `machine` (this one by default) as an array of struct sock_filter.

    Raises `SandboxUnavailable` for a machine whose system calls are not known here.
    """
    machine = machine or platform.machine()
    if machine not in AUDIT_ARCH:
        raise SandboxUnavailable(
            f"no syscall filter is known for {machine}",
            where="the sandbox",
            fix=f"run on one of {', '.join(AUDIT_ARCH)}, or accept --sandbox none",
        )
    column = 1 if machine == "x86_64" else 2
    checked = _CHECKED[machine]

    program: list[tuple[int, int, int, int]] = []
    # 1. Calls of another architecture (32-bit code in a 64-bit process) have other numbers: none is let through.
    program += [_load(_ARCH), (_JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]), _return(_KILL_PROCESS), _load(_NR)]
    if machine == "x86_64":
        program += [(_JUMP_AT_LEAST, 0, 1, X32_BIT), _fail(errno.ENOSYS)]
    # 2. Calls refused whatever their arguments. The kernel caches that all others here are allowed.
    for call in REFUSED:
        program += _if_number(call[column], [_fail(errno.EPERM)])  # type: ignore[arg-type]  # column 1 or 2: a number
    for call in MISSING:
        program += _if_number(call[column], [_fail(errno.ENOSYS)])  # type: ignore[arg-type]  # as above
    # 3. Calls that depend on an argument.
    program += _if_number(
        checked.clone, [_load(_arg(0)), (_JUMP_SET, 0, 1, _CLONE_NEW), _fail(errno.EPERM), _return(_ALLOW)]
    )
    program += _if_number(checked.socket, list(_socket_check()))
    program += _if_number(
        checked.socketpair,
        [_load(_arg(0)), (_JUMP_EQUAL, 1, 0, _AF_UNIX), _fail(errno.EAFNOSUPPORT), _return(_ALLOW)],
    )
    program += _if_number(checked.ioctl, list(_refuse_values(1, (_TIOCSTI, _TIOCLINUX))))
    program += _if_number(checked.personality, list(_allow_values(0, _PERSONALITIES)))
    program += [_return(_ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _socket_check() -> Iterator[tuple[int, int, int, int]]:
    """Unix, IPv4 and IPv6; netlink for routes only (getaddrinfo asks it for addresses)."""
    yield _load(_arg(0))
    for family in (_AF_UNIX, _AF_INET, _AF_INET6):
        yield from ((_JUMP_EQUAL, 0, 1, family), _return(_ALLOW))
    yield from ((_JUMP_EQUAL, 1, 0, _AF_NETLINK), _fail(errno.EAFNOSUPPORT))
    yield from (_load(_arg(2)), (_JUMP_EQUAL, 1, 0, _NETLINK_ROUTE), _fail(errno.EPROTONOSUPPORT), _return(_ALLOW))


def _refuse_values(argument: int, values: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    yield _load(_arg(argument))
    for value in values:
        yield from ((_JUMP_EQUAL, 0, 1, value), _fail(errno.EPERM))
    yield _return(_ALLOW)


def _allow_values(argument: int, values: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    yield _load(_arg(argument))
    for value in values:
        yield from ((_JUMP_EQUAL, 0, 1, value), _return(_ALLOW))
    yield _fail(errno.EPERM)


def _if_number(number: int | None, then: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Run `then`, which ends in a return, for the call `number`; skip it for every other."""
    return [] if number is None else [(_JUMP_EQUAL, 0, len(then), number), *then]


def _arg(index: int) -> int:
    return _ARGS + 8 * index  # the lower half comes first: both machines are little-endian


def _load(offset: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, offset)


def _return(answer: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, answer)


def _fail(code: int) -> tuple[int, int, int, int]:
    return _return(_ERRNO | code)
