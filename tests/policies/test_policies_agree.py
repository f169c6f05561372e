"""Policies nobody wrote, on inputs with parts missing: what the embedded engine takes, it answers as OPA does.

A difference found here is a defect of `policyd.policy.subset`, which then has to refuse what made it. The embedded
engine may refuse a module or fail aloud; it may not answer otherwise in silence.

`POLICYD_FUZZ=20000` looks longer, and somewhere else each time.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policyd.errors import EngineError, PolicyError
from policyd.policy.engine import Answer
from tests.policies.generated import PACKAGE, inputs, modules
from tests.policies.peers import Embedded, Opa, Refused, open_opa

EXAMPLES = int(os.environ.get("POLICYD_FUZZ", "600"))
INPUTS = 4  # for each module
#: OPA 1.22 fails in some comprehensions inside a comparison; that is loud, and no answer of ours is right or wrong.
OPA_FAULT = "eval_internal_error"


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    engine = Embedded()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def peer(opa: Path) -> Iterator[Opa]:
    with open_opa(opa) as server:
        yield server


@pytest.fixture(scope="module")
def seen() -> Iterator[Counter[str]]:
    """Counts what was compared; a test that compares nothing would always pass."""
    counts: Counter[str] = Counter()
    yield counts
    assert counts["modules compared"] * 5 > counts["modules"], counts
    assert counts["answers"] > 3 * counts["modules compared"], counts
    assert counts["violations or values"] * 20 > counts["answers"], counts


def same(ours: Answer, theirs: Answer) -> bool:
    """Say whether two answers hold the same. Sets are lists in JSON, and both engines put them in one order."""
    return _text(ours.value) == _text(theirs.value)


def _text(value: Any) -> str:
    # OPA gives a number of the input back as it is written there: `2.0` and `2` are one number.
    return re.sub(r"(?<=[0-9])\.0(?=[],} ]|$)", "", json.dumps(value, sort_keys=True))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="POLICYD_FUZZ" not in os.environ,
    # Explaining a failure would run as long again, and shrinking says what is needed.
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(module=modules(), documents=st.lists(inputs(), min_size=INPUTS, max_size=INPUTS))
def test_what_the_embedded_engine_takes_it_answers_as_opa_does(
    module: tuple[str, tuple[str, ...]],
    documents: list[dict[str, Any]],
    embedded: Embedded,
    peer: Opa,
    seen: Counter[str],
) -> None:
    text, names = module
    seen["modules"] += 1
    try:
        peer.load(text)
        key = embedded.load(text, PACKAGE)
    except (Refused, PolicyError, EngineError):
        return
    seen["modules compared"] += 1
    entrypoints = [f"{PACKAGE}.{name}" for name in names]
    for document in documents:
        content = json.dumps(document).encode()
        if not embedded.bears(key, content):
            seen["inputs that are minded"] += 1
            continue
        try:
            answers = embedded.ask(key, entrypoints, content)
        except EngineError:
            return
        for entrypoint in entrypoints:
            ours, theirs = answers[entrypoint], peer.ask(entrypoint, content)
            if ours.error is not None or OPA_FAULT in (theirs.error or ""):
                continue
            if theirs.error is not None:
                # A builtin that fails behind something undefined is reached by one order of evaluation and not by
                # another. What may not be is another answer than OPA has without that call.
                theirs = peer.ask(entrypoint, content, strict=False)
            seen["answers"] += 1
            seen["violations or values"] += ours.value not in (None, [], {})
            assert theirs.error is None, (text, document, ours, theirs)
            assert same(ours, theirs), (text, document, ours, theirs)
