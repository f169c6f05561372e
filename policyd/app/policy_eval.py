"""`policyd policy eval`: one query of a policy author, answered as `opa eval` answers it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from policyd.adapters.engines.queries import Question, ask_embedded, ask_opa, make_question
from policyd.adapters.library import read_policy_folder
from policyd.adapters.output import read_input
from policyd.app.policy_opa import require_opa
from policyd.errors import DocumentError, PolicyError
from policyd.models.strict_json import read_json
from policyd.policy.query import is_same_json
from policyd.policy.rego_text import MAX_MODULE_BYTES

EngineName = Literal["embedded", "opa", "both"]
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_DOCUMENT_DEPTH = 64


def evaluate(
    query: str,
    *,
    engine: EngineName,
    policies: Sequence[Path],
    data: Path | None,
    document: Path | None,
    settings: Path | None,
) -> dict[str, object]:
    """Return what `opa eval --format json` prints for `query`; without a result where it is undefined.

    Raises `PolicyError` for what may not be used, for an error while evaluating and, with `both`, where the engines
    differ; `DocumentError` for a data or input file that is none.
    """
    question = make_question(
        query,
        _read_policies(policies),
        _read_data(data),
        None if document is None else json.dumps(read_document(document)).encode(),
    )
    if engine == "embedded":
        return ask_embedded(question)
    opa = require_opa(settings)
    return ask_opa(question, opa) if engine == "opa" else _ask_both(question, opa)


def _ask_both(question: Question, opa: Path) -> dict[str, object]:
    ours, theirs = ask_embedded(question), ask_opa(question, opa)
    if not is_same_json(ours, theirs):
        raise PolicyError(
            "the engines answer differently",
            where="the query",
            fix="compare `--engine embedded` and `--engine opa`, rewrite the rule, and please report the difference",
        )
    return ours


def _read_policies(paths: Sequence[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for path in paths:
        if path.is_dir():
            folder = read_policy_folder(path)
            files |= {f"{path}/{name}": content for name, content in folder.items() if name.endswith(".rego")}
        else:
            files[str(path)] = read_input(path, max_bytes=MAX_MODULE_BYTES)
    return files


def _read_data(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    found = read_document(path)
    if not isinstance(found, dict):
        raise DocumentError("the data is no object", where=str(path), fix="write an object: its keys stand below data")
    return found


def read_document(path: Path) -> object:
    """Return the value of a JSON file, or of a YAML file where the name says so."""
    content = read_input(path, max_bytes=MAX_DOCUMENT_BYTES)
    if path.suffix in (".yaml", ".yml"):
        from policyd.pipeline.yaml_reader import read_yaml

        return read_yaml(content, where=str(path), max_bytes=MAX_DOCUMENT_BYTES)
    return read_json(content, where=str(path), max_bytes=MAX_DOCUMENT_BYTES, max_depth=MAX_DOCUMENT_DEPTH)
