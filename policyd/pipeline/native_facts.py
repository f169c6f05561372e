"""What rules see of a native pipeline."""

from __future__ import annotations

from policyd.models.base import JsonPath
from policyd.models.facts import Facts, Reference, StageFact, Variable
from policyd.models.pipeline import PipelineFile, Stage, StageKind, duration_seconds
from policyd.pipeline.fact_book import MAX_FACTS, FactBook
from policyd.pipeline.native import all_needs
from policyd.pipeline.shell import split_arguments, split_script
from policyd.pipeline.source_map import SourceMap, Spot


def find_native_facts(pipeline: PipelineFile, source_map: SourceMap) -> tuple[Facts, SourceMap]:
    """Return the facts of `pipeline` and a source map that knows their places."""
    book = FactBook(source_map.file)
    kinds = _kinds_needed(pipeline)
    for index, stage in enumerate(pipeline.stages):
        path: JsonPath = ("stages", index)
        book.stages.append(
            StageFact(
                at=book.at("stages", Spot((*path, "name"))),
                name=stage.name,
                group="",
                kind=stage.kind.value,
                needs=list(stage.needs),
                needs_kinds=kinds[stage.name],
                runner=[],
                self_hosted=False,
                environment=stage.target or "",
                target=stage.target or "",
                timeout_seconds=duration_seconds(stage.timeout),
                explicit_timeout="timeout" in stage.model_fields_set,
                untrusted=False,
                privileged=False,
                outputs=[output.name for output in stage.outputs],
                results=[result.kind.value for result in stage.results],
                has_source=bool(stage.inputs.source),
            )
        )
        _add_commands(book, stage, path)
        _add_tools(book, stage, path)
        for name, value in stage.env.items():
            book.variables.append(
                Variable(
                    at=book.at("variables", Spot((*path, "env", name))),
                    stage=stage.name,
                    name=name,
                    value=value,
                    literal=True,
                    origin="environment",
                )
            )
    return book.close(source_map)


def _kinds_needed(pipeline: PipelineFile) -> dict[str, list[str]]:
    needs = all_needs({stage.name: stage.needs for stage in pipeline.stages})
    of_kind = dict.fromkeys(sorted(kind.value for kind in StageKind), 0)
    for index, stage in enumerate(pipeline.stages):
        of_kind[stage.kind.value] |= 1 << index
    return {name: [kind for kind, stages in of_kind.items() if needed & stages] for name, needed in needs.items()}


def _add_commands(book: FactBook, stage: Stage, path: JsonPath) -> None:
    if isinstance(stage.run, str):
        run = (*path, "run")
        for command in split_script(stage.run, max_commands=MAX_FACTS):
            book.add_command(command, stage.name, Spot(run, command.start, command.end), run_by="bash")
        return
    for number, arguments in enumerate(stage.run):
        for command in split_arguments(arguments, max_commands=MAX_FACTS):
            book.add_command(command, stage.name, Spot((*path, "run", number, 0)), run_by="")


def _add_tools(book: FactBook, stage: Stage, path: JsonPath) -> None:
    for number, tool in enumerate(stage.tools):
        book.references.append(
            Reference(
                at=book.at("references", Spot((*path, "tools", number, "name"))),
                stage=stage.name,
                text=f"{tool.name} ({tool.lock})" if tool.lock else tool.name,
                kind="tool",
                owner="",
                name=tool.name,
                ref=tool.lock or "",
                local=False,
                pinned=tool.lock is not None,
            )
        )
