"""`policyd schema`."""

from __future__ import annotations

import json

import click


@click.command("schema")
@click.argument("document", type=click.Choice(["pipeline", "input"]))
def schema_command(document: str) -> int:
    """Print the JSON Schema of a DOCUMENT: the pipeline file, or what rules see as `input`."""
    if document == "pipeline":
        from policyd.pipeline.native.document import json_schema

        schema = json_schema()
    else:
        from pydantic import TypeAdapter

        from policyd.models.input import PipelineInput, ReleaseInput, StageInput

        schema = TypeAdapter(PipelineInput | StageInput | ReleaseInput).json_schema()
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    click.echo(json.dumps(schema, indent=2))
    return 0
