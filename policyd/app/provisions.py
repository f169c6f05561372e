"""What a run needs besides the plan: the tools of its stages, the folders of its targets.

All of it is looked at before anything is recorded, so that a run does not begin what it can't end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from policyd.adapters.sandboxes.mountable import require_mountable, require_reachable
from policyd.adapters.settings import Authority
from policyd.adapters.sources.tools import FetchedTool, fetch_tool, folder_tool
from policyd.adapters.stores.store import Store
from policyd.errors import SettingsError, ToolError
from policyd.models.pipeline import StageKind
from policyd.models.plan import Plan
from policyd.run.ports import Sandbox

MAX_LOCK_BYTES = 16 * 1024 * 1024


def fetch_tools(
    plan: Plan, store: Store, authority: Authority, sandbox: Sandbox, on_tool: Callable[[str], None]
) -> dict[str, FetchedTool]:
    """Return each `stage/tool` of the plan as a folder to mount: locks fetched, folders looked at again.

    `on_tool` hears the name of each lock before it is fetched, which may take a while.
    """
    fetched: dict[tuple[str, str], FetchedTool] = {}
    tools: dict[str, FetchedTool] = {}
    for stage in plan.stages:
        for tool in stage.tools:
            key = (tool.name, tool.sha256)
            if key not in fetched:
                if tool.kind == "lock":
                    on_tool(tool.name)
                    fetched[key] = fetch_tool(
                        tool.name,
                        store.content.get(tool.sha256, max_bytes=MAX_LOCK_BYTES),
                        store,
                        uid=sandbox.stage_uid,
                    )
                else:
                    found = folder_tool(
                        tool.name, Path(tool.path), forbidden=[Path(authority.settings.store)], uid=sandbox.stage_uid
                    )
                    if found.sha256 != tool.sha256:
                        raise ToolError(
                            f"the folder of tool {tool.name} changed since the plan was made",
                            where=tool.path,
                            fix="run policyd again when nothing changes it",
                        )
                    fetched[key] = found
            tools[f"{stage.name}/{tool.name}"] = fetched[key]
    return tools


def find_targets(plan: Plan, authority: Authority, sandbox: Sandbox) -> Mapping[str, Path]:
    """Return the folder of each target that a stage reaches; every target a plan names must be configured."""
    folders: dict[str, Path] = {}
    for stage in plan.stages:
        if stage.target is None:
            continue
        target = authority.settings.targets.get(stage.target)
        if target is None:
            raise SettingsError(
                f"there is no target called {stage.target}",
                where=f"stage {stage.name}",
                fix=f"add it under `targets` in {authority.path}",
            )
        if stage.kind in (StageKind.DEPLOY, StageKind.MONITOR):
            if target.folder is None:
                raise SettingsError(
                    f"the target {stage.target} has no folder, and a {stage.kind} stage needs one",
                    where=f"stage {stage.name}",
                    fix=f"give it a `folder` in {authority.path}",
                )
            what = f"the folder of target {stage.target}"
            store = Path(authority.settings.store)
            folder = require_mountable(Path(target.folder), what=what, apart_from=[store, authority.path.parent])
            require_reachable(folder, sandbox.stage_uid, what=what)
            folders[stage.target] = folder
    return folders
