"""What commands, variables, containers and components are known to do, for every CI system alike.

See `models.facts.Effect`. One module a topic; what is data is a table.
"""

from policyd.pipeline.effects.components import find_component_effects
from policyd.pipeline.effects.containers import find_container_effects
from policyd.pipeline.effects.downloads import find_address_effects
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.scripts import CommandEffects, find_command_effects, find_script_effects
from policyd.pipeline.effects.variables import find_variable_effects

__all__ = [
    "CommandEffects",
    "FoundEffect",
    "find_address_effects",
    "find_command_effects",
    "find_component_effects",
    "find_container_effects",
    "find_script_effects",
    "find_variable_effects",
]
