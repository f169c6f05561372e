"""Policy sets for engines to hold, and both engines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_set import PolicySet, read_policy_set

Engines = Callable[[PolicySet], AbstractContextManager[PolicyEngine]]

METADATA = """# METADATA
# title: t
# description: d
# custom:
#   id: a.{name}
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-4]
#   remediation: r
package policyd.a.{name}

"""


@pytest.fixture
def make_set() -> Callable[..., PolicySet]:
    """Makes a policy set of rules `a.NAME` from their Rego; other files by path."""

    def make(more: dict[str, bytes] | None = None, **rules: str) -> PolicySet:
        files = {f"a/{name}.rego": (METADATA.format(name=name) + code).encode() for name, code in rules.items()}
        return read_policy_set({**files, **(more or {})}, "test set")

    return make


@pytest.fixture(params=["embedded", "opa"])
def engines(request: pytest.FixtureRequest) -> Engines:
    """Makes each of the two engines; OPA is skipped where it is not here."""
    if request.param == "embedded":
        from policyd.adapters.engines.embedded import EmbeddedEngine

        return EmbeddedEngine
    from policyd.adapters.engines.opa import OpaEngine

    opa: Path = request.getfixturevalue("opa")

    def make(policy_set: PolicySet, **options: Any) -> OpaEngine:
        return OpaEngine(policy_set, opa, **options)

    return make
