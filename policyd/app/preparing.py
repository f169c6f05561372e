"""From a path to a plan and the decision on it: everything is read once, hashed, and judged from those bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.helpers import find_helper
from policyd.adapters.settings import Authority, find_authority, find_project_settings
from policyd.adapters.sources.discovery import read_beneath
from policyd.adapters.sources.tools import folder_tool
from policyd.adapters.sources.tree import read_tree
from policyd.adapters.stores.content import ContentStore
from policyd.app.check import MAX_PIPELINE_BYTES
from policyd.app.judging import Judge, make_repository, open_judge
from policyd.app.projects import find_root, relative_to_root
from policyd.app.waivers import load_waivers
from policyd.errors import DocumentError, SettingsError, SourceError, UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision
from policyd.models.pipeline import PipelineFile, Tool
from policyd.models.plan import Plan, PlannedTool, Requester, SandboxMode, SourceTree
from policyd.models.settings import Helpers
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.report.findings import Judged
from policyd.run.planning import Circumstances, make_plan
from policyd.run.source_tree import TreeManifest

#: Stands for settings and trust policy where there are none; `governance` says so in words.
NO_AUTHORITY = sha256_hex(b"")
#: Where no operator names a builder, the plan says so.
SELF_BUILDER = "https://policyd.local/self"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, the decision on it, and the very things it was made from."""

    root: Path
    authority: Authority | None
    pipeline: ReadPipeline
    source: TreeManifest
    plan: Plan
    judge: Judge
    decision: Decision
    document: bytes  # the input that was judged

    @property
    def judged(self) -> Judged:
        """The decision as reports take it."""
        return Judged(self.pipeline.ref.path, self.decision, self.pipeline.content)


@contextmanager
def prepare(
    path: Path,
    *,
    settings: Path | None,
    sandbox: SandboxMode,
    engine: str | None,
    now: Callable[[], datetime],
    content: ContentStore | None = None,
    authority: Authority | None = None,
) -> Iterator[Prepared]:
    """Make the plan for the pipeline at `path` and judge it.

    With `content` the files of the source tree are stored while they are hashed, so that a run uses the bytes that
    were judged. `authority` is given where the caller has read it already. Raises `DocumentError` for a file that is
    no native pipeline and `SourceError` where the pipeline file changes while the tree is read.
    """
    root = find_root(path)
    if path.is_dir():
        raise UsageError("this is a folder, not a pipeline", where=str(path), fix="name the pipeline file in it")
    authority = authority or find_authority(settings, repository=root)
    relative = relative_to_root(path, root)
    pipeline_bytes = read_beneath(root, relative, max_bytes=MAX_PIPELINE_BYTES)
    pipeline = read_pipeline(relative, pipeline_bytes)
    if pipeline.native is None:
        raise DocumentError(
            "policyd runs its own pipelines; this one is for another system",
            where=relative,
            fix="use `policyd check` for it, or write a pipeline that begins with `policyd: pipeline/v1`",
        )
    source = _read_source(root, content, authority)
    if source.digest_of(relative) not in (None, sha256_hex(pipeline_bytes)):
        raise SourceError("the pipeline file changed while it was read", where=relative, fix="run policyd again")
    # Read once: what is planned by digest is what is judged by, at every gate of a run.
    waivers = load_waivers(root, authority)
    with open_judge(authority, find_project_settings(root), root=root, engine=engine, waivers=waivers) as judge:
        for file, digest in judge.project_files.items():
            if source.digest_of(file) not in (None, digest):
                raise SourceError("the project's policy changed while it was read", where=file, fix="run policyd again")
        plan = make_plan(
            pipeline.native,
            path=relative,
            content=pipeline_bytes,
            tools=plan_tools(pipeline.native, source, authority),
            circumstances=_circumstances(authority, judge, source, sandbox),
        )
        documents: list[bytes] = []
        decision = judge.judge_pipeline(
            pipeline, make_repository([pipeline]), now=now(), plan_sha256=plan.sha256, keep=documents.append
        )
        yield Prepared(root, authority, pipeline, source, plan, judge, decision, documents[0])


def _read_source(root: Path, content: ContentStore | None, authority: Authority | None) -> TreeManifest:
    operator = authority.settings if authority else None
    if content is None:
        return read_tree(root, operator=operator)
    with content.batch() as batch:
        return read_tree(root, put=batch.put_fd, operator=operator)


def _circumstances(
    authority: Authority | None, judge: Judge, source: TreeManifest, sandbox: SandboxMode
) -> Circumstances:
    return Circumstances(
        policy_set=judge.policy_set_ref,
        layers=judge.layer_refs,
        terms_sha256=sha256_hex(judge.terms.to_json()),
        settings_sha256=authority.settings_sha256 if authority else NO_AUTHORITY,
        trust_policy_sha256=authority.trust_sha256 if authority else NO_AUTHORITY,
        source=SourceTree(sha256=source.sha256, files=len(source.entries), commit=source.commit, clean=source.clean),
        # Verified requesters (signed requests, CI tokens) come with approvals; nothing is satisfied by this one.
        requester=Requester(identity="unverified", verified=False),
        governance=judge.governance,
        builder_id=authority.settings.builder_id if authority else SELF_BUILDER,
        sandbox=sandbox,
        helpers=_find_helpers(authority, sandbox),
        waivers=tuple(judge.waivers.files or ()),
    )


def _find_helpers(authority: Authority | None, sandbox: SandboxMode) -> dict[str, Sha256]:
    """Return the digests of the programs that a run calls, so that the plan and every decision on it name them."""
    configured = authority.settings.helpers if authority else Helpers()
    found = {"git": find_helper("git", configured.git)}
    if sandbox == "bwrap":
        found["bwrap"] = find_helper("bwrap", configured.bwrap)
    return {name: helper.sha256 for name, helper in found.items() if helper is not None}


def plan_tools(pipeline: PipelineFile, source: TreeManifest, authority: Authority | None) -> dict[str, PlannedTool]:
    """Return each `stage/tool` of the pipeline with the digest of its lock file or folder."""
    folders: dict[str, PlannedTool] = {}
    planned: dict[str, PlannedTool] = {}
    for stage in pipeline.stages:
        for tool in stage.tools:
            if tool.lock is not None:
                planned[f"{stage.name}/{tool.name}"] = _lock_tool(tool.name, tool.lock, stage.name, source)
                continue
            if tool.name not in folders:
                folders[tool.name] = _folder_tool(tool, stage.name, authority)
            planned[f"{stage.name}/{tool.name}"] = folders[tool.name]
    return planned


def _lock_tool(name: str, lock: str, stage: str, source: TreeManifest) -> PlannedTool:
    digest = source.digest_of(lock)
    if digest is None:
        raise DocumentError(
            f"the lock file {lock} of tool {name} is not in the source tree",
            where=f"stage {stage}",
            fix="add the file, or correct the path (relative to the project's root)",
        )
    return PlannedTool(name=name, kind="lock", path=lock, sha256=digest)


def _folder_tool(tool: Tool, stage: str, authority: Authority | None) -> PlannedTool:
    configured = authority.settings.tools.get(tool.name) if authority else None
    if configured is None:
        raise SettingsError(
            f"no folder is configured for the tool {tool.name}",
            where=f"stage {stage}",
            fix=f"add `tools: {{{tool.name}: /path}}` to operator settings, or give the tool a lock file",
        )
    assert authority is not None
    found = folder_tool(tool.name, Path(configured), forbidden=[Path(authority.settings.store)])
    return PlannedTool(name=tool.name, kind="folder", path=configured, sha256=found.sha256)
