"""Artifacts: which steps hand files on to other stages and runs, and which take them.

Sources: README of actions/upload-artifact, actions/download-artifact, dawidd6/action-download-artifact; manual of gh
(`gh run download`); docs.github.com "REST API endpoints for GitHub Actions artifacts".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policyd.pipeline.github.components import FOREIGN_DOWNLOADS
from policyd.pipeline.references import ParsedReference

_THIS_RUN = re.compile(r"^\$\{\{\s*github\.run_id\s*\}\}$")
_WORKSPACE = frozenset(
    (
        "",
        ".",
        "./",
        "*",
        "**",
        "./*",
        "./**",
        "**/*",
        "..",
        "$GITHUB_WORKSPACE",
        "${GITHUB_WORKSPACE}",
        "${{github.workspace}}",
    )
)
#: Since when hidden files, `.git` among them, stay out unless asked for: upload-artifact 4.4.0 and 3.2.0.
_HIDDEN_LEFT_OUT = {"4": 4, "3": 2}
_VERSION = re.compile(r"v?(\d{1,6})(?:\.(\d{1,6}))?")

_BY_COMMAND = re.compile(r"\bgh[ \t]+run[ \t]+download\b[^\n;|&]{0,400}")
_BY_API = re.compile(
    r"\bgh[ \t]+api\b[^\n]{0,200}/artifacts/[^\n]{0,200}|/artifacts/[^\n]{0,200}/zip\b|\barchive_download_url\b"
    r"|\bdownloadArtifact\b"
)
_FOLDER = re.compile(r"(?:--dir(?:ectory)?[= ]|-D[ =]?|-d[ =]?|-C[ =]?|-DestinationPath[ ])[ \t]*[\"']?([^\s\"';|&]+)")
_NAME = re.compile(r"(?:--name[= ]|-n[ =]?)[ \t]*[\"']?([^\s\"';|&]+)")
_UNZIP = re.compile(r"\b(?:unzip|tar|7z|bsdtar|Expand-Archive)\b[^\n;|&]{0,300}")


class ArtifactStep(NamedTuple):
    """What a step does with an artifact. `any_run` if it takes the latest of a workflow, whoever caused it."""

    upload: bool
    name: str
    paths: list[str]
    foreign: bool = False
    any_run: bool = False
    into_workspace: bool = False
    whole_workspace: bool = False
    packed: bool = False  # it lies there as an archive
    text: str = ""
    start: int = -1
    end: int = -1


def find_artifact_step(used: ParsedReference, inputs: Mapping[str, str], comment: str) -> ArtifactStep | None:
    """Return what an action does with an artifact, `None` if nothing. `inputs` are named in lower case."""
    slug = used.slug
    if slug == "actions/upload-artifact":
        paths = [line.strip() for line in inputs.get("path", "").splitlines() if line.strip()]
        hidden = _takes_hidden(used.ref, comment, inputs)
        whole = hidden and any(is_workspace(path) for path in paths)
        named_git = any(path.rstrip("/").endswith("/.git") or path.rstrip("/") == ".git" for path in paths)
        return ArtifactStep(True, inputs.get("name", "artifact"), paths, whole_workspace=whole or named_git)
    if slug == "actions/download-artifact":
        run, path = inputs.get("run-id", ""), inputs.get("path", "")
        foreign = bool(run) and not _THIS_RUN.match(run)
        name = inputs.get("name", "") or inputs.get("pattern", "")
        return ArtifactStep(False, name, [path or "."], foreign, into_workspace=is_workspace(path))
    if slug in FOREIGN_DOWNLOADS:
        run = inputs.get("run_id", "") or inputs.get("run-id", "")
        path = inputs.get("path", "")
        # Without a run, branch, commit or event it takes the latest of the workflow, a fork's among them.
        chosen = any(inputs.get(key) for key in ("run_id", "run-id", "branch", "commit", "event"))
        latest = inputs.get("allow_forks", "").lower() != "false" and (not chosen or bool(inputs.get("pr")))
        return ArtifactStep(
            False,
            inputs.get("name", ""),
            [path or "."],
            foreign=not _THIS_RUN.match(run),
            any_run=latest,
            into_workspace=is_workspace(path),
        )
    return None


def find_downloads_in_script(script: str, shell: str) -> Iterator[ArtifactStep]:
    """Return the artifacts that a script fetches by command or interface, with their place in it."""
    if "artifact" not in script.lower() and "run download" not in script:
        return
    for one in _BY_COMMAND.finditer(script):
        folder, name = _FOLDER.search(one[0]), _NAME.search(one[0])
        path = folder[1] if folder else ""
        yield _download(one, name[1] if name else "", path)
        return
    fetched = _BY_API.search(script)
    if fetched:
        unpacked = find_unpacked(script) if shell != "javascript" else None
        yield _download(fetched, "", unpacked or "")._replace(packed=unpacked is None)


def find_unpacked(script: str) -> str | None:
    """Return the folder that a script unpacks an archive into ("" for where it runs), `None` if it unpacks none."""
    unpacked = _UNZIP.search(script)
    if unpacked is None:
        return None
    folder = _FOLDER.search(unpacked[0])
    return folder[1] if folder else ""


def _download(one: re.Match[str], name: str, path: str) -> ArtifactStep:
    return ArtifactStep(
        False,
        name,
        [path or "."],
        foreign=True,
        into_workspace=is_workspace(path),
        text=one[0].strip(),
        start=one.start(),
        end=one.end(),
    )


def is_workspace(path: str) -> bool:
    """Say whether a path is the working tree itself."""
    plain = path.replace(" ", "").rstrip("/") if "${{" in path else path.strip().rstrip("/")
    return plain in _WORKSPACE or plain + "/" in _WORKSPACE


def _takes_hidden(ref: str, comment: str, inputs: Mapping[str, str]) -> bool:
    asked = inputs.get("include-hidden-files", "").strip().lower()
    if asked:
        return asked != "false"
    version = _VERSION.match(ref) if len(ref) < 40 else _VERSION.search(comment)
    if version is None:
        return False
    major, minor = version[1], version[2]
    since = _HIDDEN_LEFT_OUT.get(major)
    if since is None:
        return int(major) < 3
    return minor is not None and int(minor) < since
