"""What starts an Azure pipeline, and what it takes from elsewhere: triggers and `resources`.

Sources: learn.microsoft.com "YAML schema reference" (trigger, pr, schedules, resources), "Build GitHub repositories",
"Trigger one pipeline after another", "Define resources in YAML".
"""

from __future__ import annotations

from collections.abc import Mapping

from policyd.models.facts import Trigger, Trust
from policyd.pipeline.azure.origins import Scope
from policyd.pipeline.azure.parts import Part
from policyd.pipeline.azure.references import Repository, parse_repository
from policyd.pipeline.azure.steps import StepsReader
from policyd.pipeline.characters import quoted


class ResourcesReader(StepsReader):
    """Reads what stands at the top of a pipeline, before its stages."""

    def triggers(self, entries: Mapping[str, Part], root: Part) -> bool:
        """Write down what starts a pipeline; return whether the file says that pull requests do."""
        push = self._trigger("trigger", "push", entries.get("trigger"), root, "internal")
        pull = entries.get("pr")
        # Without `pr`, pull requests to any branch start it where the repository is on GitHub and settings let them.
        outside = self._trigger("pr", "pull_request", pull, root, "unknown" if pull is None else "untrusted")
        for part in self.templates.items(entries.get("schedules"), "`schedules`"):
            schedule = self.templates.mapping(part, "a schedule")
            self._write_trigger("schedule", part, "trusted", self._branches(schedule.get("branches")))
        names = [name for name, known in _parameters(root).items() if not known]
        if names:
            self._write_trigger("manual", entries["parameters"], "internal", parameters=names)
        self.fixed_branch = outside is not None and not outside and push is not None and _is_fixed(push)
        return pull is not None and bool(outside)

    def _trigger(self, keyword: str, event: str, part: Part | None, root: Part, trust: Trust) -> list[str] | None:
        """Write down a trigger; return its branches, none for one that is switched off, `*` for all."""
        if part is None:
            self._write_trigger(event, root, trust)
            return ["*"]
        part = self.templates.resolve(part)
        if part.is_mapping:
            fields = self.templates.mapping(part, f"`{keyword}`")
            if fields.get("enabled") is not None and fields["enabled"].value is False:
                return []
            branches = self._branches(fields.get("branches"))
            branches += self._branches(fields.get("tags"), "refs/tags/")
        elif not part.is_list and self.templates.text(part, f"`{keyword}`").lower() in ("none", "false"):
            return []
        else:
            branches = [self.templates.text(one, "a branch") for one in self.templates.names(part, f"`{keyword}`")]
            if "none" in branches and len(branches) == 1:
                return []
        if part.value is None and part.entries is None and part.items is None:
            branches = []
        self._write_trigger(event, part, trust, branches)
        return branches or ["*"]

    def _write_trigger(
        self,
        event: str,
        part: Part,
        trust: Trust,
        branches: list[str] | None = None,
        parameters: list[str] | None = None,
    ) -> None:
        self.book.triggers.append(
            Trigger(
                at=self.book.at("triggers", part.spot()),
                stage="",
                event=event,
                trust=trust,
                # A fork gets no secrets unless the settings of the pipeline say so, which the file does not show.
                privileged=False,
                branches=branches or [],
                parameters=parameters or [],
            )
        )

    def _branches(self, part: Part | None, prefix: str = "") -> list[str]:
        if part is None:
            return []
        part = self.templates.resolve(part)
        if not part.is_mapping:
            return [self._ref(one, prefix) for one in self.templates.names(part, "branches")]
        fields = self.templates.mapping(part, "branches")
        included = [self._ref(one, prefix) for one in self.templates.names(fields.get("include"), "`include`")]
        excluded = [f"!{self._ref(one, prefix)}" for one in self.templates.names(fields.get("exclude"), "`exclude`")]
        return included + excluded

    def _ref(self, part: Part, prefix: str) -> str:
        text = self.templates.text(part, "a branch")
        return text if text.startswith("refs/") else prefix + text

    # Resources.

    def resources(self, part: Part | None, scope: Scope) -> None:
        """Write down repositories, pipelines and images that a pipeline names; what is in use is written there."""
        if part is None or self.templates.resolve(part).is_list:  # a list is what the first version took
            return
        entries = self.templates.mapping(part, "`resources`")
        for item in self.templates.items(entries.get("repositories"), "`repositories`"):
            self._repository(item, scope)
        for item in self.templates.items(entries.get("containers"), "`containers`"):
            fields = self.templates.mapping(item, "a container")
            alias = self.templates.text(fields.get("container"), "`container`")
            if not alias and not any("${{" in name for name in fields):
                self.templates.refuse("an entry of `containers` has no name: `container`", item)
            self.images[alias.lower()] = item
            self._resource_trigger("image", fields, "internal")
        for item in self.templates.items(entries.get("pipelines"), "`pipelines`"):
            self._pipeline(item)
        for item in self.templates.items(entries.get("webhooks"), "`webhooks`"):
            fields = self.templates.mapping(item, "a webhook")
            alias = self.templates.text(fields.get("webhook"), "`webhook`")
            self.webhooks.add(alias.lower())
            self._write_trigger("webhook", fields.get("webhook", item), "unknown", parameters=[alias])
        for item in self.templates.items(entries.get("packages"), "`packages`"):
            self._resource_trigger("package", self.templates.mapping(item, "a package"), "internal")

    def _repository(self, item: Part, scope: Scope) -> None:
        fields = self.templates.mapping(item, "a repository")
        alias = self.templates.text(fields.get("repository"), "`repository`")
        if not alias:
            if any("${{" in name for name in fields):
                return
            self.templates.refuse("an entry of `repositories` has no name: `repository`", item)
        for name in ("name", "ref"):
            if name in fields:
                self.marks(fields[name], self.templates.raw(fields[name], f"`{name}`"), scope, "reference")
        repository = Repository(
            self.templates.text(fields.get("type"), "`type`") or "git",
            self.templates.text(fields.get("name"), "`name`") or alias,
            self.templates.text(fields.get("ref"), "`ref`"),
        )
        self.repositories[alias.lower()] = repository
        if repository.name.lower() == "self" or alias.lower() == "self":
            return
        place = fields.get("ref") or fields.get("name") or fields["repository"]
        text = f"{repository.name}@{repository.ref}" if repository.ref else repository.name
        self.reference(text, parse_repository(repository), place, scope, {"type": repository.kind})

    def _pipeline(self, item: Part) -> None:
        fields = self.templates.mapping(item, "a pipeline")
        alias = self.templates.text(fields.get("pipeline"), "`pipeline`")
        branch = self.templates.text(fields.get("branch"), "`branch`")
        branches = self._resource_trigger("pipeline", fields, "unknown")
        one = bool(branch) and "*" not in branch and "$" not in branch
        version = self.templates.text(fields.get("version"), "`version`")
        self.sources[alias.lower()] = not (one or bool(version) or (bool(branches) and _is_fixed(branches)))

    def _resource_trigger(self, event: str, fields: Mapping[str, Part], trust: Trust) -> list[str]:
        part = fields.get("trigger")
        if part is None:
            return []
        part = self.templates.resolve(part)
        branches: list[str] = []
        if part.is_mapping:
            below = self.templates.mapping(part, "`trigger`")
            branches = self._branches(below.get("branches"))
            if "enabled" in below and below["enabled"].value is False:
                return []
        elif not part.is_list and self.templates.text(part, "`trigger`").lower() in ("none", "false"):
            return []
        self._write_trigger(event, part, "internal" if branches and _is_fixed(branches) else trust, branches)
        return branches

    def required_body(self, entries: Mapping[str, Part], root: Part) -> None:
        """Raise `DocumentError` for a file that runs nothing and says nothing."""
        if entries.keys().isdisjoint(_BODIES) and not any("${{" in name for name in entries):
            self.templates.refuse(
                f"there is none of {', '.join(f'`{name}`' for name in sorted(_BODIES))} in it, only "
                f"{quoted(', '.join(entries))}",
                root,
            )


_BODIES = frozenset(("stages", "jobs", "steps", "extends", "variables"))


def _is_fixed(branches: list[str]) -> bool:
    """Say whether a list of branches names each one, and no tags, which anyone who may push can make."""
    return not any("*" in branch or branch.startswith(("!", "refs/tags/")) for branch in branches)


def _parameters(root: Part) -> dict[str, bool]:
    """Return the parameters of a file, and whether each is bound to values."""
    return {known.name: known.constrained for known in root.names.parameters.values()}
