"""Where values come from, and what the variables of a pipeline hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policyd.pipeline.azure.conditions import Reach
from policyd.pipeline.azure.expressions import Node
from policyd.pipeline.azure.trust import Carries, environment_name
from policyd.pipeline.source_map import Spot


@dataclass(frozen=True, slots=True)
class Crossing:
    """A border that a value has passed: set as an output of a stage, or given to a template.

    `stage` is the stage it comes from, `name` the output or parameter, `spot` where that is set.
    """

    kind: str  # "output" or "call"
    stage: str
    name: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from. `text` is what an outsider's text begins as, `carries` when it holds one."""

    text: str = ""
    carries: frozenset[Carries] = frozenset()
    code: bool = False  # names code of an outsider
    open: bool = False  # whoever starts or calls this chooses any text for it
    secrets: frozenset[str] = frozenset()
    crossings: frozenset[Crossing] = frozenset()

    def is_untrusted(self, reach: Reach) -> bool:
        """Say whether the value can hold an outsider's text where `reach` is asked for."""
        if not self.carries:
            return False
        if "always" in self.carries or "pull-request" in reach:
            return True
        return "branch" in self.carries and "protected" not in reach.get("other", frozenset())


NOTHING = Origin()


def join(origins: Iterable[Origin]) -> Origin:
    """Return the origin of a value that is made of several."""
    several = [origin for origin in origins if origin is not NOTHING]
    if len(several) < 2:
        return several[0] if several else NOTHING
    return Origin(
        text=next((origin.text for origin in several if origin.text), ""),
        carries=frozenset().union(*(origin.carries for origin in several)),
        code=any(origin.code for origin in several),
        open=any(origin.open for origin in several),
        secrets=frozenset().union(*(origin.secrets for origin in several)),
        crossings=frozenset().union(*(origin.crossings for origin in several)),
    )


@dataclass(frozen=True, slots=True)
class Value:
    """What a variable holds. `text` is what the file says, `root` the condition that it is."""

    origin: Origin = NOTHING
    text: str = ""
    root: Node | None = None
    hidden: bool = False  # a secret: scripts do not find it in their environment


class Variables:
    """The variables of a stage by name, which scripts also find in their environment."""

    def __init__(self, names: dict[str, Value] | None = None, in_environment: dict[str, str] | None = None) -> None:
        self._names = names or {}
        self._in_environment = in_environment or {}

    def copy(self) -> Variables:
        """Return variables that can be set without changing these."""
        return Variables(dict(self._names), dict(self._in_environment))

    def set(self, name: str, value: Value) -> None:
        """Set a variable."""
        lower = name.lower()
        self._names[lower] = value
        if not value.hidden:
            self._in_environment[environment_name(name)] = lower

    def find(self, name: str) -> Value | None:
        """Return what a variable holds, `None` if the file does not set it."""
        return self._names.get(name.lower())

    def find_in_environment(self, name: str) -> Value | None:
        """Return what a script finds under a name of its environment, in upper case."""
        lower = self._in_environment.get(name)
        return self._names[lower] if lower is not None else None

    def roots(self) -> dict[str, Node]:
        """Return the variables that are conditions, by name in lower case."""
        return {name: value.root for name, value in self._names.items() if value.root is not None}
