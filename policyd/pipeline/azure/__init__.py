"""Azure Pipelines: `azure-pipelines.yml` and its templates."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.input import PipelineKind
    from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(path: str) -> PipelineKind | None:
    """Return what a project by custom takes the file at `path` for; Azure Pipelines itself is told a path."""
    *folders, name = path.lower().split("/")
    if not name.endswith((".yml", ".yaml")) or name.startswith("dependabot."):
        return None
    if _NAME.match(name):
        return "pipeline"
    if not _FOLDERS.isdisjoint(folders) or (".azuredevops", "pipelines") in pairwise(folders):
        return "template" if any("template" in part for part in (*folders, name)) else "pipeline"
    return None


def kind_by_content(path: str, content: bytes) -> PipelineKind | None:
    """Return what a file elsewhere looks like: only Azure's words at the top, and stages, jobs or steps below."""
    keys = {found[1].decode("utf-8", "replace") for found in _TOP_KEY.finditer(content)}
    if not keys or not keys <= _KEYS or not _looks_so(keys, content):
        return None
    starts = not keys.isdisjoint(_OF_PIPELINES)
    return "pipeline" if starts and "template" not in path.lower() else "template"


def read(path: str, content: bytes, kind: PipelineKind, included: Included) -> FrontEndRead:
    """Return the facts of a pipeline or template. Raises `DocumentError` where it is none."""
    from policyd.pipeline.azure.pipelines import find_pipeline_facts
    from policyd.pipeline.azure.templates import Templates
    from policyd.pipeline.front_end import FrontEndRead
    from policyd.pipeline.yaml_reader import read_yaml_with_places

    document = read_yaml_with_places(content, file=path)
    templates = Templates(path, document, included)
    facts, source_map = find_pipeline_facts(templates, kind)
    return FrontEndRead(document.value, facts, source_map, missing=tuple(dict.fromkeys(templates.missing)))


_NAME = re.compile(r"azure[-_]?pipelines?(?:[-_.].*)?\.ya?ml\Z|\.?vsts[-.]ci\.ya?ml\Z|\.azure-pipelines.*\.ya?ml\Z")
_FOLDERS = frozenset((".azure-pipelines", "azure-pipelines", ".azurepipelines", ".azure_pipelines", ".vsts-ci"))
_TOP_KEY = re.compile(rb"^[\"']?([A-Za-z_][^\s:\"'#]*)[\"']?[ \t]*:(?=\s|\Z)", re.MULTILINE)
_OF_PIPELINES = frozenset(("trigger", "pr", "schedules", "pool", "resources", "extends", "name"))
_KEYS = _OF_PIPELINES | {
    "appendCommitMessageToRunName",
    "container",
    "continueOnError",
    "jobs",
    "lockBehavior",
    "parameters",
    "services",
    "stages",
    "steps",
    "strategy",
    "variables",
    "workspace",
    "timeoutInMinutes",
}
_STEP = re.compile(
    rb"^[ \t]*-[ \t]+(?:task|script|bash|pwsh|powershell|checkout|download|publish|template)[ \t]*:", re.MULTILINE
)
_JOB = re.compile(rb"^[ \t]*-[ \t]+(?:job|deployment|template)[ \t]*:", re.MULTILINE)
_STAGE = re.compile(rb"^[ \t]*-[ \t]+(?:stage|template)[ \t]*:", re.MULTILINE)
_EXTENDS = re.compile(rb"^extends[ \t]*:[ \t]*(?:#[^\n]*)?\r?\n[ \t]+(?:template|parameters)[ \t]*:", re.MULTILINE)
_VARIABLE = re.compile(rb"^[ \t]*-[ \t]+(?:group|template|name)[ \t]*:", re.MULTILINE)
_INSERTED = re.compile(rb"^[ \t]*-[ \t]+\$\{\{", re.MULTILINE)


def _looks_so(keys: set[str], content: bytes) -> bool:
    if "extends" in keys and _EXTENDS.search(content):
        return True
    for key, items in (("stages", _STAGE), ("jobs", _JOB), ("steps", _STEP)):
        if key in keys and (items.search(content) or ("parameters" in keys and _INSERTED.search(content))):
            return True
    return keys <= {"variables", "parameters"} and "variables" in keys and _VARIABLE.search(content) is not None
