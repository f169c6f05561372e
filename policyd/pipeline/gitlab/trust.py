"""What GitLab's variables mean: which an outsider chooses, which hold a secret.

An outsider opens a merge request, so its title, branch name and commits are an outsider's texts, also once a member
starts its pipeline in the parent project, and commit messages stay so after the merge. `_SLUG` variables hold only
letters, digits and `-`.

Sources: docs.gitlab.com "Predefined CI/CD variables reference", "Use CI/CD variables with include", "CI/CD job token".
"""

from __future__ import annotations

import re
from collections.abc import Set

UNTRUSTED = frozenset(
    (
        "CI_COMMIT_AUTHOR",
        "CI_COMMIT_BRANCH",
        "CI_COMMIT_DESCRIPTION",
        "CI_COMMIT_MESSAGE",
        "CI_COMMIT_REF_NAME",
        "CI_COMMIT_TAG",
        "CI_COMMIT_TAG_MESSAGE",
        "CI_COMMIT_TITLE",
        "CI_BUILD_REF_NAME",
        "CI_BUILD_TAG",
        "CI_MERGE_REQUEST_DESCRIPTION",
        "CI_MERGE_REQUEST_LABELS",
        "CI_MERGE_REQUEST_MILESTONE",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_URL",
        "CI_MERGE_REQUEST_TITLE",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY",
        "GITLAB_USER_NAME",
        "CHAT_INPUT",
        "TRIGGER_PAYLOAD",
    )
)
#: Of these, the ones that GitLab expands in `include` and by `expand_vars`.
INCLUDE_UNTRUSTED = frozenset(("CI_COMMIT_REF_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_TAG", "CI_COMMIT_MESSAGE"))

#: Credentials that GitLab makes for the job itself.
JOB_TOKENS = frozenset(
    ("CI_JOB_TOKEN", "CI_BUILD_TOKEN", "CI_REGISTRY_PASSWORD", "CI_DEPENDENCY_PROXY_PASSWORD", "CI_REPOSITORY_URL")
)

#: Variables that name code of an outsider: its branch, its repository, the reference of the merge request.
OUTSIDERS_CODE = frozenset(
    (
        "CI_MERGE_REQUEST_REF_PATH",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_URL",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA",
        "CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY",
    )
)
_BRANCHES = frozenset(("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"))
_OUTSIDERS_REF = re.compile(r"(?:merge-requests|pull)/[^\s:'\"]*/(?:head|merge)\b")

#: What the value of a variable names: `$NAME`, `${NAME}`, `%NAME%`, and PowerShell's `$env:NAME`. `$$` stands for `$`.
_VARIABLE = re.compile(
    r"\$\$|\$(?:env:)?([A-Za-z_][A-Za-z0-9_]*)|\$\{(?:env:)?[#!]?([A-Za-z_][A-Za-z0-9_]*)|%([A-Za-z_][A-Za-z0-9_]*)%"
)

_SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|PAT|KEY|APIKEY|CREDENTIALS?|CREDS|KUBECONFIG"
    r"|AUTH_CONFIG|SECRET_ID|CONNECTION_STRING|WEBHOOK_URL)(?:_(?:B64|BASE64|FILE|JSON|PROD|PRODUCTION|STAGING|DEV|[0-9]+))?$|(?:TOKEN|PASSWORD)$|(?:^|_)(?:KEYSTORE|P12|PFX|SERVICE_ACCOUNT)_(?:B64|BASE64|JSON)$"
)
_NO_SECRET = re.compile(
    r"(?:^|_)(?:PUBLIC|PUB|CACHE|PROJECT|SORT|PRIMARY|FOREIGN|PARTITION|HOST|KNOWN|SHORT|ISSUE|OBJECT|S3|FILE)_KEY$"
    r"|^(?:PWD|OLDPWD|CACHE_KEY)$|_KEY_ID$|^CI_(?!JOB_TOKEN|BUILD_TOKEN|REGISTRY_PASSWORD|DEPENDENCY_PROXY_PASSWORD"
    r"|DEPLOY_PASSWORD)"
)


def find_variables(text: str) -> list[tuple[str, int, int]]:
    """Return the variables that a text names, in order and with repetitions, with where they stand."""
    if "$" not in text and "%" not in text:
        return []
    return [
        (name, found.start(), found.end())
        for found in _VARIABLE.finditer(text)
        if (name := found[1] or found[2] or found[3])
    ]


def variables_in(text: str) -> list[str]:
    """Return the variables that a text names, in order and with repetitions."""
    return [name for name, _, _ in find_variables(text)]


def is_secret_name(name: str) -> bool:
    """Say whether a variable that the file does not set is a secret, going by its name."""
    upper = name.upper()
    if upper.startswith("CI_JOB_JWT") or upper == "CI_REPOSITORY_URL":  # the job's token stands in the address
        return True
    return _SECRET.search(upper) is not None and _NO_SECRET.search(upper) is None


def names_fork(text: str, outside: Set[str] = frozenset()) -> bool:
    """Say whether a text names code that may lie outside of the project; a branch name alone does not."""
    if _OUTSIDERS_REF.search(text) is not None:
        return True
    return any(
        name in OUTSIDERS_CODE - _BRANCHES or (name in outside and name not in _BRANCHES) for name in variables_in(text)
    )


def names_outsiders_code(text: str, outside: Set[str] = frozenset()) -> bool:
    """Say whether a text names code of an outsider; `outside` are the variables that do."""
    if _OUTSIDERS_REF.search(text) is not None:
        return True
    return any(name in OUTSIDERS_CODE or name in outside for name in variables_in(text))
