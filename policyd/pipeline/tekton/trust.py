"""What events bring: who can cause them, which of their fields an outsider writes, and which name an outsider's code.

Sources: tekton.dev "EventListeners", "TriggerBindings"; docs.github.com "Webhook events and payloads"; docs.gitlab.com
"Webhook events"; support.atlassian.com "Event payloads"; pipelinesascode.com "Authoring PipelineRun", "Matching a
PipelineRun to a Git provider event".
"""

from __future__ import annotations

import re
from functools import lru_cache

from policyd.models.facts import Trust
from policyd.pipeline.tekton.origins import NOTHING, Origin

#: The event of a run that can be any.
ANY_EVENT = "*"
#: Events that somebody without write access can cause.
_OUTSIDE = re.compile(
    r"pull_?request|merge[ _]request|issue|comment|note(?:[ _]hook)?$|review|discussion|fork|watch|star|gollum"
    r"|^pr:|^pullrequest:|patchset",
    re.IGNORECASE,
)
_INSIDE = re.compile(
    r"push|tag|release|create|delete|deployment|incoming|status|check_|workflow_|pipeline|job|ping|schedule", re.I
)


def trust_of(event: str, *, authenticated: bool) -> Trust:
    """Return who can cause an event. Where nothing proves who calls, anyone can."""
    if not authenticated or _OUTSIDE.search(event):
        return "untrusted"
    return "internal" if _INSIDE.search(event) else "unknown"


_TEXTS = re.compile(
    r"""(?x)
    (?:pull_request|issue|review|comment|review_comment|discussion)\.(?:title|body)
    | pull_request\.head\.(?:ref|label|repo\.(?:description|homepage|default_branch))
    | changes\.(?:title|body|head\.ref)\.from
    | (?:workflow_run|check_suite)\.(?:head_branch|display_title)
    | (?:(?:workflow_run|merge_group)\.)?head_commit\.(?:message|(?:author|committer)\.(?:name|email))
    | (?:commits\.(?:\*|\d+)|commit)\.(?:message|title|(?:author|committer)\.(?:name|email))
    | pages\.(?:\*|\d+)\.(?:title|page_name)
    | client_payload\.pull_request\.(?:title|body|head\.ref)
    # GitLab
    | object_attributes\.(?:title|description|source_branch|note)
    | merge_request\.(?:title|description|source_branch)
    | (?:object_attributes|merge_request)\.last_commit\.(?:message|title|author\.(?:name|email))
    | user\.name | user_name
    # Bitbucket
    | pull[rR]equest\.(?:title|description|source\.branch\.name|fromRef\.(?:displayId|id))
    | comment\.(?:content\.(?:raw|html)|text)
    | push\.changes\.(?:\*|\d+)\.(?:new|commits\.(?:\*|\d+))\.(?:target\.)?message
    # Gerrit
    | change\.(?:subject|commitMessage|topic|hashtags(?:\.(?:\*|\d+))?)
    | (?:patchSet\.(?:author|uploader)|change\.owner|author|uploader)\.name
    """
)
#: Parts that hold such a text somewhere below.
_WHOLE = frozenset(
    (
        "",
        "pull_request",
        "pull_request.head",
        "pull_request.head.repo",
        "issue",
        "comment",
        "review",
        "head_commit",
        "commits",
        "commits.*",
        "object_attributes",
        "merge_request",
        "pullrequest",
        "pullRequest",
        "push",
        "changes",
    )
)
_CODE = re.compile(
    r"""(?x)
    pull_request\.(?:head\.(?P<sha1>sha)|head\..+|(?P<sha2>merge_commit_sha)|patch_url|diff_url)
    | issue\.pull_request\..+
    | (?:workflow_run|check_suite|check_run)\.(?:(?P<sha3>head_sha)|head_.+)
    | client_payload\.pull_request\.head\..+
    | (?:object_attributes|merge_request)\.(?:last_commit\.(?P<sha4>id)|source(?:_branch|\..+))
    | pullrequest\.source\.(?:commit\.(?P<sha5>hash)|.+)
    | pull[rR]equest\.fromRef\.(?:(?P<sha6>latestCommit)|.+)
    | patchSet\.(?:(?P<sha7>revision|ref)|number)
    """
)


@lru_cache(maxsize=2048)
def origin_in_body(path: str) -> Origin:
    """Return the origin of a field of an event that proved where it came from; `path` begins with `body`."""
    rest = path.removeprefix("body").removeprefix(".")
    text = _TEXTS.fullmatch(rest) is not None or rest in _WHOLE
    code = _CODE.fullmatch(rest)
    mutable = code is not None and not any(code.groups())
    return Origin(text=path if text else "", code=code is not None, mutable=mutable, field=path)


#: Variables of Pipelines-as-Code in a run that a pull request or a comment started. The owner of the fork chooses
#: neither its commit nor its address freely enough to write commands with them; the name of a branch is free.
_TEMPLATES: dict[str, Origin] = {
    "source_branch": Origin(text="source_branch", code=True, mutable=True),
    "trigger_comment": Origin(text="trigger_comment"),
    "source_url": Origin(code=True, mutable=True),
    "revision": Origin(code=True),
}


def origin_of_template(name: str, *, outside: bool) -> Origin:
    """Return the origin of `{{ name }}`. `outside`: in a run that an outsider's pull request or comment can start."""
    if name.startswith("body") and name[4:5] in ("", "."):
        return origin_in_body(name)
    if name.startswith("cel:"):
        # An expression: what it is made of is named in it.
        found = [origin_in_body(one) for one in re.findall(r"body(?:\.[A-Za-z_]\w*)+", name[:1000])]
        return next((one for one in found if one.text), NOTHING)
    return _TEMPLATES.get(name, Origin(field=name)) if outside else Origin(field=name)


#: A pull or merge request by its number: `pull/7/head`, `refs/merge-requests/$ID/merge`.
_PULL_REF = re.compile(
    r"(?:pull|merge-requests|pull-requests)/"
    r"(?:\{\{[^{}\r\n]{0,80}\}\}|\$\([^()\r\n]{0,80}\)|\$\{\w{1,80}\}|\$(?![({])|[^\s:'\"/{$]){1,80}"
    r"/(?:head|merge|from)\b"
)


def names_pull_request(text: str) -> bool:
    """Say whether a text names a pull request as git does: an outsider's code, whoever starts the run."""
    return ("/head" in text or "/merge" in text or "/from" in text) and _PULL_REF.search(text) is not None
