"""Each door the filter shuts is tried from inside a real sandbox."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Any

import pytest

from policyd.adapters.sandboxes.seccomp import MISSING, REFUSED, assemble_filter
from policyd.errors import SandboxUnavailable

As = Callable[[Callable[[], None]], None]
WithStage = Callable[[Callable[[Any], None]], Callable[[], None]]

_CALL = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
column = 0 if platform.machine() == "x86_64" else 1
def call(*arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(*map(ctypes.c_long, arguments))
    return 0 if answer >= 0 else ctypes.get_errno()
"""


def test_refused_calls_fail_with_eperm_and_missing_ones_with_enosys(identity: As, with_stage: WithStage) -> None:
    """Arguments are nonsense on purpose: a call that got through would complain of them, not of permission."""
    calls = {call[0]: call[1:] for call in (*REFUSED, *MISSING)}

    @with_stage
    def test(stage: Any) -> None:
        program = f"""{_CALL}
for name, numbers in {calls!r}.items():
    if numbers[column] is not None:
        print(name, call(numbers[column], -1, -1, -1, -1, -1))
"""
        assert stage.try_python(program).succeeded
        answers = dict(line.split() for line in stage.said.splitlines())

        assert len(answers) > 50
        missing = {call[0] for call in MISSING}
        assert answers == {name: str(errno.ENOSYS if name in missing else errno.EPERM) for name in answers}

    identity(test)


@pytest.mark.parametrize(
    ("what", "x86_64", "aarch64", "expected"),
    [
        ("TIOCSTI", (16, 0, 0x5412, 0), (29, 0, 0x5412, 0), errno.EPERM),
        ("TIOCSTI with a bit the kernel drops", (16, 0, 0x1_0000_5412, 0), (29, 0, 0x1_0000_5412, 0), errno.EPERM),
        ("TIOCLINUX", (16, 0, 0x541C, 0), (29, 0, 0x541C, 0), errno.EPERM),
        ("another ioctl", (16, 0, 0x5413, 0), (29, 0, 0x5413, 0), errno.ENOTTY),
        ("VSOCK", (41, 40, 1, 0), (198, 40, 1, 0), errno.EAFNOSUPPORT),
        ("ALG", (41, 38, 5, 0), (198, 38, 5, 0), errno.EAFNOSUPPORT),
        ("PACKET", (41, 17, 3, 0), (198, 17, 3, 0), errno.EAFNOSUPPORT),
        ("VSOCK pair", (53, 40, 1, 0, 0), (199, 40, 1, 0, 0), errno.EAFNOSUPPORT),
        ("netlink audit", (41, 16, 3, 9), (198, 16, 3, 9), errno.EPROTONOSUPPORT),
        ("netlink route", (41, 16, 3, 0), (198, 16, 3, 0), 0),
        ("unix", (41, 1, 1, 0), (198, 1, 1, 0), 0),
        ("IPv4", (41, 2, 1, 0), (198, 2, 1, 0), 0),
        ("clone with a user namespace", (56, 0x10000000, 0, 0, 0, 0), (220, 0x10000000, 0, 0, 0, 0), errno.EPERM),
        ("clone with a mount namespace", (56, 0x00020000, 0, 0, 0, 0), (220, 0x00020000, 0, 0, 0, 0), errno.EPERM),
        ("personality without random addresses", (135, 0x0040000), (92, 0x0040000), errno.EPERM),
        ("asking for the personality", (135, 0xFFFFFFFF), (92, 0xFFFFFFFF), 0),
    ],
)
def test_calls_are_judged_by_their_arguments(
    with_stage: WithStage, what: str, x86_64: tuple[int, ...], aarch64: tuple[int, ...], expected: int
) -> None:
    @with_stage
    def test(stage: Any) -> None:
        assert stage.try_python(f"{_CALL}\nprint(call(*{(x86_64, aarch64)!r}[column]))").succeeded
        assert int(stage.said) == expected, what

    test()


def test_other_numbers_for_the_same_calls_are_no_way_around(with_stage: WithStage) -> None:
    @with_stage
    def test(stage: Any) -> None:
        if assemble_filter() != assemble_filter("x86_64"):
            pytest.skip("x32 and int 0x80 are of x86_64")
        assert stage.try_python(f"{_CALL}\nprint(call(0x40000000 | 39))").succeeded
        assert int(stage.said) == errno.ENOSYS

        # getpid as a 32-bit call: mov eax, 20; int 0x80; ret
        program = """
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
"""
        assert stage.try_python(program).exit_code == 128 + 31  # SIGSYS

    test()


def test_ordinary_programs_do_not_notice(with_stage: WithStage) -> None:
    @with_stage
    def test(stage: Any) -> None:
        program = """
import concurrent.futures, multiprocessing, socket, subprocess, tempfile, threading
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert sum(pool.map(abs, range(100))) == 4950
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(abs, [-1, 2]) == [1, 2]
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
assert subprocess.run(["ls"], check=True).returncode == 0
tempfile.NamedTemporaryFile().close()
"""
        assert stage.try_python(program).succeeded, stage.said

    test()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_the_kernel_takes(machine: str) -> None:
    """No jump leads beyond its end, it ends in an answer, and it is not too long."""
    program = list(struct.iter_unpack("=HBBI", assemble_filter(machine)))

    assert len(program) <= 4096
    assert program[-1][0] == 0x06
    for position, (code, if_true, if_false, _) in enumerate(program):
        if code & 0x07 == 0x05:
            assert position + 1 + max(if_true, if_false) < len(program)


def test_a_machine_with_unknown_calls_has_no_sandbox() -> None:
    with pytest.raises(SandboxUnavailable, match="riscv64"):
        assemble_filter("riscv64")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_both_filters_decide_alike(machine: str) -> None:
    """Only one of them meets a kernel here, so both are also walked through by hand."""
    arch = 0xC000003E if machine == "x86_64" else 0xC00000B7
    clone, socket, ioctl, read = (56, 41, 16, 0) if machine == "x86_64" else (220, 198, 29, 63)
    allow, kill = 0x7FFF0000, 0x80000000

    for calls, error in ((REFUSED, errno.EPERM), (MISSING, errno.ENOSYS)):
        for name, on_x86_64, on_aarch64 in calls:
            number = on_x86_64 if machine == "x86_64" else on_aarch64
            assert number is None or _walk(machine, arch, number) == 0x50000 | error, name
    assert _walk(machine, arch, read) == allow
    assert _walk(machine, arch ^ 0x80000000, read) == kill
    assert _walk(machine, arch, clone, 0x01200011) == allow
    assert _walk(machine, arch, clone, 0x10000011) == 0x50000 | errno.EPERM
    assert _walk(machine, arch, socket, 10) == allow
    assert _walk(machine, arch, socket, 40) == 0x50000 | errno.EAFNOSUPPORT
    assert _walk(machine, arch, ioctl, 0, 0x5412) == 0x50000 | errno.EPERM


def _walk(machine: str, arch: int, number: int | None, *arguments: int) -> int:
    data = struct.pack("=II8x6Q", number or 0, arch, *arguments, *(0,) * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", assemble_filter(machine)))
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = program[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x06:
                return int(value)
            case 0x15:
                position += if_true if accumulator == value else if_false
            case 0x35:
                position += if_true if accumulator >= value else if_false
            case 0x45:
                position += if_true if accumulator & value else if_false
            case _:
                raise AssertionError(f"unexpected instruction {code:#x}")
