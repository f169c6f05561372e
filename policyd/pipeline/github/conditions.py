"""What an `if` asks for: under which events something runs, and what has to hold first.

A condition is asked event by event. `github.event_name == 'push' || github.event.pull_request.head.repo.full_name ==
github.repository` lets a push pass as it is and a pull request only from the same repository. What is joined by `&&`
adds up; of what is joined by `||` only what all sides ask for that can hold under the event.

Only what is sound counts: a bot's name under which others can run, a text that contains a name, or a list that holds
outsiders asks for nothing.

Sources: docs.github.com "Evaluate expressions in workflows and actions", "Contexts reference", "Webhook events and
payloads", GraphQL "CommentAuthorAssociation".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from policyd.models.facts import Guard
from policyd.pipeline.github.contexts import BASE_EVENTS, MERGE_EVENTS, can_carry, is_any
from policyd.pipeline.github.expressions import Node, literal_list
from policyd.pipeline.github.trust import EVENTS
from policyd.pipeline.guards import all_of, any_of

#: A guard; or "labeled", which goes with a label that is put on by the very event.
Asked = Literal[Guard, "labeled"]
Guards = frozenset[Asked]
#: The guards something asks for under each event that can start it.
Reach = Mapping[str, Guards]

NONE: Guards = frozenset()
LABELED: Guards = frozenset(("label", "labeled"))


class Known(NamedTuple):
    """What earlier steps and stages found out: outputs that say what the actor may do, and stages that succeeded."""

    checks: Mapping[str, Guard]  # by context: "steps.check.outputs"
    results: Mapping[str, Reach]  # by stage: what it asks for when it succeeds


NOTHING_KNOWN = Known({}, {})

#: Names of who started a run: whoever pushes last to a branch or re-runs it, not who wrote the code.
SPOOFABLE_ACTORS = frozenset(
    ("github.actor", "github.triggering_actor", "github.event.sender.login", "github.event.pull_request.sender.login")
)
SPOOFABLE_ACTOR_IDS = frozenset(("github.actor_id", "github.event.sender.id"))
_BOT_IDS = frozenset(("49699333", "27856297", "41898282"))
_AUTHORS = frozenset(
    (
        "github.event.pull_request.user.login",
        "github.event.pull_request.user.id",
        "github.event.comment.user.login",
        "github.event.comment.user.id",
        "github.event.issue.user.login",
        "github.event.review.user.login",
        "github.event.discussion.user.login",
        "github.event.workflow_run.actor.login",
        "github.event.workflow_run.triggering_actor.login",
        "github.actor_id",
        "github.event.sender.id",
    )
)
_ACTORS = SPOOFABLE_ACTORS | _AUTHORS
#: Whose repository a change comes from.
_HEAD_REPOSITORIES = frozenset(
    f"github.event.{head}.{field}"
    for head in ("pull_request.head.repo", "workflow_run.head_repository")
    for field in ("full_name", "id", "node_id", "owner.login", "owner.id", "url", "html_url", "clone_url", "git_url")
) | {"github.event.pull_request.head.user.login", "github.event.pull_request.head.user.id"}
_FORK_FLAGS = frozenset(("github.event.pull_request.head.repo.fork", "github.event.workflow_run.head_repository.fork"))
_ASSOCIATIONS = tuple(f"github.event.{part}.author_association" for part in ("comment", "issue", "review"))
_ASSOCIATION = frozenset(
    (*_ASSOCIATIONS, "github.event.pull_request.author_association", "github.event.discussion.author_association")
)
_INSIDERS = frozenset(("OWNER", "MEMBER", "COLLABORATOR"))
_OUTSIDERS = ("CONTRIBUTOR", "FIRST_TIMER", "FIRST_TIME_CONTRIBUTOR", "MANNEQUIN", "NONE")
_LABELS = frozenset(
    ("github.event.label.name", "github.event.pull_request.labels.*.name", "github.event.issue.labels.*.name")
)
_COMMENTS = frozenset(("github.event.comment.body", "github.event.review.body"))
_MERGED = frozenset(("github.event.pull_request.merged", "github.event.pull_request.merged_at"))
_REFS = frozenset(("github.ref", "github.ref_name"))
#: What an output says where the check failed.
_REFUSALS = frozenset(("", "false", "0", "none", "read", "no", "null", "denied"))
#: Lists that somebody with rights keeps.
_KEPT_LISTS = ("vars.", "secrets.", "env.", "fromjson")


def narrow(reach: Reach, root: Node | None, known: Known = NOTHING_KNOWN) -> Reach:
    """Return what is asked for where the condition `root` has to hold as well; events under which it can't are gone."""
    if root is None:
        return reach
    narrowed: dict[str, Guards] = {}
    for event, guards in reach.items():
        asked = required(root, event, known)
        if asked is not None:
            narrowed[event] = guards | asked
    return narrowed


def required(node: Node, event: str, known: Known = NOTHING_KNOWN, *, holds: bool = True) -> Guards | None:
    """Return what is asked for so that `node` is true (or false) under `event`; `None` where it can't be."""
    kind, name, below = node.kind, node.name, node.below
    if kind == "literal":
        return NONE if bool(node.value) is holds else None
    if kind == "not":
        return required(below[0], event, known, holds=holds is (len(name) % 2 == 0))
    if kind == "operator" and name in ("&&", "||"):
        sides = (required(side, event, known, holds=holds) for side in below)
        return all_of(sides) if (name == "&&") is holds else any_of(sides)
    if kind == "operator" and name in ("==", "!="):
        return _compared(below[0], below[1], event, known, holds=holds is (name == "=="))
    if kind == "call" and len(below) == 2 and name in ("contains", "startswith", "endswith"):
        return _contained(node, event, known, holds=holds)
    if kind == "context":
        return _truth(name, event, known, holds=holds)
    return NONE


def runs_after_failure(root: Node | None) -> bool:
    """Say whether a condition lets something run although what came before failed or was skipped."""
    pending = [root] if root is not None else []
    while pending:
        node = pending.pop()
        if node.kind == "call" and node.name in ("always", "failure", "cancelled"):
            return True
        pending.extend(node.below)
    return False


def checks_spoofable_actor(root: Node) -> bool:
    """Say whether the expression lets something pass because of a bot's name that others can run under."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.kind == "operator" and node.name == "==":
            names = {side.name for side in node.below if side.kind == "context"}
            literals = [_text(side) for side in node.below if side.kind == "literal"]
            if names & SPOOFABLE_ACTORS and any(text.lower().endswith("[bot]") for text in literals):
                return True
            if names & SPOOFABLE_ACTOR_IDS and any(text in _BOT_IDS for text in literals):
                return True
        elif node.kind == "call" and node.name in ("contains", "startswith", "endswith") and len(node.below) == 2:
            names = {side.name for side in node.below if side.kind == "context"}
            literals = [text for side in node.below for text in _texts(side)]
            if names & SPOOFABLE_ACTORS and any("bot" in text.lower() for text in literals):
                return True
        pending.extend(node.below)
    return False


def guards_under(reach: Reach) -> tuple[Guard, ...]:
    """Return what an outsider meets: what is asked for under each event that one can cause."""
    outside = [guards for event, guards in reach.items() if is_outsiders(event) and "event" not in guards]
    asked = outside or list(reach.values())
    guards = frozenset.intersection(*asked) if asked else NONE
    return tuple(sorted(guard for guard in guards if guard != "labeled"))


def can_change_behind_label(reach: Reach) -> bool:
    """Say whether a label lets something pass that was put on before the event: the code may have changed since."""
    return any("label" in guards and "labeled" not in guards for event, guards in reach.items() if is_outsiders(event))


_INSIDE = frozenset(event for event, known in EVENTS.items() if known.trust in ("trusted", "internal"))


def is_outsiders(event: str) -> bool:
    """Say whether an outsider can cause an event, or may be able to."""
    return event not in _INSIDE


def _given(guard: Asked, *, holds: bool) -> Guards:
    return frozenset((guard,)) if holds else NONE


def _text(node: Node) -> str:
    value = node.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value if isinstance(value, str) else ""


def _texts(node: Node) -> Iterator[str]:
    """Return the texts of a literal, or of a list written out as JSON."""
    if node.kind == "literal":
        yield _text(node)
    elif node.kind == "call" and node.name == "fromjson" and node.below and node.below[0].kind == "literal":
        yield from literal_list(_text(node.below[0]))


# Comparisons.


def _compared(left: Node, right: Node, event: str, known: Known, *, holds: bool) -> Guards | None:
    for side, other in ((left, right), (right, left)):
        if side.kind == "context":
            found = _equals(side.name, other, event, known, holds=holds)
            if found != NONE:
                return found
        elif side.kind != "literal" and other.kind == "literal" and isinstance(other.value, bool):
            return required(side, event, known, holds=holds is other.value)  # `contains(…) == true`
    return NONE


def _equals(context: str, other: Node, event: str, known: Known, *, holds: bool) -> Guards | None:
    literal = _text(other) if other.kind == "literal" else None
    if context == "github.event_name":
        return NONE if literal is None else _is_event(literal, event, holds=holds)
    if holds and literal and not can_carry(context, event):
        return None
    if context in _REFS and literal is not None:
        return _is_ref(literal, event, holds=holds)
    if context == "github.event.action" and literal is not None:
        return LABELED if holds and literal == "labeled" else NONE
    if context in _HEAD_REPOSITORIES:
        names = ("github.repository", "github.event.repository.", "github.event.pull_request.base.", "vars.", "env.")
        own = literal not in (None, "") or (other.kind == "context" and other.name.startswith(names))
        if holds and own and not can_carry(context, event):
            return None
        return _given("same-repository", holds=holds and own)
    if context in _FORK_FLAGS and literal is not None:
        return _given("same-repository", holds=holds is (literal in ("false", "0", "")))
    if context in _ACTORS:
        return _is_actor(context, other, literal, holds=holds)
    if context in _ASSOCIATION and literal is not None:
        return _given("association", holds=holds and literal.upper() in _INSIDERS)
    if context in _LABELS and literal:
        return _is_label(context, holds=holds)
    if context in _COMMENTS and literal:
        return _given("comment", holds=holds)
    if context in _MERGED and literal is not None:
        return _truth(context, event, known, holds=holds is (literal not in ("", "false", "0")))
    if context == "github.event.workflow_run.event" and literal is not None:
        inside = literal in EVENTS and EVENTS[literal].trust != "untrusted"
        return _given("event", holds=inside if holds else not inside)
    if context == "github.ref_protected" and literal is not None:
        return _truth(context, event, known, holds=holds is (literal == "true"))
    return _is_checked(context, literal, event, known, holds=holds)


def _is_label(context: str, *, holds: bool) -> Guards:
    if not holds:
        return NONE
    return LABELED if context == "github.event.label.name" else frozenset(("label",))


def _is_checked(context: str, literal: str | None, event: str, known: Known, *, holds: bool) -> Guards | None:
    steps = context.split(".")
    if steps[0] == "needs" and len(steps) == 3 and steps[2] == "result":
        succeeded = holds and literal == "success"
        return known.results.get(steps[1], {}).get(event, NONE) if succeeded else NONE
    guard = known.checks.get(context) or known.checks.get(".".join(steps[:3]))
    if guard is None or literal is None:
        return NONE
    return _given(guard, holds=holds is (literal.lower() not in _REFUSALS))


def _is_event(literal: str, event: str, *, holds: bool) -> Guards | None:
    if is_any(event):
        inside = literal in EVENTS and EVENTS[literal].trust in ("trusted", "internal")
        return _given("event", holds=holds and inside)
    return NONE if (literal.lower() == event) is holds else None


def _is_ref(literal: str, event: str, *, holds: bool, beginning: bool = False) -> Guards | None:
    if event in MERGE_EVENTS:
        # The ref is refs/pull/N/merge, whatever branch the change is for.
        pulls = "pull" in literal or (beginning and "refs/pull/".startswith(literal))
        return NONE if pulls or not holds else None
    if event in BASE_EVENTS:
        return NONE  # the ref is that of the default or base branch for everybody
    return _given("protected", holds=holds)


def _is_actor(context: str, other: Node, literal: str | None, *, holds: bool) -> Guards:
    if literal is not None:
        bot = literal.lower().endswith("[bot]") or literal in _BOT_IDS
        sound = bool(literal) and not (bot and context in SPOOFABLE_ACTORS | SPOOFABLE_ACTOR_IDS)
        return _given("actor", holds=holds and sound)
    kept = other.kind == "context" and other.name.startswith(("github.repository_owner", "vars.", "secrets.", "env."))
    return _given("actor", holds=holds and kept)


# Truth of a context, and functions.


def _truth(context: str, event: str, known: Known, *, holds: bool) -> Guards | None:
    if not can_carry(context, event):
        return None if holds else NONE
    if context in _MERGED:
        return _given("merged", holds=holds)
    if context in _FORK_FLAGS:
        return _given("same-repository", holds=not holds)
    if context == "github.ref_protected":
        if event in MERGE_EVENTS:
            return None if holds else NONE
        return _given("protected", holds=holds and event not in BASE_EVENTS)
    if context in ("github.event.pull_request", "github.head_ref", "github.base_ref") and not is_any(event):
        return NONE if holds else None
    guard = known.checks.get(context) or known.checks.get(".".join(context.split(".")[:3]))
    return _given(guard, holds=holds) if guard is not None else NONE


def _contained(node: Node, event: str, known: Known, *, holds: bool) -> Guards | None:
    whole, part = node.below
    texts = list(_texts(part))
    if whole.kind == "context" and texts:
        if whole.name in _REFS:
            return _is_ref(texts[0], event, holds=holds, beginning=True)
        if whole.name in _LABELS:
            return _is_label(whole.name, holds=holds)
        if whole.name in _COMMENTS:
            return _given("comment", holds=holds)
        if whole.name in _ASSOCIATION:
            # No other word of GitHub's holds one of these.
            return _given("association", holds=holds and texts[0].upper() in _INSIDERS)
        if whole.name == "github.event_name" and not is_any(event):
            says = {"contains": texts[0] in event, "startswith": event.startswith(texts[0])}
            return NONE if says.get(node.name, event.endswith(texts[0])) is holds else None
        if whole.name == "github.event.pull_request.head.label" and node.name == "startswith" and ":" in texts[0]:
            return _given("same-repository", holds=holds)
    if node.name == "contains" and part.kind == "context":
        return _in_list(whole, part, event, known, holds=holds)
    if node.name == "contains" and whole.kind == "call" and whole.name in ("join", "tojson") and texts:
        inside = {below.name for below in whole.below if below.kind == "context"}
        labels = inside & _LABELS or any(name.endswith(".labels") or ".labels." in name for name in inside)
        return _given("label", holds=holds and bool(labels))
    return NONE


def _in_list(whole: Node, part: Node, event: str, known: Known, *, holds: bool) -> Guards | None:
    """Return what `contains(list, context)` asks for."""
    if whole.kind == "literal":
        text = _text(whole)
        # Part of a text: sound only where what is looked for is one of a few words that GitHub chooses.
        if part.name == "github.event_name" and not is_any(event):
            return NONE if (event in text) is holds else None
        safe = part.name in _ASSOCIATION and not any(word in text.upper() for word in _OUTSIDERS)
        return _given("association", holds=holds and safe)
    texts = list(_texts(whole))
    if texts:
        sides = (_equals(part.name, Node("literal", "", text), event, known, holds=holds) for text in texts)
        return any_of(sides) if holds else all_of(sides)
    name = whole.below[0].name if whole.kind == "call" and whole.name == "fromjson" and whole.below else whole.name
    kept = name.startswith(_KEPT_LISTS)
    return _given("actor", holds=holds and kept and part.name in _ACTORS)
