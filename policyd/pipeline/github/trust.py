"""What GitHub's events and tokens mean: who can start a workflow, and what it may then do.

Sources: docs.github.com "Events that trigger workflows", "Secure use reference", "Workflow syntax for GitHub
Actions" (`permissions`), "Use GITHUB_TOKEN for authentication in workflows".
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from policyd.models.facts import Trust


class Event(NamedTuple):
    """Who can cause an event, and whether it runs with the secrets and token of the repository nevertheless."""

    trust: Trust
    privileged: bool


_OUTSIDE = Event("untrusted", privileged=False)
_OUTSIDE_PRIVILEGED = Event("untrusted", privileged=True)
_INSIDE = Event("internal", privileged=False)
_UNKNOWN = Event("unknown", privileged=False)

EVENTS: dict[str, Event] = {
    # A fork can cause these; the token then only reads and there are no secrets.
    "pull_request": _OUTSIDE,
    "pull_request_review": _OUTSIDE,
    "pull_request_review_comment": _OUTSIDE,
    # Anyone can cause these, and the run has secrets and a token that may write.
    "pull_request_target": _OUTSIDE_PRIVILEGED,
    "workflow_run": _OUTSIDE_PRIVILEGED,
    "issue_comment": _OUTSIDE_PRIVILEGED,
    "issues": _OUTSIDE_PRIVILEGED,
    "discussion": _OUTSIDE_PRIVILEGED,
    "discussion_comment": _OUTSIDE_PRIVILEGED,
    "fork": _OUTSIDE_PRIVILEGED,
    "watch": _OUTSIDE_PRIVILEGED,
    "gollum": _OUTSIDE_PRIVILEGED,
    # These take write access, or come from GitHub.
    "branch_protection_rule": _INSIDE,
    "check_run": _INSIDE,
    "check_suite": _INSIDE,
    "create": _INSIDE,
    "delete": _INSIDE,
    "deployment": _INSIDE,
    "deployment_status": _INSIDE,
    "image_version": _INSIDE,
    "label": _INSIDE,
    "merge_group": _INSIDE,
    "milestone": _INSIDE,
    "page_build": _INSIDE,
    "project": _INSIDE,
    "project_card": _INSIDE,
    "project_column": _INSIDE,
    "public": _INSIDE,
    "push": _INSIDE,
    "registry_package": _INSIDE,
    "release": _INSIDE,
    "repository_dispatch": _INSIDE,
    "status": _INSIDE,
    "workflow_dispatch": _INSIDE,
    "schedule": Event("trusted", privileged=False),
    # Whatever the caller was started by.
    "workflow_call": _UNKNOWN,
}


def find_event(name: str) -> Event:
    """Return what is known of an event; `unknown` for one that is not in the table."""
    return EVENTS.get(name, _UNKNOWN)


#: What `read-all` and `write-all` grant.
SCOPES = (
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
#: Scopes that have one access only; the rest of a `*-all` grant stops there.
_NO_READ = frozenset(("id-token",))
_NO_WRITE = frozenset(("models",))

Access = Literal["read", "write", "none"]


def expand_all(access: Access) -> list[tuple[str, Access]]:
    """Return what `read-all` or `write-all` grants, scope by scope."""
    if access == "write":
        return [(scope, "read" if scope in _NO_WRITE else "write") for scope in SCOPES]
    return [(scope, "read") for scope in SCOPES if scope not in _NO_READ]
