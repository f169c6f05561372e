"""GitHub actions (`action.yml`): composite, JavaScript and Docker, from a parsed document to the facts rules see.

An action runs in the job of whoever uses it, under any event. What its inputs hold is known to the caller alone.

Source: docs.github.com "Metadata syntax reference".
"""

from __future__ import annotations

from policyd.models.base import JsonPath
from policyd.models.facts import StageFact
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.github.conditions import NONE
from policyd.pipeline.github.contexts import ANY_EVENT
from policyd.pipeline.github.reader import Mapped, Scope
from policyd.pipeline.github.references import parse_image
from policyd.pipeline.github.steps import StepsReader
from policyd.pipeline.links import Links
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.source_map import Spot
from policyd.pipeline.yaml_reader import YamlDocument

#: The stage of an action: its steps run in the job of whoever uses it.
ACTION_STAGE = "runs"
_ENTRY_POINTS = ("pre", "main", "post")
_DOCKER_ENTRY_POINTS = ("pre-entrypoint", "entrypoint", "post-entrypoint")


def read_action(document: YamlDocument) -> FrontEndRead:
    """Return the facts of an action. Raises `DocumentError` where the document is none, with file, line and column."""
    return _Action(document).read()


class _Action(StepsReader):
    def read(self) -> FrontEndRead:
        root = self.require_mapping(self.value, (), "an action")
        path: JsonPath = ("runs",)
        runs = self.require_mapping(root.get("runs"), path, "`runs`")
        using = self.require_text(runs.get("using"), (*path, "using"), "`using`").lower()
        if not using:
            self.refuse("an action says with `runs.using` how it runs; this one does not", path)
        scope = Scope(stage=ACTION_STAGE, reach={ANY_EVENT: NONE})
        for name, value in root.items():
            if name not in ("runs", "description", "name", "author", "branding", "outputs"):
                self.expressions(value, (name,), scope, "other")
        self.require_mapping(root.get("inputs"), ("inputs",), "`inputs`")
        outputs = self.require_mapping(root.get("outputs"), ("outputs",), "`outputs`")
        if using == "composite":
            scope = self.steps(runs.get("steps"), (*path, "steps"), scope)
        elif using == "docker":
            self._docker(runs, path, scope)
        else:
            self._programs(runs, _ENTRY_POINTS, path, scope)
        self.expressions(outputs, ("outputs",), scope, "other")
        self._stage(path, list(outputs))
        facts, source_map = self.book.close(self.map)
        file = self.map.file
        links = Links(
            root=file[: file.index(".github/")] if ".github/" in file else "",
            landings=tuple(self.landings),
            arguments=tuple(self.arguments),
            calls=tuple(self.calls),
        )
        title = root.get("name")
        return FrontEndRead(self.value, facts, source_map, title if isinstance(title, str) else "", links=links)

    def _docker(self, runs: Mapped, path: JsonPath, scope: Scope) -> None:
        image = self.require_text(runs.get("image"), (*path, "image"), "`image`")
        if image.startswith("docker://"):
            parsed = parse_image(image.removeprefix("docker://"))
        else:
            parsed = ParsedReference("image", "", image, "", local=True, pinned=False)
        self.expressions(image, (*path, "image"), scope, "reference")
        self.reference(image, parsed, (*path, "image"), scope)
        scope = self.environment(runs.get("env"), (*path, "env"), scope)
        self.expressions(runs.get("args"), (*path, "args"), scope, "input")
        self._programs(runs, _DOCKER_ENTRY_POINTS, path, scope)

    def _programs(self, runs: Mapped, fields: tuple[str, ...], path: JsonPath, scope: Scope) -> None:
        """Write down the files of the action that run."""
        for name in fields:
            if runs.get(name) is not None:
                text = self.require_text(runs[name], (*path, name), f"`{name}`")
                parsed = ParsedReference("action", "", text, "", local=True, pinned=False)
                self.reference(text, parsed, (*path, name), scope)

    def _stage(self, path: JsonPath, outputs: list[str]) -> None:
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", Spot(path)),
                name=ACTION_STAGE,
                group="",
                kind="",
                needs=[],
                needs_kinds=[],
                runner=[],
                self_hosted=False,
                environment="",
                target="",
                timeout_seconds=None,
                explicit_timeout=True,  # the job that uses the action says
                untrusted=False,
                privileged=False,
                outputs=outputs,
                results=[],
                has_source=self.has_source,
            )
        )
