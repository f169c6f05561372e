"""Fixtures every test may use: the real peers, or a reason why they are not here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.sigstore import LocalSigstore

ROOT = Path(__file__).resolve().parent.parent

# The same examples each time, and no failure because the machine is busy.
settings.register_profile("policyd", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("policyd")


def _skip_or_fail(reason: str) -> None:
    if os.environ.get("POLICYD_REQUIRE_REAL") == "1":
        pytest.fail(f"POLICYD_REQUIRE_REAL=1 and {reason}", pytrace=False)
    pytest.skip(reason)


def _go_tool(name: str) -> Path:
    for line in (ROOT / "tools" / "versions.txt").read_text().splitlines():
        if line.startswith(f"{name} "):
            version = line.rpartition("@")[2]
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            built = cache / "policyd-tools" / f"{name}-{version}" / name
            if built.is_file():
                return built
    if found := shutil.which(name):
        return Path(found)
    _skip_or_fail(f"{name} is not here: it needs Go, see tools/go-tools.sh")
    raise AssertionError


@pytest.fixture(scope="session")
def opa() -> Path:
    """The real OPA."""
    return _go_tool("opa")


@pytest.fixture(scope="session")
def cosign() -> Path:
    """The real cosign."""
    return _go_tool("cosign")


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory, bwrap: Path) -> Iterator[LocalSigstore]:
    """A Sigstore instance that really runs. Tests that use it are in one group, so that one worker starts one."""
    from tests.sigstore import run_sigstore

    fulcio, rekor, tsa = (_go_tool(name) for name in ("fulcio", "rekor-server", "timestamp-server"))
    with run_sigstore(fulcio, rekor, tsa, bwrap, tmp_path_factory.mktemp("sigstore")) as running:
        yield running


@pytest.fixture(scope="session")
def bwrap() -> Path:
    """The real bubblewrap, where it works."""
    found = shutil.which("bwrap", path="/usr/bin:/bin")
    if found is None:
        _skip_or_fail("bubblewrap is not installed (apt-get install bubblewrap)")
    assert found is not None
    return Path(found)


@pytest.fixture(scope="session")
def softhsm() -> Path:
    """The PKCS#11 library of the real SoftHSM, and the client for it."""
    for folder in (Path("/usr/lib/softhsm"), Path("/usr/lib64/softhsm"), Path("/usr/lib64/pkcs11")):
        library = folder / "libsofthsm2.so"
        if library.is_file() and shutil.which("softhsm2-util"):
            break
    else:
        _skip_or_fail("SoftHSM is not installed (apt-get install softhsm2)")
    if importlib.util.find_spec("pkcs11") is None:
        _skip_or_fail("python-pkcs11 is not installed (the extra `hsm`)")
    return library


@pytest.fixture(scope="session")
def docker_registry() -> Path:
    """The real registry of Debian's package docker-registry."""
    found = shutil.which("docker-registry")
    if found is None:
        _skip_or_fail("docker-registry is not installed (apt-get install docker-registry)")
    assert found is not None
    return Path(found)


@pytest.fixture
def root() -> None:
    """Skip where the test needs to be root."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
