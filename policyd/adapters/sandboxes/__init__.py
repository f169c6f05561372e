"""Ways to run a stage apart from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from policyd.models.plan import SandboxMode
from policyd.models.settings import OperatorSettings
from policyd.run.ports import Sandbox


def open_sandbox(mode: SandboxMode, operator: OperatorSettings | None) -> Sandbox:
    """Return the sandbox that `mode` names, tried out, as operator settings want it.

    What a policyd that was killed left behind is removed on the way. Raises `SandboxUnavailable` where this machine
    can't do it; nothing weaker is taken in its place.
    """
    from policyd.adapters.sandboxes.workspace import remove_leftovers

    stage_uid: int = operator.stage_uid if operator else OperatorSettings.model_fields["stage_uid"].default
    if operator is not None:
        remove_leftovers(Path(operator.workspaces))
    match mode:
        case "bwrap":
            from policyd.adapters.helpers import find_helper
            from policyd.adapters.sandboxes.bwrap import BwrapSandbox
            from policyd.errors import SandboxUnavailable

            helper = find_helper("bwrap", operator.helpers.bwrap if operator else None)
            if helper is None:
                raise SandboxUnavailable(
                    "bubblewrap is not installed",
                    where="/usr/bin/bwrap",
                    fix="apt-get install bubblewrap (0.8 or later), or accept --sandbox none",
                )
            sandbox = BwrapSandbox(helper.path, stage_uid)
            sandbox.require_working()
            return sandbox
        case "none":
            from policyd.adapters.sandboxes.unsandboxed import Unsandboxed

            return Unsandboxed(stage_uid)
        case _:
            assert_never(mode)
