"""Files that Azure's steps and tasks hand from job to job and from run to run.

Source: learn.microsoft.com "Publish and download pipeline artifacts"; task reference of `PublishPipelineArtifact@1`,
`PublishBuildArtifacts@1`, `DownloadPipelineArtifact@2`, `DownloadBuildArtifacts@1`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

_UPLOADS = {
    "publishpipelineartifact": (("artifact", "artifactname"), ("targetpath", "path")),
    "publishbuildartifacts": (("artifactname",), ("pathtopublish",)),
}
_DOWNLOADS = frozenset(("downloadpipelineartifact", "downloadbuildartifacts"))
_ELSEWHERE = frozenset(
    ("downloadpackage", "downloadgithubrelease", "downloadgithubnugetpackage", "downloadfileshareartifacts")
)
#: Folders that hold the working tree with its `.git`.
_WORKSPACE = re.compile(
    r"(?:\$\((?:Build\.SourcesDirectory|System\.DefaultWorkingDirectory|Build\.Repository\.LocalPath|Pipeline\.Workspace"
    r"|Agent\.BuildDirectory)\)(?:[/\\]s)?|\.|\*\*)?[/\\]?(?:\*\*?)?\Z",
    re.IGNORECASE,
)
_IN_TREE = re.compile(
    r"\$\((?:Build\.SourcesDirectory|System\.DefaultWorkingDirectory|Build\.Repository\.LocalPath)\)|\.?[/\\]?[^$/\\]",
    re.IGNORECASE,
)


class ArtifactStep(NamedTuple):
    """What a step does with an artifact."""

    direction: Literal["upload", "download"]
    name: str
    path: str
    foreign: bool = False  # of another run, pipeline or repository
    any_branch: bool = False  # of a run of any branch, pull requests included
    into_workspace: bool = False
    whole_workspace: bool = False
    text: str = ""

    @classmethod
    def upload(cls, name: str, path: str) -> ArtifactStep:
        """Return the step that publishes what lies at `path`."""
        return cls("upload", name, path, whole_workspace=_WORKSPACE.match(path.strip()) is not None)

    @classmethod
    def download(cls, name: str, path: str, *, foreign: bool, any_branch: bool) -> ArtifactStep:
        """Return the step that puts an artifact at `path`; without one it lies beside the working tree."""
        into = path.strip() != "" and _IN_TREE.match(path.strip()) is not None
        path = path or "$(Pipeline.Workspace)"
        return cls("download", name, path, foreign=foreign, any_branch=foreign and any_branch, into_workspace=into)


def find_artifact_step(task: str, inputs: Mapping[str, str]) -> ArtifactStep | None:
    """Return what a task does with an artifact, `None` if nothing; names are in lower case."""
    upload = _UPLOADS.get(task)
    if upload is not None:
        names, paths = upload
        return ArtifactStep.upload(_first(inputs, names), _first(inputs, paths))
    if task in _DOWNLOADS:
        source = _first(inputs, ("buildtype", "source", "buildtypes")).lower() or "current"
        foreign = source not in ("current", "")
        version = _first(inputs, ("runversion", "buildversiontodownload", "versiontodownload")).lower()
        branch = _first(inputs, ("runbranch", "branchname"))
        # `latestFromBranch` without a branch takes the default one.
        any_branch = version in ("", "latest") or (version == "latestfrombranch" and not _is_one_branch(branch))
        path = _first(inputs, ("targetpath", "path", "downloadpath"))
        return ArtifactStep.download(
            _first(inputs, ("artifact", "artifactname")), path, foreign=foreign, any_branch=any_branch
        )
    if task in _ELSEWHERE:
        path = _first(inputs, ("downloadpath", "targetpath"))
        return ArtifactStep.download("", path, foreign=True, any_branch=False)
    return None


def _first(inputs: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((inputs[name].strip() for name in names if inputs.get(name, "").strip()), "")


def _is_one_branch(branch: str) -> bool:
    return not branch or (branch.startswith("refs/heads/") and "*" not in branch and "$" not in branch)
