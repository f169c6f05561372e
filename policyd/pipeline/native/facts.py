"""What rules see of a native pipeline."""

from __future__ import annotations

from policyd.models.base import JsonPath
from policyd.models.facts import Facts, Reference, StageFact
from policyd.models.pipeline import PipelineFile, Stage, duration_seconds
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.source_map import SourceMap, Spot


def find_native_facts(pipeline: PipelineFile, source_map: SourceMap) -> tuple[Facts, SourceMap]:
    """Return the facts of `pipeline` and a source map that knows their places."""
    book = FactBook(source_map.file)
    for index, stage in enumerate(pipeline.stages):
        path: JsonPath = ("stages", index)
        book.stages.append(
            StageFact(
                at=book.at("stages", Spot((*path, "name"))),
                name=stage.name,
                group="",
                kind=stage.kind.value,
                needs=list(stage.needs),
                needs_kinds=[],
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
            book.variable(name, value, Spot((*path, "env", name)), Around(stage.name), literal=True)
    return book.close(source_map)


def _add_commands(book: FactBook, stage: Stage, path: JsonPath) -> None:
    if isinstance(stage.run, str):
        book.script(stage.run, Spot((*path, "run")), Around(stage.name))
        return
    for number, arguments in enumerate(stage.run):
        book.arguments(arguments, Spot((*path, "run", number, 0)), Around(stage.name, shell=""))


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
