"""GitLab CI: `.gitlab-ci.yml`, the files it includes, and components."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyd.models.input import PipelineKind
    from policyd.pipeline.front_end import FrontEndRead, Included

MAX_JOB_BYTES = 2048  # looked at to each side of a `script`
MAX_SCRIPTS = 12  # looked at in a file to tell whether it is GitLab's


def kind_by_path(path: str) -> PipelineKind | None:
    """Return what GitLab, or a project by custom, takes the file at `path` for; it looks at nothing else.

    GitLab itself knows `.gitlab-ci.yml` alone. `*.gitlab-ci.yml` and what lies in `.gitlab/ci/` are files to include.
    """
    folders, name = path.split("/")[:-1], path.rpartition("/")[2]
    if name in (".gitlab-ci.yml", ".gitlab-ci.yaml"):
        return "pipeline"
    if name.endswith((".gitlab-ci.yml", ".gitlab-ci.yaml")):
        return "template"
    if name.endswith((".yml", ".yaml")) and (".gitlab", "ci") in pairwise(folders):
        return "template"
    return None


def kind_by_content(path: str, content: bytes) -> PipelineKind | None:
    """Return what a file elsewhere looks like: inputs with a body, or jobs with a script and GitLab's other words."""
    has_spec = content.startswith(b"spec") or b"\nspec" in content
    if not has_spec and _SCRIPT.search(content) is None:
        return None
    keys = {found[1].decode("utf-8", "replace") for found in _TOP_KEY.finditer(content)}
    if not keys.isdisjoint(_OTHERS) or (b"on" in content and {"on", "jobs"} <= keys):
        return None
    if has_spec and "spec" in keys and _INPUTS.search(content) and (keys == {"spec"} or _SEPARATOR.search(content)):
        return "component"
    if not _has_job(content):
        return None
    return "pipeline" if "stages" in keys or "workflow" in keys else "template"


def read(path: str, content: bytes, kind: PipelineKind, included: Included) -> FrontEndRead:
    """Return the facts of a pipeline, template or component. Raises `DocumentError` where it is none."""
    from policyd.pipeline.front_end import FrontEndRead
    from policyd.pipeline.gitlab.configuration import read_configuration
    from policyd.pipeline.gitlab.pipelines import find_pipeline_facts

    strict = kind == "pipeline" and path.rpartition("/")[2].startswith(".gitlab-ci.")
    configuration = read_configuration(path, content, included, strict=strict)
    facts, source_map, links = find_pipeline_facts(configuration)
    return FrontEndRead(
        configuration.document, facts, source_map, missing=tuple(dict.fromkeys(configuration.missing)), links=links
    )


_TOP_KEY = re.compile(rb"^[\"']?([A-Za-z_.$][^\s:\"'#]*)[\"']?[ \t]*:(?=\s|$)", re.MULTILINE)
_INPUTS = re.compile(
    rb"^spec[ \t]*:[ \t]*(?:#[^\n]*)?\r?\n(?:[ \t]*+(?:#[^\n]*)?\r?\n)*+[ \t]+inputs[ \t]*:", re.MULTILINE
)
_SEPARATOR = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
#: Top-level keys that other programs' files have and GitLab's have not.
_OTHERS = frozenset(
    (
        "apiVersion",  # Kubernetes, Tekton
        "kind",
        "version",  # Compose, CircleCI
        "orbs",
        "policyd",
        "pool",  # Azure
        "resources",
        "parameters",
        "steps",
        "language",  # Travis
        "runs",  # a GitHub action
        "pipelines",  # Bitbucket
        "package",  # a conda recipe
        "hosts",
        "swagger",
        "openapi",
    )
)
#: What stands beside `script` in a job of GitLab and hardly elsewhere.
_BESIDE = frozenset(
    (
        b"after_script",
        b"allow_failure",
        b"artifacts",
        b"before_script",
        b"cache",
        b"coverage",
        b"dependencies",
        b"environment",
        b"except",
        b"extends",
        b"image",
        b"interruptible",
        b"needs",
        b"only",
        b"parallel",
        b"retry",
        b"rules",
        b"stage",
        b"tags",
        b"when",
    )
)
_SCRIPT = re.compile(rb"\n( +)script[ \t]*:")


def _has_job(content: bytes) -> bool:
    """Say whether a top-level mapping has `script`, and beside it another word of GitLab's jobs."""
    for found in islice(_SCRIPT.finditer(content), MAX_SCRIPTS):
        names = set(_names_beside(content, found.start() + 1, found[1]))
        if not names.isdisjoint(_BESIDE):
            return True
    return False


def _names_beside(content: bytes, position: int, indent: bytes) -> Iterator[bytes]:
    """Yield the keys of the mapping that the line at `position` belongs to, if it is one of the top level.

    Looks no further than a job reaches, so that a long file with many scripts takes no longer.
    """
    before = content[max(0, position - MAX_JOB_BYTES) : position - 1].split(b"\n")[::-1]
    after = content[position : position + MAX_JOB_BYTES].split(b"\n")
    keys: list[bytes] = []
    for line in before:
        if line[:1] not in b" \t\r#":
            break
        depth = len(line) - len(line.lstrip(b" "))
        if line.strip() and depth < len(indent) and line.lstrip()[:1] != b"#":
            return  # deeper than a job's own keys
        if depth == len(indent):
            keys.append(line.strip().partition(b":")[0].rstrip())
    for line in after:
        if line[:1] not in b" \t\r#":
            break
        if line.startswith(indent) and line[len(indent) : len(indent) + 1] != b" ":
            keys.append(line.strip().partition(b":")[0].rstrip())
    yield from keys
