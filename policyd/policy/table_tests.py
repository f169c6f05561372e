"""Table tests: what a rule finds in a pipeline or an input, written down as a list of cases.

A file `RULE_test.yaml` beside the rule says for each case what is given (a pipeline file, an input file or an input in
place), with which settings, and the complete list of what is found: rule and place. What is found and not listed fails
the case, as does what is listed and not found; an empty list says that nothing is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from policyd.errors import PolicydError, PolicyError
from policyd.models.base import JsonPath, Model
from policyd.models.decision import Violation
from policyd.pipeline.yaml_reader import read_yaml

FORMAT = "policyd: rule-tests/v1"
MAX_TABLE_BYTES = 1024 * 1024


class Expected(Model):
    """One thing that is found. Without `rule` it is the rule beside; `place` is `line:column`, `at` a path of input."""

    rule: str | None = None
    place: Annotated[str, Field(pattern=r"^[1-9][0-9]*(:[1-9][0-9]*)?$")] | None = None
    at: JsonPath | None = None
    message: str | None = None


class Case(Model):
    """One case: exactly one thing given, and all that is found in it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    pipeline: str | None = None  # a file below the rule's folder, read as a pipeline
    path: str | None = None  # where the pipeline lies in its repository: GitHub tells files by that
    input: Any = None  # the input in place
    input_file: str | None = None  # the input in a file below the rule's folder
    settings: dict[str, dict[str, Any]] = {}  # rule id → name → value, where not as the set has it
    evaluated_at: str = "2026-01-01T00:00:00Z"
    expect: tuple[Expected, ...]

    @model_validator(mode="after")
    def _one_given(self) -> Case:
        if sum(given is not None for given in (self.pipeline, self.input, self.input_file)) != 1:
            raise ValueError("give exactly one of pipeline, input and input_file")
        return self


class Table(Model):
    """A file of cases. `rules` are asked; without them the rule beside."""

    policyd: Literal["rule-tests/v1"]
    rules: tuple[str, ...] = ()
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a case lacks and what it has too much, in words."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def read_table(path: str, content: bytes) -> Table:
    """Return the table in `content`; `PolicyError` names the place in the file at `path`."""
    try:
        value = read_yaml(content, where=path, max_bytes=MAX_TABLE_BYTES)
        return Table.model_validate_json(json.dumps(value))
    except PolicydError as error:
        raise PolicyError(error.cause, where=error.where, fix=error.fix) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise PolicyError(
            f"the table test does not fit: {field}: {first['msg']}",
            where=path,
            fix=f"begin with `{FORMAT}` and `cases`, each with name, one of pipeline, input, input_file, and expect",
        ) from error


def require_file(path: str, name: str, files: Mapping[str, bytes]) -> bytes:
    """Return the content of the file `name` of the folder in which the table at `path` lies."""
    wanted = f"{path.rpartition('/')[0]}/{name}"
    if wanted not in files:
        raise PolicyError(
            f"the file {name!r} that a case names is not there",
            where=path,
            fix="put it into the folder `examples` beside the rule, and name it like examples/bad.yml",
        )
    return files[wanted]


def find_difference(rule: str, expected: Sequence[Expected], found: Sequence[Violation]) -> Difference | None:
    """Return how what was `found` differs from what a case of the table of `rule` expects; None where it does not.

    Each thing found answers one thing expected: two violations in one place have to be listed twice.
    """
    left = list(found)
    missing = []
    # The most exact first, so that a vague one does not take what only it could have.
    for each in sorted(expected, key=lambda each: -len(each.model_fields_set)):
        match = next((violation for violation in left if _fits(rule, each, violation)), None)
        if match is None:
            missing.append(_say(rule, each))
        else:
            left.remove(match)
    unexpected = tuple(_say_found(violation) for violation in left)
    return Difference(tuple(missing), unexpected) if missing or unexpected else None


def _fits(rule: str, expected: Expected, violation: Violation) -> bool:
    place = violation.place
    line = "" if place is None else str(place.line)
    column = "" if place is None else f"{place.line}:{place.column}"
    return (
        violation.rule == (expected.rule or rule)
        and (expected.place is None or expected.place in (line, column))
        and (expected.at is None or expected.at == violation.at)
        and (expected.message is None or expected.message == violation.message)
    )


def _say(rule: str, expected: Expected) -> str:
    parts = [expected.rule or rule]
    if expected.place is not None:
        parts.append(f"at {expected.place}")
    if expected.at is not None:
        parts.append(f"at {json.dumps(expected.at)}")
    if expected.message is not None:
        parts.append(f"saying {expected.message!r}")
    return " ".join(parts)


def _say_found(violation: Violation) -> str:
    place = violation.place
    where = json.dumps(violation.at) if place is None else f"{place.line}:{place.column} {json.dumps(violation.at)}"
    return f"{violation.rule} at {where} saying {violation.message!r}"
