"""The rule library and the engines that hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.adapters.library import library_files
from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_set import PolicySet, read_policy_set

EngineFactory = Callable[[PolicySet], AbstractContextManager[PolicyEngine]]


@pytest.fixture(scope="session")
def files() -> Mapping[str, bytes]:
    """The library with its tests."""
    return library_files(tests=True)


@pytest.fixture(scope="session")
def library(files: Mapping[str, bytes]) -> PolicySet:
    """The library as a policy set."""
    return read_policy_set(files, "library")


@pytest.fixture(scope="session")
def embedded(library: PolicySet) -> Iterator[EmbeddedEngine]:
    """The embedded engine holding the library."""
    with EmbeddedEngine(library) as engine:
        yield engine


@pytest.fixture(scope="session")
def opa_engine(library: PolicySet, opa: Path) -> Iterator[OpaEngine]:
    """OPA holding the library."""
    with OpaEngine(library, opa) as engine:
        yield engine


@pytest.fixture(scope="session", params=["embedded", "opa"])
def engine_factory(request: pytest.FixtureRequest) -> EngineFactory:
    """Makes each of the two engines; OPA is skipped where it is not here."""
    if request.param == "embedded":
        return EmbeddedEngine
    opa: Path = request.getfixturevalue("opa")
    return lambda policy_set: OpaEngine(policy_set, opa)
