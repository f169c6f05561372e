"""What commands and variables are known to do, for every CI system alike: see `models.facts.Effect`."""

from policyd.pipeline.effects.commands import find_command_effects
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.variables import find_variable_effects

__all__ = ["FoundEffect", "find_command_effects", "find_variable_effects"]
