"""Tekton: tasks, pipelines, their runs, triggers, and runs of Pipelines-as-Code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.input import PipelineKind
    from policyd.pipeline.front_end import FrontEndRead, Included


def kind_by_path(path: str) -> PipelineKind | None:
    """Return what Pipelines-as-Code takes the file at `path` for: whatever lies in `.tekton/`."""
    folders, _, name = path.rpartition("/")
    return "pipeline" if name.endswith((".yml", ".yaml")) and ".tekton" in folders.split("/") else None


def kind_by_content(_path: str, content: bytes) -> PipelineKind | None:
    """Return what the objects at the beginning of a file are, `None` where none of them is Tekton's.

    What stands indented is an object of its own in a list of objects only; elsewhere it is part of another program's.
    """
    if b"tekton.dev/" not in content:
        return None
    version, kind = (_LISTED_VERSION, _LISTED_KIND) if _LIST.search(content) else (_VERSION, _KIND)
    if content.lstrip()[:1] == b"{":
        version, kind = _JSON_VERSION, _JSON_KIND
    if version.search(content) is None:
        return None
    kinds = {found[1].decode("utf-8", "replace") for found in kind.finditer(content)}
    return next((known for names, known in _KINDS if not names.isdisjoint(kinds)), None)


def read(path: str, content: bytes, kind: PipelineKind, _included: Included) -> FrontEndRead:
    """Return the facts of a file of objects. Raises `DocumentError` where Tekton's are not of its shape."""
    from policyd.pipeline.tekton.file import read_file

    return read_file(path, content, kind)


_VALUE = rb"[\"']?apiVersion[\"']?[ \t]*:[ \t]*[\"']?(?:triggers\.)?tekton\.dev/"
_NAME = rb"[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?([A-Za-z]+)"
_VERSION = re.compile(rb"^" + _VALUE, re.MULTILINE)
_KIND = re.compile(rb"^" + _NAME, re.MULTILINE)
_LISTED_VERSION = re.compile(rb"^[ \t]*(?:-[ \t]+)?" + _VALUE, re.MULTILINE)
_LISTED_KIND = re.compile(rb"^[ \t]*(?:-[ \t]+)?" + _NAME, re.MULTILINE)
#: Of JSON, where all may stand in one line: whatever stands within is seen as well.
_JSON_VERSION = re.compile(_VALUE)
_JSON_KIND = re.compile(_NAME)
_LIST = re.compile(rb"^[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?List\b", re.MULTILINE)
#: What a file is, by the kinds of its objects; the first that fits counts.
_KINDS: tuple[tuple[frozenset[str], PipelineKind], ...] = (
    (frozenset(("Pipeline", "PipelineRun")), "pipeline"),
    (frozenset(("TriggerTemplate", "EventListener", "Trigger")), "trigger"),
    (frozenset(("Task", "ClusterTask", "TaskRun")), "task"),
    (frozenset(("StepAction",)), "action"),
    (frozenset(("TriggerBinding", "ClusterTriggerBinding", "Interceptor", "ClusterInterceptor")), "trigger"),
)
