"""What tasks that everybody knows do: those of Tekton's catalog, by name, whatever version is used.

A pipeline that uses a task from elsewhere shows its name and parameters only. `runs` says that it runs code, build
files or configuration of the working tree it is given.

Source: github.com/tektoncd/catalog, `task/`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from policyd.models.facts import EffectKind


class KnownTask(NamedTuple):
    """What a task does. `checks_out`: it puts source into its workspace."""

    does: tuple[EffectKind, ...] = ()
    runs: bool = False
    checks_out: bool = False


_CHECKOUT = re.compile(r"(?:^|-)git-(?:clone|checkout|fetch|batch-merge|init)(?:-|$)|^(?:clone|checkout)(?:-|$)")
#: By the beginning of the name; the first that fits counts.
_KNOWN: tuple[tuple[str, KnownTask], ...] = (
    ("maven", KnownTask(("build", "test"), runs=True)),
    ("gradle", KnownTask(("build", "test"), runs=True)),
    ("npm", KnownTask(("build",), runs=True)),
    ("yarn", KnownTask(("build",), runs=True)),
    ("golang-test", KnownTask(("test",), runs=True)),
    ("golang-build", KnownTask(("build",), runs=True)),
    ("golangci-lint", KnownTask(("scan",), runs=True)),
    ("python-", KnownTask(("test",), runs=True)),
    ("pytest", KnownTask(("test",), runs=True)),
    ("flake8", KnownTask(("scan",))),
    ("pylint", KnownTask(("scan",), runs=True)),
    ("eslint", KnownTask(("scan",), runs=True)),
    ("make", KnownTask(("build",), runs=True)),
    ("ruby-", KnownTask(("test",), runs=True)),
    ("rust-", KnownTask(("build",), runs=True)),
    ("ansible-", KnownTask(("deploy",), runs=True)),
    ("terraform", KnownTask(("deploy",), runs=True)),
    ("buildah", KnownTask(("package", "publish"), runs=True)),
    ("kaniko", KnownTask(("package", "publish"), runs=True)),
    ("docker-build", KnownTask(("package", "publish"), runs=True)),
    ("buildkit", KnownTask(("package", "publish"), runs=True)),
    ("buildpacks", KnownTask(("package", "publish"), runs=True)),
    ("s2i", KnownTask(("package", "publish"), runs=True)),
    ("jib-", KnownTask(("package", "publish"), runs=True)),
    ("ko", KnownTask(("package", "publish"), runs=True)),
    ("trivy", KnownTask(("scan",))),
    ("grype", KnownTask(("scan",))),
    ("sonarqube", KnownTask(("scan",))),
    ("snyk", KnownTask(("scan",), runs=True)),
    ("syft", KnownTask(("sbom",))),
    ("cosign", KnownTask(("sign",))),
    ("skopeo-copy", KnownTask(("publish",))),
    ("kubernetes-actions", KnownTask(("deploy",))),
    ("kubectl-deploy", KnownTask(("deploy",))),
    ("openshift-client", KnownTask(("deploy",))),
    ("kustomize", KnownTask(("deploy",))),
    ("helm-upgrade", KnownTask(("deploy",))),
    ("argocd-task-sync", KnownTask(("deploy",))),
    ("create-github-release", KnownTask(("publish",))),
    ("github-release", KnownTask(("publish",))),
)
_UNKNOWN = KnownTask()


def find_known_task(name: str) -> KnownTask:
    """Return what a task of this name does; nothing where it is not known."""
    if _CHECKOUT.search(name):
        return KnownTask(checks_out=True)
    for beginning, known in _KNOWN:
        if name.startswith(beginning) and (beginning.endswith("-") or name[len(beginning) :][:1] in ("", "-", "0")):
            return known
    return _UNKNOWN
