"""What a script does, written short: `kind(detail)` of every effect that a test asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from policyd.pipeline.effects import FoundEffect, find_script_effects
from policyd.pipeline.shell import Opaque, split_script


def effects(
    script: str, shell: str = "bash", *, tainted: Iterable[str] = ("TITLE",), secrets: Iterable[str] = ("TOKEN",)
) -> list[FoundEffect]:
    """Return what `script` does, where TITLE holds an outsider's text and TOKEN a secret."""
    opaque = [Opaque(*span.span(), untrusted=False) for span in re.finditer(r"\$\{\{[^}]{0,99}\}\}", script)]
    commands = split_script(script, opaque, shell=shell)
    found = find_script_effects(commands, shell=shell, tainted=frozenset(tainted), secrets=frozenset(secrets))
    return [effect for one in found for effect in one.effects]


def details(kind: str, script: str, shell: str = "bash") -> list[str]:
    """Return the details of the effects of one kind."""
    return [effect.detail for effect in effects(script, shell) if effect.kind == kind]
