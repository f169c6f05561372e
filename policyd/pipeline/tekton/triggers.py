"""What starts runs: listeners for events with their triggers, and annotations of Pipelines-as-Code.

A trigger hands fields of an event, by way of bindings, to the parameters of a template, whose runs it makes. Its
interceptors prove where an event comes from, and filter. Where none compares a secret, anyone who reaches the listener
writes the event, all of it.

Pipelines-as-Code proves events itself. It runs a stranger's pull request once a member has said so in a comment, for
that pull request and whatever it becomes later, so such runs are taken for what a stranger can start.

Sources: tekton.dev "EventListeners", "Interceptors", "Triggers", "TriggerBindings"; pipelinesascode.com "Matching a
PipelineRun to a Git provider event", "Running the PipelineRun".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from policyd.models.facts import Guard, Trigger
from policyd.pipeline.links import Argument
from policyd.pipeline.source_map import Spot
from policyd.pipeline.tekton.filters import (
    NONE,
    Guards,
    Reach,
    checks_secret,
    events_named,
    find_values,
    is_spoofable,
    narrow,
)
from policyd.pipeline.tekton.objects import Part, TektonObject
from policyd.pipeline.tekton.origins import Origin, join
from policyd.pipeline.tekton.reader import Origins, Scope
from policyd.pipeline.tekton.tasks import TaskReader
from policyd.pipeline.tekton.trust import ANY_EVENT, origin_in_body, trust_of

PAC = "pipelinesascode.tekton.dev/"


@dataclass(frozen=True, slots=True)
class Start:
    """One way in which a run begins: under which events, and what they give to the parameters of a template."""

    reach: Reach
    proved: bool = True
    params: Origins = field(default_factory=dict)

    @property
    def outsiders(self) -> list[str]:
        """The events that a stranger can cause."""
        return [event for event in self.reach if trust_of(event, authenticated=self.proved) == "untrusted"]

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What a stranger meets on the way."""
        return common_guards([self.reach[event] for event in self.outsiders])

    @property
    def stale(self) -> bool:
        """Whether a label that was put on before the event lets something pass: the code may have changed since."""
        return any("label" in self.reach[event] and "labeled" not in self.reach[event] for event in self.outsiders)


def common_guards(given: Sequence[Guards]) -> tuple[Guard, ...]:
    """Return what is asked for on every way."""
    common = frozenset.intersection(*given) if given else NONE
    return tuple(sorted(guard for guard in common if guard != "labeled"))


@dataclass(slots=True)
class _Checks:
    """What the interceptors of a trigger say together."""

    events: list[tuple[str, Part]] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    overlays: list[tuple[str, str]] = field(default_factory=list)
    proved: bool = False


class TriggerReader(TaskReader):
    """Reads listeners, triggers and bindings, and says how templates are started."""

    bindings: Mapping[str, TektonObject]
    triggers: Mapping[str, TektonObject]
    templates_here: frozenset[str]  # templates of the file, by name

    def listeners(self, objects: Sequence[TektonObject]) -> dict[str, list[Start]]:
        """Write down what starts runs; return for each template, by name, how it is started.

        Templates that triggers write in place are kept in `inline_templates`.
        """
        self.inline_templates: list[tuple[Part, Start]] = []
        starts: dict[str, list[Start]] = defaultdict(list)
        named: set[str] = set()
        groups: list[_Checks] = []
        unproved: set[str] = set()
        for listener in objects:
            if listener.kind != "EventListener":
                continue
            fields = self.entries(listener.spec, "`spec`")
            for item in self.items(fields.get("triggers"), "`triggers`"):
                trigger = self.entries(item, "a trigger")
                reference = self.text(trigger.get("triggerRef"), "`triggerRef`")
                if reference:
                    named.add(reference)
                    found = self.triggers.get(reference)
                    if found is None:
                        self.starts_elsewhere.append(({_NAME: reference}, False))
                        continue
                    trigger, item = self.entries(found.spec, "`spec`"), self.named_part(found)
                self._trigger(trigger, item, [], starts, unproved)
            for _, group, item in self.named(fields.get("triggerGroups"), "`triggerGroups`"):
                checks = self._checks(group.get("interceptors"), Scope())
                groups.append(checks)
                self._note_start(group, proved=checks.proved)
                if not self.triggers:
                    self._write_triggers(self._reach(checks, ""), checks, item, [])
        for name, found in self.triggers.items():
            if name not in named:
                first = len(self.book.triggers)
                self._trigger(self.entries(found.spec, "`spec`"), self.named_part(found), groups[:1], starts, unproved)
                labels = self._labels(self.below(found.root, "an object", "metadata", "labels")) | {_NAME: name}
                open_ones = range(first, len(self.book.triggers))
                self.unproved += [(one, labels) for one in open_ones if not self.book.triggers[one].authenticated]
        for binding in self.bindings.values():
            params = self.below(binding.spec, "`spec`", "params")
            self.given(params, Scope(event_proved=binding.name not in unproved))
            if binding.name:
                self._offer(f"binding/{binding.name}", params, Scope(event_proved=True))
                self._offer(f"open-binding/{binding.name}", params, Scope(event_proved=False))
        return starts

    def _note_start(self, group: Mapping[str, Part], *, proved: bool) -> None:
        """Note which triggers of other files a group starts; one that asks for more than labels proves nothing."""
        selector = self.entries(group.get("triggerSelector"), "`triggerSelector`").get("labelSelector")
        asked = self.entries(selector, "`labelSelector`")
        proved = proved and "matchExpressions" not in asked
        self.starts_elsewhere.append((self._labels(asked.get("matchLabels")), proved))

    def _labels(self, part: Part | None) -> dict[str, str]:
        return {name: self.text(value, "a label") for name, value in self.entries(part, "labels").items()}

    def named_part(self, found: TektonObject) -> Part:
        """Return the name of an object, where a reader looks for it, the object itself where it has none."""
        metadata = self.entries(found.root, "an object").get("metadata")
        return self.entries(metadata, "`metadata`").get("name", found.root)

    def _offer(self, name: str, params: Part | None, scope: Scope) -> None:
        """Note what of an outsider a binding holds, for triggers of other files that use it."""
        for parameter, fields, _ in self.named(params, "`params`"):
            value = fields.get("value")
            if value is None:
                continue
            origin = self.origin_of(value.value, scope)
            if origin.text or origin.code:
                self.arguments.append(
                    Argument(name, parameter, origin.text, origin.code, frozenset(), "", Spot(value.path))
                )

    def _trigger(
        self,
        fields: Mapping[str, Part],
        part: Part,
        groups: Sequence[_Checks],
        starts: dict[str, list[Start]],
        unproved: set[str],
    ) -> None:
        checks = self._checks(fields.get("interceptors"), Scope())
        for group in groups:
            checks.events = checks.events or group.events
            checks.filters = group.filters + checks.filters
            checks.overlays = group.overlays + checks.overlays
            checks.proved |= group.proved
        scope = Scope(event_proved=checks.proved, overlays=self._overlays(checks))
        params: dict[str, Origin] = {}
        written: list[str] = []
        for item in self.items(fields.get("bindings"), "`bindings`"):
            binding = self.entries(item, "a binding")
            params |= self._binding(binding, item, scope, written, unproved)
        template = self.entries(fields.get("template"), "`template`")
        reach = self._reach(checks, " ".join([*written, *checks.filters]))
        self._write_triggers(reach, checks, part, list(params))
        start = Start(reach, checks.proved, params)
        name = self.text(template.get("ref") or template.get("name"), "`template`")
        if "spec" in template:
            self.inline_templates.append((template["spec"], start))
        elif name:
            starts[name].append(start)
            self._join(name, fields, part, start)

    def _join(self, template: str, fields: Mapping[str, Part], part: Part, start: Start) -> None:
        """Note that a trigger starts a template, and with which bindings, where these lie in other files."""
        callee = f"template/{template}"
        if template not in self.templates_here:
            self.call(callee, start.params, Spot(part.path), Scope())
            self.calls[-1] = replace(
                self.calls[-1],
                untrusted=bool(start.outsiders),
                powers=True,
                writes=True,
                guards=start.guards,
                fed=list(start.reach) == [ANY_EVENT],
            )
        for item in self.items(fields.get("bindings"), "`bindings`"):
            binding = self.entries(item, "a binding")
            name = self.text(binding.get("ref") or binding.get("name"), "`ref`")
            if name and "value" not in binding and "spec" not in binding and name not in self.bindings:
                self.feeds.append((f"binding/{name}" if start.proved else f"open-binding/{name}", callee))

    def _binding(
        self, binding: Mapping[str, Part], item: Part, scope: Scope, written: list[str], unproved: set[str]
    ) -> dict[str, Origin]:
        name = self.text(binding.get("name"), "`name`")
        if "value" in binding:
            single = Part([item.value], item.path)
            written.append(str(binding["value"].value)[:500])
            self.all_expressions(binding["value"], scope, "input")
            return self.origins_given(single, scope)
        if "spec" in binding:
            params = self.below(binding["spec"], "`spec`", "params")
            written += _texts(params)
            return self.given(params, scope)
        found = self.bindings.get(self.text(binding.get("ref"), "`ref`") or name)
        if found is None:
            return {}
        if not scope.event_proved:
            unproved.add(found.name)
        params = self.below(found.spec, "`spec`", "params")
        written += _texts(params)
        return self.origins_given(params, scope)

    # Interceptors.

    def _checks(self, part: Part | None, scope: Scope) -> _Checks:
        checks = _Checks()
        for item in self.items(part, "`interceptors`"):
            for kind, options in self._interceptors(self.entries(item, "an interceptor")):
                if kind in ("github", "gitlab", "bitbucket"):
                    secret = options.get("secretRef")
                    checks.proved |= secret is not None and secret.value is not None
                    for event in self.items(options.get("eventTypes"), "`eventTypes`"):
                        checks.events.append((self.text(event, "an event"), event))
                elif kind == "cel":
                    text = self.text(options.get("filter"), "`filter`")
                    if text:
                        checks.filters.append(text)
                        checks.proved |= checks_secret(text)
                        spot = Spot(options["filter"].path)
                        self.book.condition(text, spot, scope.stage, spoofable_actor=is_spoofable(text))
                    for overlay in self.items(options.get("overlays"), "`overlays`"):
                        fields = self.entries(overlay, "an overlay")
                        expression = self.text(fields.get("expression"), "`expression`")
                        checks.overlays.append((self.text(fields.get("key"), "`key`"), expression))
                elif kind:
                    # A service of their own, which may well check who calls.
                    checks.proved = True
        return checks

    def _interceptors(self, fields: Mapping[str, Part]) -> Iterator[tuple[str, dict[str, Part]]]:
        """Yield the kinds of an interceptor with its options, in the old way of writing and the new."""
        for kind in ("github", "gitlab", "bitbucket", "cel"):
            if kind in fields:
                yield kind, self.entries(fields[kind], f"`{kind}`")
        if "webhook" in fields:
            yield "webhook", {}
        if "ref" in fields:
            name = self.text(self.below(fields["ref"], "`ref`", "name"), "`name`")
            options = {}
            for key, below, _ in self.named(fields.get("params"), "`params`"):
                if "value" in below:
                    options[key] = below["value"]
            # Slack's only takes parts out of the event.
            yield ("" if name == "slack" else name), options

    @staticmethod
    def _overlays(checks: _Checks) -> dict[str, Origin]:
        found = {}
        for key, expression in checks.overlays:
            text = expression[:2000]
            # The last name before a bracket is a function's.
            paths = [
                one[0].rpartition(".")[0] if text[one.end() : one.end() + 1] == "(" else one[0]
                for one in _FIELD.finditer(text)
            ]
            found[key] = join(origin_in_body(path) for path in paths)
            if not checks.proved and paths:
                found[key] = replace(found[key], text=paths[0])
        return found

    @staticmethod
    def _reach(checks: _Checks, texts: str) -> Reach:
        events = [event for event, _ in checks.events]
        if not events:
            events = [event for text in checks.filters for event in events_named(text)]
        if not events:
            events = [event for sign, event in _SIGNS if sign in texts][:1] or [ANY_EVENT]
        reach: Reach = dict.fromkeys(events, NONE)
        for text in checks.filters:
            reach = narrow(reach, text)
        return reach

    def _write_triggers(self, reach: Reach, checks: _Checks, part: Part, parameters: list[str]) -> None:
        # Where nothing proves who calls, the trigger as a whole is at fault, and not an event of it.
        places = dict(checks.events) if checks.proved else {}
        types = list(dict.fromkeys(one for text in checks.filters for one in find_values(text, "body.action")))
        for event in reach:
            trust = trust_of(event, authenticated=checks.proved)
            self.book.triggers.append(
                Trigger(
                    at=self.book.at("triggers", Spot(places[event].path if event in places else part.path)),
                    stage="",
                    event="webhook" if event == ANY_EVENT else event,
                    trust=trust,
                    # Every run has the service account and the secrets of its namespace, whoever starts it.
                    privileged=trust == "untrusted",
                    types=types,
                    parameters=parameters,
                    authenticated=checks.proved,
                )
            )

    # Pipelines-as-Code.

    def annotations(self, found: TektonObject) -> dict[str, Part]:
        """Return the annotations of Pipelines-as-Code, without their beginning."""
        metadata = self.entries(found.root, "an object").get("metadata")
        annotations = self.entries(self.below(metadata, "`metadata`", "annotations"), "`annotations`")
        return {name.removeprefix(PAC): part for name, part in annotations.items() if name.startswith(PAC)}

    def annotated(self, annotations: Mapping[str, Part]) -> Start | None:
        """Write down the events that annotations name; return how the run is started, `None` where nothing says."""
        events: dict[str, Part] = {}
        filter_part = annotations.get("on-cel-expression")
        guards: Guards = NONE
        filter_text = self.text(filter_part, "an annotation")
        if filter_part is not None and filter_text:
            self.book.condition(filter_text, Spot(filter_part.path), "", spoofable_actor=is_spoofable(filter_text))
            events |= dict.fromkeys(("pull_request", "push", "incoming"), filter_part)
        elif "on-event" in annotations:
            part = annotations["on-event"]
            events |= dict.fromkeys(self._names(part), part)
            if self._names(annotations.get("on-label")):
                guards = frozenset(("label",))
        reach: Reach = dict.fromkeys(events, guards)
        if filter_text:
            reach = narrow(reach, filter_text)
        if self.text(annotations.get("on-comment"), "an annotation"):
            events["issue_comment"] = annotations["on-comment"]
            reach = {**reach, "issue_comment": frozenset(("comment",))}
        if not reach:
            return None
        branches = self._names(annotations.get("on-target-branch"))
        for event in reach:
            trust = trust_of(event, authenticated=True)
            self.book.triggers.append(
                Trigger(
                    at=self.book.at("triggers", Spot(events[event].path)),
                    stage="",
                    event=event,
                    trust=trust,
                    privileged=trust == "untrusted",
                    branches=[] if filter_text else branches,
                )
            )
        return Start(reach)

    def _names(self, part: Part | None) -> list[str]:
        """Return the names of an annotation: one, several between commas, also in brackets."""
        if part is not None and isinstance(part.value, list):
            return [self.text(item, "a name") for item in self.items(part, "an annotation")]
        words = self.text(part, "an annotation").strip().removeprefix("[").removesuffix("]").split(",")
        return [word.strip().strip("\"'") for word in words if word.strip()]


#: Stands for the name of a trigger among its labels.
_NAME = "metadata.name"
#: What a binding reads shows which event it is written for.
_SIGNS = (
    ("body.pull_request", "pull_request"),
    ("body.pullrequest", "pullrequest"),
    ("body.pullRequest", "pullrequest"),
    ("body.object_attributes", "merge_request"),
    ("body.merge_request", "merge_request"),
    ("body.comment", "issue_comment"),
    ("body.issue", "issues"),
    ("body.head_commit", "push"),
    ("body.commits", "push"),
    ("body.checkout_sha", "push"),
    ("body.after", "push"),
    ("body.release", "release"),
)
_FIELD = re.compile(r"\b(?:body|header)(?:\.[A-Za-z_]\w*)*")


def _texts(part: Part | None) -> list[str]:
    """Return the values that a list of parameters gives, as text."""
    if part is None or not isinstance(part.value, list):
        return []
    return [str(one.get("value"))[:500] for one in part.value if isinstance(one, dict)]
