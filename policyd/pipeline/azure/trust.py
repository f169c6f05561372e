"""What Azure's predefined variables mean: which an outsider chooses, which hold a secret, which code they name.

An outsider opens a pull request from a fork. In a build of one, branch and commits are an outsider's; commit messages
stay so after the merge. Branch names of other builds are chosen by whoever may push.

Sources: learn.microsoft.com "Use predefined variables", "Build GitHub repositories" (contributions from forks),
"Securely use variables and parameters in your pipeline", "Set secret variables".
"""

from __future__ import annotations

import re
from typing import Literal

#: When a variable holds an outsider's text: in builds of pull requests, unless the branch is fixed, or always.
Carries = Literal["pull-request", "branch", "always", ""]

_CARRIES: dict[str, Carries] = {
    "build.sourceversionmessage": "always",
    "build.sourceversionauthor": "always",
    "build.sourcebranch": "branch",
    "build.sourcebranchname": "branch",
    "build.requestedfor": "branch",
    "build.requestedforemail": "branch",
    "build.queuedby": "branch",
    "system.pullrequest.pullrequestid": "",
    "system.pullrequest.pullrequestnumber": "",
    "system.pullrequest.pullrequestiteration": "",
    "system.pullrequest.isfork": "",
    "system.pullrequest.mergedat": "",
    "system.pullrequest.sourcecommitid": "",
    "system.pullrequest.targetbranch": "",
    "system.pullrequest.targetbranchname": "",
    "system.pullrequest.targetrepositoryuri": "",
}
#: Variables whose value names code of an outsider.
_CODE = frozenset(
    (
        "system.pullrequest.sourcebranch",
        "system.pullrequest.sourcebranchname",
        "system.pullrequest.sourcecommitid",
        "system.pullrequest.sourcerepositoryuri",
    )
)
ACCESS_TOKEN = "System.AccessToken"  # noqa: S105  # a name

#: First pieces of the names that Azure itself gives.
_PREDEFINED = frozenset(
    (
        "agent",
        "build",
        "checks",
        "common",
        "environment",
        "pipeline",
        "release",
        "resources",
        "strategy",
        "system",
        "tf",
    )
)
#: What a script can read of them, by the name in the environment.
ENVIRONMENT: dict[str, str] = {
    name.upper().replace(".", "_"): name
    for name in (
        "build.sourceversionmessage",
        "build.sourceversionauthor",
        "build.sourcebranch",
        "build.sourcebranchname",
        "build.requestedfor",
        "build.requestedforemail",
        "build.queuedby",
        "system.pullrequest.sourcebranch",
        "system.pullrequest.sourcebranchname",
        "system.pullrequest.sourcecommitid",
        "system.pullrequest.sourcerepositoryuri",
    )
}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|PAT|KEY|APIKEY|CREDENTIALS?|CREDS|KUBECONFIG"
    r"|CONNECTION_?STRING|SAS)(?:_(?:B64|BASE64|JSON|PROD|PRODUCTION|STAGING|DEV|TEST|[0-9]+))?$|(?:TOKEN|PASSWORD|SECRET)$"
)
_NO_SECRET = re.compile(
    r"(?:^|_)(?:PUBLIC|PUB|CACHE|PROJECT|SORT|PRIMARY|FOREIGN|PARTITION|KNOWN|SHORT|ISSUE|OBJECT)_KEY$|^PWD$|^KEY$"
)
_OUTSIDERS_REF = re.compile(r"\bpull(?:-requests)?/(?:\$\{\{[^}\n]{0,200}\}\}|[^\s:'\"]){0,200}/(?:head|merge|from)\b")


def carries(name: str) -> Carries:
    """Say when a predefined variable (any case) holds an outsider's text; "" for never and for other names."""
    lower = name.lower()
    known = _CARRIES.get(lower)
    if known is not None:
        return known
    if lower.startswith(("system.pullrequest.", "build.pullrequest.")):
        return "pull-request"
    if lower.startswith(("resources.pipeline.", "build.triggeredby.")):
        return "branch" if lower.endswith((".sourcebranch", ".requestedfor", ".requestedforemail", ".runname")) else ""
    return ""


def names_code(name: str) -> bool:
    """Say whether the value of a variable names code of an outsider."""
    return name.lower() in _CODE


def names_outsiders_ref(text: str) -> bool:
    """Say whether a text writes out the reference of a pull request."""
    return "pull" in text and _OUTSIDERS_REF.search(text) is not None


def is_predefined(name: str) -> bool:
    """Say whether Azure itself gives a variable."""
    first, dot, _ = name.lower().partition(".")
    return dot != "" and first in _PREDEFINED


def is_secret_name(name: str) -> bool:
    """Say whether a variable that the file does not set is a secret, going by its name."""
    snake = _CAMEL.sub("_", name.rpartition(".")[2]).replace("-", "_").upper()
    return _SECRET.search(snake) is not None and _NO_SECRET.search(snake) is None


def environment_name(name: str) -> str:
    """Return the name under which scripts find a variable in their environment."""
    return name.upper().replace(".", "_").replace(" ", "_")
