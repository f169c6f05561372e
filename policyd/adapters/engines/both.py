"""Both engines at once: what they do not say alike is no answer.

The two Rego engines differ in places that nobody has found yet. Whoever can't bear one of them deciding asks both, and
a rule that they answer differently is an error of that rule, so the decision is `undecided`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer, PolicyEngine

MAX_SHOWN = 200  # characters of what one engine answered, enough to see where to look


class BothEngines:
    """A `PolicyEngine` that asks two others holding the same policy set. Whoever made them closes them."""

    def __init__(self, embedded: PolicyEngine, opa: PolicyEngine) -> None:
        self._embedded = embedded
        self._opa = opa

    @property
    def ref(self) -> EngineRef:
        """Both names and versions, and the digest of OPA's executable."""
        embedded, opa = self._embedded.ref, self._opa.ref
        return EngineRef(
            name="both", version=f"{embedded.name} {embedded.version}, {opa.name} {opa.version}", sha256=opa.sha256
        )

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        """Answer every entry point that both answer alike; for any other the answer is an error that names it.

        Raises what either engine raises: with one of them gone, nothing is compared and nothing is answered.
        """
        ours = self._embedded.query(entrypoints, document, meanwhile=meanwhile)
        theirs = self._opa.query(entrypoints, document)
        return {name: self._compare(name, ours.get(name), theirs.get(name)) for name in entrypoints}

    def _compare(self, entrypoint: str, ours: Answer | None, theirs: Answer | None) -> Answer:
        names = self._embedded.ref.name, self._opa.ref.name
        # 1. An engine that left an entry point out has not said "undefined".
        for name, answer in zip(names, (ours, theirs), strict=True):
            if answer is None:
                return Answer(error=f"{name} gave no answer for {entrypoint}")
        assert ours is not None
        assert theirs is not None

        # 2. An error on either side is one. Where both failed their words may differ: neither has answered.
        if ours.error is not None and theirs.error is not None:
            return Answer(error=f"{names[0]}: {ours.error}; {names[1]}: {theirs.error}")
        # 3. Undefined is not the empty set, and a set is compared whole, whatever order it comes in.
        alike = ours.error is None and theirs.error is None and _canonical(ours.value) == _canonical(theirs.value)
        if not alike:
            return Answer(
                error=f"the engines differ in {entrypoint}: {names[0]} says {_show(ours)}, {names[1]} says "
                f"{_show(theirs)}"
            )
        return ours


def _canonical(value: object) -> list[str] | str | None:
    """Return the JSON of `value`, or of its members in an order of their own where it is a set (JSON has only lists).

    Stricter than RFC 8785, which writes 1 and 1.0 alike and has no word for integers beyond 2**53.
    """
    if value is None:
        return None
    if isinstance(value, list):
        return sorted(_dump(member) for member in value)
    return _dump(value)


def _dump(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _show(answer: Answer) -> str:
    if answer.error is not None:
        return f"it failed ({_short(answer.error)})"
    if answer.value is None:
        return "undefined"
    if isinstance(answer.value, list):
        shown = "[" + ", ".join(sorted(_dump(member) for member in answer.value)) + "]"
        noun = "violation" if len(answer.value) == 1 else "violations"
        return f"{len(answer.value)} {noun}, {_short(shown)}" if answer.value else "no violation"
    return _short(_dump(answer.value))


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
