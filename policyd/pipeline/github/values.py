"""Where the values that scripts make come from: variables, the event, the system's programming interface, files.

A script that asks for a pull request's title, or reads the file of the event, holds an outsider's text as much as
`${{ github.event.pull_request.title }}` does. What passes through a filter or a digest comes out harmless.

Sources: docs.github.com "Default environment variables", "Webhook events and payloads"; manual of gh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from policyd.pipeline.github.origins import NOTHING, Origin, join
from policyd.pipeline.github.reader import Scope

_VARIABLE = re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)|%([A-Za-z_][A-Za-z0-9_]*)%")
#: What lets only harmless characters through, or yields a digest or a number.
_HARMLESS = re.compile(
    r"\btr[ \t]+-(?:cd|dc|d[ \t]*-c)\b|\bsed\b[^|\n]{0,40}\[\^|//\[\^|\b(?:sha\d+sum|md5sum|cksum|wc|base64|basenc)\b"
    r"|\bjq\b[^|)\n]{0,100}\.(?:login|number|id|sha|headRefOid|node_id)['\"]?[ \t]*(?:<<<|[|)`\n]|\Z)"
    r"|\bgrep[ \t]+-\w*o\w*[ \t]+['\"]?(?:\\b|\^)?"
    r"(?:\[[0-9A-Za-z_-]+\](?:[+*]|\{[0-9,]+\})?)+(?:\\b|\$)?['\"]?(?=[ \t)|])"
    r"|\bgrep[ \t]+-\w*[cq]|\|[ \t]*length\b|%q|@sh\b|@uri\b|@base64\b"
)
_ASKS = re.compile(
    r"\bgh[ \t]+(?:pr|issue|api|run|release)\b|GITHUB_EVENT_PATH|github\.event_path|api\.github\.com|GITHUB_API_URL"
)
_SHA = re.compile(r"headRefOid|\.?head\.sha|head_sha|headSha|merge_commit_sha|potentialMergeCommit|\.head_commit\.id")
_REF = re.compile(r"headRefName|\.head\.(?:ref|label)|head_branch|headBranch|headRepository|\.head\.repo|headRefName")
_TEXT = re.compile(
    r"\bgh[ \t]+pr[ \t]+diff\b|\bfile(?:s|name)\b"
    r"|\b(?:title|body|message|displayTitle|display_title|comments|description|page_name|headRefName|headBranch)\b"
    r"|\.head\.(?:ref|label)|head_branch"
)
#: Takes a field out of an answer; a whole answer holds much that nobody chooses.
_FIELD = re.compile(r"[ \t]-q\b|--jq\b|--template\b|\|[ \t]*jq\b")
_GIT_TEXT = re.compile(
    r"\bgit[ \t]+(?:-\S+[ \t]+)*(?:log|show)\b[^|\n)]{0,200}%[Bbs]|%a[ne]\b"
    r"|\bgit[ \t]+(?:-\S+[ \t]+)*(?:diff|diff-tree)\b[^|\n)]{0,200}--name-(?:only|status)"
)
_READS_FILE = re.compile(
    r"(?:\$\(|`|\||^)[ \t]*(?:cat|head|tail|jq|yq|grep|sed|awk|<)[ \t]|\$\(<|readFileSync|readFile\(|Get-Content"
)

_JAVASCRIPT_TEXT = re.compile(
    r"\.(?:title|body|message|page_name|default_branch|description|display_title|head_branch|label)\b(?!s)|\.head\.ref\b|head_ref"
)
_JAVASCRIPT_REF = re.compile(r"\.head\.(?:ref|label|repo)\b|head_ref\b|\.head_branch\b|\.head_repository\b")
_JAVASCRIPT_SHA = re.compile(r"\.head\.sha\b|head_sha\b|merge_commit_sha\b|\.head_commit\.id\b")
_FROM_EVENT = re.compile(r"\bcontext\.payload\b|github\.event\b")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_OUTSIDERS_EVENTS = frozenset(
    (
        *("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment"),
        *("issue_comment", "issues", "discussion", "discussion_comment", "workflow_run", "workflow_call", "*"),
    )
)


def origin_of_shell(text: str, variables: Mapping[str, Origin], scope: Scope, *, foreign_files: bool) -> Origin:
    """Return where a piece of shell text comes from; expressions in it are the caller's to add."""
    found = []
    if variables and ("$" in text or "%" in text):
        for one in _VARIABLE.finditer(text):
            origin = variables.get(one[1] or one[2])
            if origin is not None and origin is not NOTHING:
                found.append(origin)
    if _ASKS.search(text):
        found.append(_of_answer(text, _SHA, _REF, _TEXT, scope, fresh=True))
    elif _GIT_TEXT.search(text) and not _MERGED_TREES.isdisjoint(scope.reach):
        found.append(Origin("git", _outside(scope)))
    if foreign_files and _READS_FILE.search(text):
        found.append(Origin("a file that an outsider wrote", _outside(scope), _outside(scope), mutable=True))
    origin = join(found)
    # A commit's digest of which only such characters are left still names the commit.
    if origin is not NOTHING and _HARMLESS.search(text):
        return Origin(code=origin.code, mutable=origin.mutable) if origin.code else NOTHING
    return origin


def origin_of_javascript(text: str, script: str, scope: Scope, *, foreign_files: bool) -> Origin:
    """Return where the value of a JavaScript expression comes from; `script` says what a name in it stands for."""
    name = _IDENTIFIER.fullmatch(text.strip())
    if name:
        assigned = re.search(rf"\b{re.escape(name[0])}\s{{0,20}}=(?!=)\s{{0,20}}([^;\n]{{1,500}})", script)
        text = assigned[1] if assigned else text
    if foreign_files and _READS_FILE.search(text):
        return Origin("a file that an outsider wrote", _outside(scope), _outside(scope), mutable=True)
    fresh = _FROM_EVENT.search(text) is None
    return _of_answer(text, _JAVASCRIPT_SHA, _JAVASCRIPT_REF, _JAVASCRIPT_TEXT, scope, fresh=fresh)


_MERGED_TREES = frozenset(("pull_request", "pull_request_review", "workflow_call", "*"))


def _outside(scope: Scope) -> frozenset[str]:
    return scope.outsiders & _OUTSIDERS_EVENTS


def _of_answer(
    text: str, sha: re.Pattern[str], ref: re.Pattern[str], free: re.Pattern[str], scope: Scope, *, fresh: bool
) -> Origin:
    """Return the origin of an answer; `fresh` if it was asked for now and not when the event came."""
    names_ref = ref.search(text) is not None
    names_code = names_ref or sha.search(text) is not None
    is_text = free.search(text)
    return Origin(
        text=is_text[0].lstrip(".") if is_text else "",
        events=_outside(scope) if is_text else frozenset(),
        code=frozenset(scope.reach) if names_code else frozenset(),
        mutable=names_ref or fresh,
        asked=_FIELD.search(text) is not None,
    )
