"""The native pipeline file, `policyd: pipeline/v1`: from a parsed document to a `PipelineFile` without loose ends.

The format is closed: what it does not know is an error with a suggestion, and what a later version will know is
refused by name, so that no file promises what this version would not do. Every error names file, line and column.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NoReturn, cast

from pydantic import BaseModel, ValidationError

from policyd.errors import DocumentError
from policyd.models.base import JsonPath
from policyd.models.pipeline import Inputs, Output, PipelineFile, Result, Stage, StageKind, Tool
from policyd.pipeline.characters import describe_character, find_hidden_character, quoted
from policyd.pipeline.needs import all_needs
from policyd.pipeline.yaml_reader import YamlDocument

FORMAT = "pipeline/v1"


def read_native(document: YamlDocument) -> PipelineFile:
    """Return the pipeline that `document` describes, with every reference in it checked.

    Raises `DocumentError` for the first problem found, in this order of checks:

    1. The first key is `policyd` and says `pipeline/v1`.
    2. No character hides what the file says.
    3. Every field is known; fields of later versions are refused by name.
    4. No two stages have one name.
    5. Every value fits the model.
    6. Needs exist and make no circle; products come from outputs of stages needed; names and paths do not clash;
       deploy and monitor stages name their target.
    """
    return _Native(document).read()


def json_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of the pipeline file, for editors and other tools."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://policyd.dev/schema/pipeline/v1",
        **PipelineFile.model_json_schema(),
        "title": "policyd pipeline",
        "description": "A pipeline that policyd checks, runs stage by stage, and attests. The first key is `policyd`.",
    }


#: Fields of later versions, singular and plural, and what to do until then.
_LATER = {
    "approval": "approvals",
    "approvals": "approvals",
    "secret": "secrets",
    "secrets": "secrets",
    "network": "network access",
    "retry": "retries",
    "retries": "retries",
    "cache": "caching",
    "caches": "caching",
    "caching": "caching",
    "lock": "locks",
    "locks": "locks",
}
_NAME = "lower-case ASCII letters, digits, `-` and `_`, beginning with a letter or digit, at most 63 characters"
_PATH = "a relative path below $OUT of letters, digits and ._+@=,- with * ? [ ] as wildcards, without `..`"
#: What a field's text has to look like, by the field's name.
_SHAPES = {
    "name": _NAME,
    "needs": "names of stages",
    "target": f"the name of a target in operator settings: {_NAME}",
    "type": _NAME,
    "path": _PATH,
    "products": "STAGE.OUTPUT, such as build.wheel",
    "timeout": "a whole number and s, m or h: 30s, 10m, 2h",
    "lock": "a relative path in the source tree, without `..`",
    "source": "true, false or a list of globs relative to the source tree, without `..`",
    "env": "names of letters, digits and `_` with texts; put numbers and true or false in quotes",
    "run": "a script, or a list of argument lists such as [[make, test]]; put numbers in quotes",
    "stages": "a list of stages, at least one",
    "inputs": "a mapping with source and products",
    "outputs": "a list of mappings with name and path",
    "results": "a list of mappings with name, kind and path",
    "tools": "a list of mappings with name and, for a lock file, lock",
}
_NEEDS_TARGET = frozenset({StageKind.DEPLOY, StageKind.MONITOR})


class _Native:
    def __init__(self, document: YamlDocument) -> None:
        self.value = document.value
        self.map = document.source_map

    def read(self) -> PipelineFile:
        # 1. It says what it is before anything else.
        root = self._require_format()

        # 2. What a reviewer sees is what it says.
        self._require_visible(root)

        # 3. Every field is known.
        self._require_known(root)

        # 4. Names are unique. Ahead of the model, which could not say where.
        self._require_unique_stages(root)

        # 5. Every value fits.
        try:
            pipeline = PipelineFile.model_validate_json(json.dumps(root))
        except ValidationError as error:
            self._translate(error)

        # 6. Nothing is named that is not there.
        self._check_needs(pipeline)
        self._check_products(pipeline)
        for index, stage in enumerate(pipeline.stages):
            self._check_stage(index, stage)
        return pipeline

    def _require_format(self) -> dict[str, object]:
        fix = f"begin the file with `policyd: {FORMAT}`"
        if not isinstance(self.value, dict):
            self._refuse("a pipeline is a mapping", (), fix)
        root = cast("dict[str, object]", self.value)
        if next(iter(root), None) != "policyd":
            self._refuse("the first key of a pipeline is `policyd`", tuple(root)[:1], fix, key=True)
        if root["policyd"] != FORMAT:
            self._refuse(f"{quoted(root['policyd'])} is not a format that this policyd reads", ("policyd",), fix)
        return root

    def _require_visible(self, root: dict[str, object]) -> None:
        # The whole text, comments too, then values again: an escape in double quotes shows in the value alone.
        offset = find_hidden_character(self.map.text)
        if offset is not None:
            self._refuse_hidden("the file", self.map.text[offset], self.map.where_offset(offset))
        for path, text, is_key in _texts(root, ()):
            offset = find_hidden_character(text)
            if offset is None:
                continue
            if is_key:
                self._refuse_hidden("a key", text[offset], self.map.where(path, key=True))
            self._refuse_hidden(f"`{_field(path)}`", text[offset], self.map.where_inside(path, offset))

    def _refuse_hidden(self, what: str, character: str, where: str) -> NoReturn:
        raise DocumentError(
            f"{what} holds {describe_character(character)}, which can't be seen and may hide what is meant",
            where=where,
            fix="remove it; a script that needs it can make it with printf or $'...'",
        )

    def _require_known(self, root: dict[str, object]) -> None:
        self._check_fields(root, (), PipelineFile, later=True)
        for path, stage in _mappings(root.get("stages"), ("stages",)):
            self._check_fields(stage, path, Stage, later=True)
            if isinstance(stage.get("inputs"), dict):
                self._check_fields(cast("dict[str, object]", stage["inputs"]), (*path, "inputs"), Inputs)
            for field, model in (("outputs", Output), ("results", Result), ("tools", Tool)):
                for inner, item in _mappings(stage.get(field), (*path, field)):
                    self._check_fields(item, inner, model)

    def _check_fields(
        self, given: dict[str, object], path: JsonPath, model: type[BaseModel], *, later: bool = False
    ) -> None:
        for field in given:
            if field in model.model_fields:
                continue
            where = (*path, field)
            if later and field in _LATER:
                self._refuse(
                    f"`{field}` comes with a later version of {FORMAT}; this one has no {_LATER[field]}",
                    where,
                    "remove it",
                    key=True,
                )
            close = difflib.get_close_matches(field[:64], model.model_fields, n=1)
            known = ", ".join(model.model_fields)
            self._refuse(
                f"{self._owner(path)} has the unknown field {quoted(field)}",
                where,
                f"did you mean `{close[0]}`? Known here: {known}" if close else f"remove it. Known here: {known}",
                key=True,
            )

    def _require_unique_stages(self, root: dict[str, object]) -> None:
        seen: dict[str, JsonPath] = {}
        for path, stage in _mappings(root.get("stages"), ("stages",)):
            name = stage.get("name")
            if not isinstance(name, str):
                continue
            if name in seen:
                self._refuse(
                    f"two stages are called {quoted(name)}, the first at {self.map.where((*seen[name], 'name'))}",
                    (*path, "name"),
                    "give one of them another name",
                )
            seen[name] = path

    def _check_needs(self, pipeline: PipelineFile) -> None:
        names = {stage.name: index for index, stage in enumerate(pipeline.stages)}
        for index, stage in enumerate(pipeline.stages):
            for number, need in enumerate(stage.needs):
                if need not in names:
                    close = difflib.get_close_matches(need, names, n=1)
                    self._refuse(
                        f"stage {stage.name} needs {need}, which is no stage of this pipeline",
                        ("stages", index, "needs", number),
                        f"did you mean {close[0]}?" if close else "add the stage, or remove the name",
                    )
        cycle = _find_cycle({stage.name: stage.needs for stage in pipeline.stages})
        if cycle:
            index = names[cycle[0]]
            number = pipeline.stages[index].needs.index(cycle[1])
            self._refuse(
                f"stages need each other in a circle: {' needs '.join(cycle)}",
                ("stages", index, "needs", number),
                "remove one of these needs",
            )

    def _check_products(self, pipeline: PipelineFile) -> None:
        outputs = {stage.name: {output.name for output in stage.outputs} for stage in pipeline.stages}
        needed = all_needs({stage.name: stage.needs for stage in pipeline.stages})
        bits = {stage.name: 1 << index for index, stage in enumerate(pipeline.stages)}
        for index, stage in enumerate(pipeline.stages):
            for number, product in enumerate(stage.inputs.products):
                path: JsonPath = ("stages", index, "inputs", "products", number)
                maker, _, output = product.partition(".")
                if maker not in outputs:
                    close = difflib.get_close_matches(maker, outputs, n=1)
                    self._refuse(
                        f"the product {product} is of {maker}, which is no stage of this pipeline",
                        path,
                        f"did you mean {close[0]}.{output}?" if close else "name a stage of this pipeline",
                    )
                if output not in outputs[maker]:
                    known = ", ".join(sorted(outputs[maker])) or "none"
                    self._refuse(
                        f"stage {maker} declares no output {output}", path, f"name one of its outputs: {known}"
                    )
                if not needed[stage.name] & bits[maker]:
                    self._refuse(
                        f"stage {stage.name} takes {product} and does not need {maker}, directly or through others",
                        path,
                        f"add {maker} to the needs of {stage.name}",
                    )

    def _check_stage(self, index: int, stage: Stage) -> None:
        path: JsonPath = ("stages", index)
        files = [((*path, "outputs", number), output.name, output.path) for number, output in enumerate(stage.outputs)]
        files += [((*path, "results", number), result.name, result.path) for number, result in enumerate(stage.results)]
        tools = [((*path, "tools", number), tool.name) for number, tool in enumerate(stage.tools)]
        self._check_names("outputs or results", [(at, name) for at, name, _ in files])
        self._check_names("tools", tools)
        for later, (at, name, pattern) in enumerate(files):
            for _, other_name, other in files[:later]:
                if _overlap(pattern, other):
                    self._refuse(
                        f"the paths of {other_name} and {name} overlap: {other} and {pattern}",
                        (*at, "path"),
                        "give each output and result paths of its own; a file can be one of them only",
                    )
        if stage.kind in _NEEDS_TARGET and stage.target is None:
            self._refuse(
                f"the {stage.kind} stage {stage.name} has no target",
                path,
                "add `target:` with the name of a target in operator settings",
            )

    def _check_names(self, what: str, names: Iterable[tuple[JsonPath, str]]) -> None:
        seen: set[str] = set()
        for path, name in names:
            if name in seen:
                cause = f"two {what} of {self._owner(path[:2])} are called {name}"
                self._refuse(cause, (*path, "name"), "give one of them another name")
            seen.add(name)

    def _translate(self, error: ValidationError) -> NoReturn:
        """Raise what pydantic found first in the order of the file."""
        problems = [(self._known_path(found["loc"]), found) for found in error.errors(include_url=False)]
        # Of a field that may have two shapes both are reported, and a list whose only item is wrong also as too
        # short: what is said about the part within tells more.
        above = {path[:depth] for path, _ in problems for depth in range(len(path))}
        problems = [(path, found) for path, found in problems if found["type"] == "missing" or path not in above]
        path, found = min(problems, key=lambda problem: self._position(problem[0]))
        given, kind = found["input"], found["type"]
        shape = _SHAPES.get(_field(path), "a text")
        if kind == "missing":
            missing = str(found["loc"][-1])
            hint = _SHAPES.get(missing)
            self._refuse(
                f"{self._owner(path)} has no `{missing}`", path, f"add `{missing}`" + (f": {hint}" if hint else "")
            )
        what = self._part(path)
        if kind == "enum":
            known = str(found["ctx"]["expected"]).replace("'", "")
            self._refuse(f"{what} can't be {quoted(given)}", path, f"use one of: {known}")
        if kind in ("too_long", "too_short") and isinstance(given, list):
            self._refuse(f"{what} can't have {len(given)} entries", path, f"write {shape}")
        if _field(path) in ("name", "type", "target", "needs") and isinstance(given, str):
            bad = next((character for character in given if not (character.isascii() and character.isprintable())), "")
            if bad:
                self._refuse(f"{what} holds {describe_character(bad)}", path, f"use {_NAME}")
        self._refuse(f"{what} can't be {quoted(given)}", path, f"write {shape}")

    def _position(self, path: JsonPath) -> tuple[int, int, int]:
        place = self.map.place_of(path)
        return place.line, place.column, -len(path)

    def _known_path(self, loc: Sequence[str | int]) -> JsonPath:
        """Return the part of pydantic's location that is in the document; it also names variants of unions."""
        path: list[str | int] = []
        value = self.value
        for step in loc:
            if isinstance(value, dict) and step in value:
                value = value[str(step)]
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                continue
            path.append(step)
        return tuple(path)

    def _part(self, path: JsonPath) -> str:
        """Return the part at `path` in words: its fields, and the stage that has them."""
        inside = path[2:] if len(path) > 2 else path
        words = quoted(".".join(str(step) for step in inside))[1:-1]
        return f"`{words}` of {self._owner(path[:2] if len(path) > 2 else ())}"

    def _owner(self, path: JsonPath) -> str:
        """Return what has the fields at `path`, in words."""
        if len(path) < 2 or path[0] != "stages" or not isinstance(path[1], int):
            return "the pipeline"
        if len(path) > 2:
            return self._part(path)
        stages = cast("dict[str, object]", self.value)["stages"]
        stage = stages[path[1]] if isinstance(stages, list) else None
        name = stage.get("name") if isinstance(stage, dict) else None
        return f"stage {quoted(name)}" if isinstance(name, str) else f"stage number {path[1] + 1}"

    def _refuse(self, cause: str, path: JsonPath, fix: str, *, key: bool = False) -> NoReturn:
        raise DocumentError(cause, where=self.map.where(path, key=key), fix=fix)


def _find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a circle as the names on it, the first again at the end; empty if there is none."""
    done: set[str] = set()
    for start in needs:
        if start in done:
            continue
        trail: dict[str, Iterator[str]] = {start: iter(needs[start])}
        while trail:
            name = next(reversed(trail))
            step = next(trail[name], None)
            if step is None:
                done.add(name)
                del trail[name]
            elif step in trail:
                names = list(trail)
                return [*names[names.index(step) :], step]
            elif step not in done:
                trail[step] = iter(needs[step])
    return []


def _texts(value: object, path: JsonPath) -> Iterator[tuple[JsonPath, str, bool]]:
    """Yield every key and text below `value` with its path; the depth is bounded by the reader."""
    if isinstance(value, str):
        yield path, value, False
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key), key, True
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _mappings(value: object, path: JsonPath) -> Iterator[tuple[JsonPath, dict[str, object]]]:
    """Yield the mappings in a list, with their paths; the model complains about what is none."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield (*path, index), item


def _field(path: JsonPath) -> str:
    """Return the innermost field that `path` names; entries of `env` are the field `env`."""
    if len(path) > 3 and path[2] == "env":
        return "env"
    return next((step for step in reversed(path) if isinstance(step, str)), "the file")


_WILD = frozenset("*?[")


def _overlap(first: str, second: str) -> bool:
    """Say whether one file could match both patterns, or one would be a folder of the other. Rather too often."""
    ours, theirs = first.split("/"), second.split("/")
    if "**" not in ours and "**" not in theirs:
        # A folder can't be a file as well, so a shorter path overlaps with what lies below it.
        return all(_parts_overlap(a, b) for a, b in zip(ours, theirs, strict=False))
    for a, b in zip(ours, theirs, strict=False):
        if "**" in (a, b):
            break
        if not _parts_overlap(a, b):
            return False
    for a, b in zip(reversed(ours), reversed(theirs), strict=False):
        if "**" in (a, b):
            break
        if not _parts_overlap(a, b):
            return False
    return True


def _parts_overlap(first: str, second: str) -> bool:
    if _WILD.isdisjoint(first):
        return first == second if _WILD.isdisjoint(second) else fnmatchcase(first, second)
    if _WILD.isdisjoint(second):
        return fnmatchcase(second, first)
    head = min(_literal_length(first), _literal_length(second))
    tail = min(_literal_length(first[::-1]), _literal_length(second[::-1]))
    return first[:head] == second[:head] and (not tail or first[-tail:] == second[-tail:])


def _literal_length(pattern: str) -> int:
    """Return how many characters stand before the first wildcard; a bracket ends with `]` when read backwards."""
    return next((index for index, character in enumerate(pattern) if character in "*?[]"), len(pattern))
