"""What is known of actions by name: inputs they run as code, outputs an outsider writes, checks they make.

Names are `owner/repository` in lower case, or with the folder below it where the repository holds several actions.
What an action does to a stage (tests, publishes, runs the tree) is known to `pipeline.effects`, for all systems.

Sources: the `action.yml` and README of each action.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

#: Inputs that an action runs as code, by action, with the language: "javascript", or the shell that runs them here.
#: "" is for what runs elsewhere or in a language of its own.
CODE_INPUTS: dict[str, dict[str, str]] = {
    "actions/github-script": {"script": "javascript"},
    "cardinalby/js-eval-action": {"expression": "javascript"},
    "azure/cli": {"inlinescript": "bash"},
    "azure/powershell": {"inlinescript": "pwsh"},
    "amadevus/pwsh-script": {"script": "pwsh"},
    "addnab/docker-run-action": {"run": "sh", "options": ""},
    "devcontainers/ci": {"runcmd": "bash"},
    "gabrielbb/xvfb-action": {"run": "bash"},
    "coactions/setup-xvfb": {"run": "bash"},
    "nick-fields/retry": {"command": "bash", "on_retry_command": "bash", "new_command_on_retry": "bash"},
    "nick-invision/retry": {"command": "bash", "on_retry_command": "bash"},
    "wandalen/wretry.action": {"command": "bash"},
    "reactivecircus/android-emulator-runner": {"script": "sh", "pre-emulator-launch-script": "sh"},
    "uraimo/run-on-arch-action": {"run": "sh", "install": "sh", "setup": "bash"},
    "vmactions/freebsd-vm": {"run": "sh", "prepare": "sh"},
    "vmactions/openbsd-vm": {"run": "sh", "prepare": "sh"},
    "vmactions/netbsd-vm": {"run": "sh", "prepare": "sh"},
    "cross-platform-actions/action": {"run": "sh"},
    "lakehanne/docker-run-action": {"run": "sh"},
    "mathiasvr/command-output": {"run": "bash"},
    "sergeysova/jq-action": {"cmd": "bash"},
    "mikefarah/yq": {"cmd": "sh"},
    "appleboy/ssh-action": {"script": ""},
    "garygrossgarten/github-action-ssh": {"command": ""},
    "fifsky/ssh-action": {"command": ""},
    "cross-the-world/ssh-pipeline": {"script": ""},
    "jannekem/run-python-script-action": {"script": "python"},
    "roots/issue-closer-action": {"issue-close-message": "", "pr-close-message": ""},
    "octokit/request-action": {"route": ""},
}

#: The words of an image are a script when a shell takes them: `entrypoint: sh`, `args: -c "…"`.
_SHELL = re.compile(r"(?:/\S*/)?(?:ba|da|a|z)?sh\Z")
_GIVEN_TO_SHELL = re.compile(r"(?:^|\s)(?:(?:/\S*/)?(?:ba|da|a|z)?sh\s+)?-[a-z]*c\s")


def find_code_inputs(slug: str, given: Mapping[str, object]) -> Mapping[str, str] | None:
    """Return which inputs are code, with the language, `None` where none is known to be."""
    entrypoint, args = given.get("entrypoint"), given.get("args")
    if isinstance(args, str) and _GIVEN_TO_SHELL.search(args):
        if isinstance(entrypoint, str) and _SHELL.match(entrypoint.strip()):
            return {"args": ""}
        if entrypoint is None and _GIVEN_TO_SHELL.match(args) and "sh " in args.partition("-")[0]:
            return {"args": ""}
    return CODE_INPUTS.get(slug)


OutputKind = Literal["text", "sha", "ref", "file"]

#: Outputs that an outsider has a part in, by action: a text, or what names code. `*` stands for any name.
OUTPUTS: dict[str, dict[str, OutputKind]] = {
    "tj-actions/changed-files": {"*files*": "text", "*_keys": "text"},
    "tj-actions/verify-changed-files": {"changed_files": "text", "changed-files": "text"},
    "tj-actions/branch-names": {"*branch*": "text", "tag": "text"},
    "tj-actions/find-replace": {"value": "text"},
    "dorny/paths-filter": {"*_files": "text"},
    "jitterbit/get-changed-files": {"*": "text"},
    "trilom/file-changes-action": {"*": "text"},
    "lots0logs/gh-action-get-changed-files": {"*": "text"},
    "ahmadnassri/action-changed-files": {"*": "text"},
    "masesgroup/retrieve-changed-files": {"*": "text"},
    "tony84727/changed-file-filter": {"*": "text"},
    "the-coding-turtle/ga-file-changes": {"*": "text"},
    "yumemi-inc/changed-files": {"files": "text"},
    "technote-space/get-diff-action": {"diff": "text", "*files*": "text"},
    "xt0rted/pull-request-comment-branch": {"head_ref": "ref", "head_sha": "sha", "ref": "ref", "sha": "sha"},
    "alessbell/pull-request-comment-branch": {"head_ref": "ref", "head_sha": "sha"},
    "gotson/pull-request-comment-branch": {"head_ref": "ref", "head_sha": "sha"},
    "eficode/resolve-pr-refs": {"head_ref": "ref", "head_sha": "sha", "merge_ref": "ref"},
    "potiuk/get-workflow-origin": {
        "sourceheadbranch": "ref",
        "sourceheadsha": "sha",
        "sourceheadrepo": "ref",
        "mergecommitsha": "sha",
        "pullrequesttitle": "text",
        "pullrequestbody": "text",
    },
    "8bitjonny/gh-get-current-pr": {"pr_title": "text", "pr_body": "text", "pr_head_ref": "ref", "pr_head_sha": "sha"},
    "hub/pull-request-title": {"*": "text"},
    "khan/pull-request-comment-trigger": {"comment_body": "text"},
    "xt0rted/slash-command-action": {"command-arguments": "text"},
    "machine-learning-apps/actions-chatops": {"*": "text"},
    "peter-murray/issue-body-parser-action": {"*": "text"},
    "peter-murray/issue-forms-body-parser": {"*": "text"},
    "stefanbuck/github-issue-parser": {"*": "text"},
    "zentered/issue-forms-body-parser": {"*": "text"},
    "onmax/issue-form-parser": {"*": "text"},
    "cssnr/parse-issue-form-action": {"*": "text"},
    "amannn/action-semantic-pull-request": {"subject": "text", "scope": "text", "error_message": "text"},
    "frabert/replace-string-action": {"replaced": "text"},
    "edwardgeorge/jira-parse-action": {"*": "text"},
    "gajira/find-issue-key": {"*": "text"},
    "redhat-plumbers-in-action/download-artifact": {"*": "file"},
    "marocchino/on_artifact": {"*": "file"},
    "juliangruber/read-file-action": {"content": "file"},
    "andstor/file-reader-action": {"contents": "file"},
    "notiz-dev/github-action-json-property": {"prop": "file"},
    "jaywcjlove/github-action-read-file": {"content": "file"},
    "komorebitech/read-files-action": {"content": "file"},
}


def find_output_kind(slug: str, output: str) -> OutputKind | None:
    """Return what an output of an action is, `None` where nothing is known of it."""
    for pattern, kind in OUTPUTS.get(slug, {}).items():
        if fnmatchcase(output.lower(), pattern):
            return kind
    return None


#: Actions that ask the system what the actor may do: input that says what is asked for, and whether they fail.
PERMISSION_CHECKS: dict[str, tuple[str, bool]] = {
    "prince-chrismc/check-actor-permissions-action": ("permission", True),
    "lannonbr/repo-permission-check-action": ("permission", True),
    "actions-cool/check-user-permission": ("require", False),
    "sushichop/action-repository-permission": ("required-permission", True),
    "shogo82148/actions-check-permissions": ("permission", True),
    "scherermichael-oss/action-has-permission": ("required-permission", False),
    "qlik-oss/action-has-permission": ("required-permission", False),
    "74wny0wl/check-user-permission": ("permission", False),
    "xt0rted/slash-command-action": ("permission-level", True),
    "github/command": ("permissions", True),
    "tspascoal/get-user-teams-membership": ("team", False),
    "morfien101/actions-authorized-user": ("username", False),
    "im-open/is-actor-authorized": ("authorized-actors", False),
}
#: What a check may ask for that an outsider has too.
WEAK_PERMISSIONS = frozenset(("none", "read", "pull", "triage"))

#: Actions that check out as `actions/checkout` does, with its inputs.
CHECKOUTS = frozenset(
    (
        "actions/checkout",
        "taiki-e/checkout-action",
        "nschloe/action-cached-lfs-checkout",
        "namespacelabs/nscloud-checkout-action",
        "useblacksmith/checkout",
        "depot/checkout",
        "runs-on/checkout",
    )
)
#: Actions that fetch files of another run.
FOREIGN_DOWNLOADS = frozenset(
    (
        "dawidd6/action-download-artifact",
        "aochmann/actions-download-artifact",
        "levonet/action-download-last-artifact",
        "blablacar/action-download-last-artifact",
        "ishworkh/docker-image-artifact-download",
        "ishworkh/container-image-artifact-download",
        "marcofaggian/action-download-multiple-artifacts",
        "redhat-plumbers-in-action/download-artifact",
        "bettermarks/action-artifact-download",
        "benday-inc/download-latest-artifact",
        "mlugg/download-artifact",
    )
)
