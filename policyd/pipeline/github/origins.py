"""Where a value comes from: an outsider, a secret, a parameter of this file.

Names carry values on: `env.TITLE`, `steps.pr.outputs.ref`, `needs.build.outputs.tag`, `matrix.target`. What is known
of a value is kept with the name, so that it is still known where the name is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Origin(NamedTuple):
    """What is known of where a value comes from.

    `text` is the context an outsider's text begins as, and `events` are those under which it is one. `code` are the
    events under which the value names code of an outsider, `mutable` says whether that can change after the event.
    `parameters` are the inputs of this file that it is made of. `open` says that a member chooses the text freely,
    `asked` that it is a field of an answer which a script has asked for.
    """

    text: str = ""
    events: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    mutable: bool = False
    secret: bool = False
    parameters: frozenset[str] = frozenset()
    open: bool = False
    asked: bool = False


NOTHING = Origin()
NO_ORIGINS: Mapping[str, Origin] = {}


def join(origins: Iterable[Origin]) -> Origin:
    """Return what is known of a value made of several."""
    text, mutable, secret, is_open, asked = "", False, False, False, False
    events: frozenset[str] = frozenset()
    code: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    for one in origins:
        if one is NOTHING:
            continue
        text = text or one.text
        events |= one.events
        code |= one.code
        mutable |= one.mutable
        secret |= one.secret
        parameters |= one.parameters
        is_open |= one.open
        asked |= one.asked
    joined = Origin(text, events, code, mutable, secret, parameters, is_open, asked)
    return NOTHING if joined == NOTHING else joined
