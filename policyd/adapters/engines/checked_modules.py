"""What is known of the library's own modules: each was held against what policies may use when the library was made.

An engine that is given a module has it parsed, takes its syntax tree (80 times its size) and looks at all of it, which
takes five times as long as parsing. For a module whose text has a digest that `policies/checked.json` lists, the answer
is there already. The file comes with policyd, lies beside the lists of builtins and is trusted like them: whoever can
write it can write the code. `tools/docs.py` makes it, and a test compares.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.library import library_folder
from policyd.models.canonical import sha256_hex
from policyd.policy.subset import ValueUse

CHECKED = "checked.json"
_LISTS = ("capabilities.json", "embedded.json")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of a module showed: what it does with numbers, and the paths where more than one rule stands."""

    use: ValueUse
    split: frozenset[str]


def find_checked(modules: Mapping[str, str], packages: Mapping[str, str], *, engine: str) -> Mapping[str, Checked]:
    """Return what is known of `modules` (path → text) that are loaded together, by path. The others have to be checked.

    1. The list was made for this `engine` (its version) and these builtins.
    2. Each module has a package of its own: of modules that share one, what one may do follows from the others too.
    3. Each text is known to the byte.
    """
    listed = _read_list(library_folder() / CHECKED)
    # 1.
    if listed is None or (listed.engine, listed.builtins_sha256) != (engine, digest_builtins()):
        return {}
    # 2.
    if len({packages[path] for path in modules}) != len(modules):
        return {}
    # 3.
    found = {path: listed.modules.get(sha256_hex(text.encode())) for path, text in modules.items()}
    return {path: checked for path, checked in found.items() if checked is not None}


@dataclass(frozen=True, slots=True)
class _List:
    engine: str
    builtins_sha256: str
    modules: Mapping[str, Checked]


@functools.cache
def _read_list(path: Path) -> _List | None:
    """Return the list; None where it is not there or has another shape: then everything is checked anew."""
    try:
        document = json.loads(path.read_bytes())
        return _List(
            document["engine"],
            document["builtins_sha256"],
            {
                sha256: Checked(ValueUse(**dict.fromkeys(known["use"], True)), frozenset(known["split"]))
                for sha256, known in document["modules"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@functools.cache
def digest_builtins() -> str:
    """Return the digest of both lists of builtins: what a module may call follows from them."""
    return sha256_hex(b"\0".join((library_folder() / name).read_bytes() for name in _LISTS))
