"""Which runner labels are GitHub's own machines.

What nobody else runs has one of GitHub's labels. Every other label is given by whoever set the runner up: it may be a
larger runner of GitHub's under a name of one's own, but nothing in the file says so.

Source: docs.github.com "GitHub-hosted runners reference", "Larger runners reference", "Self-hosted runners reference".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_HOSTED = re.compile(r"(?:ubuntu|windows|macos|linux|win|mac)-(?:latest|\d|slim|vs|arm|server).*|ubuntu-.*")
#: Machines that providers make for each job, as GitHub does.
_PROVIDED = (
    "blacksmith-",
    "buildjet-",
    "depot-",
    "namespace-",
    "nscloud-",
    "warp-",
    "ubicloud",
    "cirun-",
    "runs-on",
    "runson",
    "codebuild-",
    "cirrus-",
    "ghcr.io/cirruslabs",
    "bullfrog-",
    "github-hosted",
    "shipfox-",
    "avalanche-",
)


def is_self_hosted(labels: Iterable[str]) -> bool:
    """Say whether a job may run on a machine of one's own. An expression that is not known here is not one."""
    return any(_is_own(label.strip().lower()) for label in labels)


def _is_own(label: str) -> bool:
    if not label or "${{" in label:
        return False
    return _HOSTED.fullmatch(label) is None and not label.startswith(_PROVIDED)
