"""Do something as root and as a user, where this machine lets us: the sandbox has to hold for both."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

import pytest

Act = Callable[[], None]
As = Callable[[Act], None]

ORDINARY_UID = 12_345


@pytest.fixture
def as_user() -> As:
    """Return what calls a function as an ordinary user: in a child process where the tests run as root."""
    return _directly if os.geteuid() != 0 else _as_ordinary_user


@pytest.fixture(params=["root", "user"])
def identity(request: pytest.FixtureRequest) -> As:
    """Return what calls a function as root, then as a user; as root it is skipped where the tests are not."""
    if request.param == "user":
        return _directly if os.geteuid() != 0 else _as_ordinary_user
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return _directly


def _directly(act: Act) -> None:
    act()


def _as_ordinary_user(act: Act) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            os.setgroups([])
            os.setresgid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
            os.setresuid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID)
            os.chdir("/")
            act()
            code = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if status != 0:
        pytest.fail(f"as uid {ORDINARY_UID}:\n{said}", pytrace=False)
