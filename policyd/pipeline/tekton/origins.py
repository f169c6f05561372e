"""Where a value comes from, as far as the file shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policyd.models.base import JsonPath

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a value.

    `text` is what an outsider's text begins as, "" if it is none. `open` says that whoever starts the run chooses it.
    `code` says that it names code of an outsider, `mutable` that what it names can change. `via` is the result of
    another task that brought it. `value` is what it is where the file writes it out, and `at` is where that stands.
    """

    text: str = ""
    open: bool = False
    code: bool = False
    mutable: bool = False
    via: str = ""
    field: str = ""  # the field of the event that it is, as it is
    value: str | None = None
    at: JsonPath = ()
    parameters: frozenset[str] = NO_NAMES  # parameters of objects of this file that it is made of

    @property
    def key(self) -> tuple[object, ...]:
        """What makes a difference to those who use it, whatever it is in letters."""
        return self.text, self.open, self.code, self.mutable, self.via, self.parameters


NOTHING = Origin()
OPEN = Origin(open=True)


def join(origins: Iterable[Origin]) -> Origin:
    """Return the origin of a text made of several values. What it is in letters is not known any more."""
    given = list(origins)
    if not given:
        return NOTHING
    first = given[0]
    if len(given) == 1:
        return first
    return Origin(
        text=next((one.text for one in given if one.text), ""),
        open=any(one.open for one in given),
        code=any(one.code for one in given),
        mutable=any(one.mutable for one in given),
        via=next((one.via for one in given if one.via), ""),
        field=first.field if all(one.field == first.field for one in given) else "",
        value=first.value if all(one.value == first.value for one in given) else None,
        parameters=frozenset().union(*(one.parameters for one in given)),
    )
