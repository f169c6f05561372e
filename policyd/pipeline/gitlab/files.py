"""Files that GitLab jobs hand to each other: caches and artifacts.

Sources: docs.gitlab.com "Caching in GitLab CI/CD" (protected and unprotected caches), "Job artifacts".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from policyd.models.facts import ArtifactUse, Cache, EffectKind
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.effects.credentials import SETTINGS_FILES, is_credential_file
from policyd.pipeline.gitlab.job import Job
from policyd.pipeline.gitlab.parts import Part, entries_of
from policyd.pipeline.gitlab.reader import GitlabReader
from policyd.pipeline.gitlab.trust import variables_in


class FilesReader(GitlabReader):
    """Reads what a job takes along and leaves behind."""

    def caches(self, job: Job) -> None:
        """Write down what a job takes from caches and puts into them."""
        for item in self.configuration.items(job.entries.get("cache"), "`cache`"):
            fields = self.configuration.mapping(item, "a cache")
            paths = self._texts(fields.get("paths"), "`paths`")
            if not paths and "untracked" not in fields:
                continue
            policy = self.configuration.text(fields.get("policy"), "`policy`") or "pull-push"
            key = fields.get("key")
            if key is not None:
                self.all_marks(key, job.scope)
            text = "default" if key is None else self._key(self.configuration.resolve(key))
            if key is not None and not key.is_mapping:
                self.expansions(text, key, job.scope, "other")
            unprotect = fields.get("unprotect", item)
            mixes = "unprotect" in fields and self.configuration.resolve(unprotect).value is True
            self.book.caches.append(
                Cache(
                    at=self.book.at("caches", (unprotect if mixes else key or item).spot()),
                    stage=job.name,
                    text=", ".join(paths) or "untracked files",
                    key=text,
                    paths=paths,
                    restores=policy != "push",
                    saves=policy != "pull",
                    # Otherwise GitLab keeps caches of protected branches and of all others apart.
                    untrusted=mixes,
                    publishes=False,
                )
            )

    def _key(self, part: Part) -> str:
        if not part.is_mapping:
            return self.configuration.text(part, "`key`")
        fields = entries_of(part)
        prefix = self.configuration.text(fields.get("prefix"), "`prefix`")
        files = [name for key in ("files", "files_commits") for name in self._texts(fields.get(key), f"`{key}`")]
        return " ".join((*([prefix] if prefix else []), *files))

    def artifacts(self, job: Job) -> None:
        """Write down the files that a job leaves for others, and what its reports say that it does."""
        part = job.entries.get("artifacts")
        fields = self.configuration.mapping(part, "`artifacts`")
        if part is None or not fields:
            return
        self.all_marks(part, job.scope)
        items = self.configuration.items(fields.get("paths"), "`paths`")
        paths = [self.configuration.text(item, "an entry of `paths`") for item in items]
        excluded = self._texts(fields.get("exclude"), "`exclude`")
        untracked = "untracked" in fields and fields["untracked"].value is True
        if paths or untracked:
            # The one that takes along what it should not, where there is one.
            found = next((item for item, path in zip(items, paths, strict=True) if _tells(path, excluded)), None)
            self.book.artifacts.append(
                ArtifactUse(
                    at=self.book.at("artifacts", (found or fields.get("paths", part)).spot()),
                    stage=job.name,
                    text=", ".join(paths) or "untracked files",
                    name=self.configuration.text(fields.get("name"), "`name`") or job.name,
                    paths=paths,
                    direction="upload",
                    untrusted=job.untrusted,
                    foreign=False,
                    into_workspace=False,
                    whole_workspace=takes_git(paths, excluded),
                )
            )
        reports = self.configuration.mapping(fields.get("reports"), "`reports`")
        for name, below in reports.items():
            if name in _REPORTS:
                self.effects([FoundEffect(_REPORTS[name], f"reports: {name}")], below, job.scope)

    def downloads(self, job: Job) -> None:
        """Write down artifacts that a job asks for by name; those of earlier stages come without."""
        for item in self.configuration.items(job.entries.get("needs"), "`needs`"):
            if not item.is_mapping:
                continue
            fields = entries_of(item)
            taken = fields.get("artifacts")
            if taken is not None and taken.value is False:
                continue
            project = self.configuration.text(fields.get("project"), "`project`")
            pipeline = self.configuration.text(fields.get("pipeline"), "`pipeline`")
            name = self.configuration.text(fields.get("job"), "`job`")
            if name and (project or pipeline or taken is not None):
                self._download(job, item, name, foreign=bool(project or pipeline), project=project, fields=fields)
        for item in self.configuration.items(job.entries.get("dependencies"), "`dependencies`"):
            self._download(job, item, self.configuration.text(item, "a job"), foreign=False)

    def _download(
        self,
        job: Job,
        item: Part,
        name: str,
        *,
        foreign: bool,
        project: str = "",
        fields: Mapping[str, Part] | None = None,
    ) -> None:
        ref = self.configuration.text((fields or {}).get("ref"), "`ref`")
        self.book.artifacts.append(
            ArtifactUse(
                at=self.book.at("artifacts", item.spot()),
                stage=job.name,
                text=f"{project}:{name}@{ref}" if project else name,
                name=name,
                paths=[],
                direction="download",
                untrusted=foreign and any(used in job.scope.tainted for used in variables_in(ref)),
                foreign=foreign,
                into_workspace=True,
                whole_workspace=False,
            )
        )


#: What a report says that a job does.
_REPORTS: dict[str, EffectKind] = {
    "api_fuzzing": "scan",
    "container_scanning": "scan",
    "coverage_fuzzing": "scan",
    "coverage_report": "test",
    "cyclonedx": "sbom",
    "dast": "scan",
    "dependency_scanning": "scan",
    "junit": "test",
    "sast": "scan",
    "secret_detection": "scan",
}


def _tells(path: str, excluded: Sequence[str]) -> bool:
    return takes_git([path], excluded) or is_credential_file(path) or SETTINGS_FILES.search(path) is not None


_WHOLE = frozenset(("", "*", "**", "**/*", "*/**"))
_GIT_FOLDER = re.compile(r"(?:^|/)\.git(?:/.*)?$")


def takes_git(paths: Sequence[str], excluded: Sequence[str]) -> bool:
    """Say whether artifact paths take the folder `.git` along, which holds the token that fetched the source."""
    if any(_GIT_FOLDER.search(path) for path in excluded):
        return False
    for path in paths:
        plain = path.replace("${CI_PROJECT_DIR}", ".").replace("$CI_PROJECT_DIR", ".")
        while plain.startswith("./"):
            plain = plain[2:]
        plain = plain.rstrip("/")
        if plain in _WHOLE or plain == "." or _GIT_FOLDER.search(plain):
            return True
    return False
