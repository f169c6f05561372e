"""Marks that are replaced before anything runs: Tekton's `$(params.x)` and `{{ x }}` of Pipelines-as-Code.

Both are replaced by text, with no regard to what stands around them, so in a script the value becomes part of it. A
shell's own `$(command)` begins with none of Tekton's words.

Source: tekton.dev "Variable Substitutions Supported by Tasks and Pipelines", "TriggerBindings", "TriggerTemplates".
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TEKTON = (
    r"\$\((?:inputs\.)?((?:params|tt\.params|tasks|finally|steps|step|context|workspaces|results|resources|outputs"
    r"|credentials|artifacts|body|header|extensions|event)(?:[.\[][^()\s]*)?|uid|inputs\.[^()\s]+)\)"
)
_PAC = r"\{\{((?:[^{}\r\n]|\{(?!\{)|\}(?!\}))+)\}\}"
_MARK = re.compile(_TEKTON)
_MARK_OR_TEMPLATE = re.compile(f"{_TEKTON}|{_PAC}")
_INDEX = re.compile(r"\[(?:\"([^\"\]]*)\"|'([^'\]]*)'|([^\]]*))\]")
#: Longer names are nobody's; the end is left off.
_MAX_NAME = 500


class Mark(NamedTuple):
    """Characters `start` to `end` of a text, and what they stand for: `params.x`, `tasks.t.results.r`, `body.ref`."""

    start: int
    end: int
    context: str
    template: bool = False  # `{{ }}`


def find_marks(text: str, *, templates: bool) -> list[Mark]:
    """Return the marks in a text; those of Pipelines-as-Code if `templates`."""
    if "$(" not in text and not (templates and "{{" in text):
        return []
    found = []
    for one in (_MARK_OR_TEMPLATE if templates else _MARK).finditer(text):
        template = one[1] is None
        name = one[2].strip(" \t-") if template else one[1]
        if name[:1].isalpha():
            found.append(Mark(one.start(), one.end(), plain_name(name), template))
    return found


def plain_name(name: str) -> str:
    """Return a name with dots alone: `params["x"]`, `params['x']` and `params.x` are one; an index becomes `*`."""
    if "[" not in name[:_MAX_NAME]:
        return name[:_MAX_NAME]
    return _INDEX.sub(_step, name[:_MAX_NAME]).lstrip(".")


def _step(found: re.Match[str]) -> str:
    name = found[1] or found[2]
    return f".{name}" if name else ".*"


def parameter_of(context: str) -> str:
    """Return the parameter that a mark reads, "" where it reads none; keys of an object and items are left off."""
    if not context.startswith("params."):
        return ""
    return context.removeprefix("params.").removesuffix(".*")
