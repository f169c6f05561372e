"""Fuzz one front end: `python -m tests.fuzz.front_ends DIALECT [-runs=N] [CORPUS…]` (libFuzzer's options).

Whatever the bytes are, reading gives facts or an error of policyd; every fact has a place that can be worked out.
Anything else is a crash, which libFuzzer writes to a file and exits with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["policyd.pipeline"]):
    from policyd.errors import PolicydError
    from policyd.models.facts import Facts
    from policyd.pipeline import azure, github, gitlab, native, tekton
    from policyd.pipeline.reading import ReadPipeline, read_pipeline

#: Dialect → the paths under which its front end takes any bytes.
PATHS = {
    "policyd": ("pipeline.yaml",),
    "github": (".github/workflows/a.yml", "action.yml", ".github/dependabot.yml"),
    "gitlab": (".gitlab-ci.yml", "templates/a.yml"),
    "azure": ("azure-pipelines.yml",),
    "tekton": (".tekton/a.yaml",),
}
assert {native, github, gitlab, azure, tekton}


def target(dialect: str) -> Callable[[bytes], None]:
    """Return the function that takes the fuzzer's bytes. The first byte chooses among the paths."""
    paths = PATHS[dialect]

    def one(data: bytes) -> None:
        content = data[1:]
        path = paths[data[0] % len(paths)] if data else paths[0]
        try:
            read = read_pipeline(path, content, lambda _path: content)
        except PolicydError:
            return
        look_at_places(read)

    return one


def look_at_places(read: ReadPipeline) -> None:
    """Work out where every fact stands, inside the file."""
    for kind in Facts.model_fields:
        for fact in getattr(read.facts, kind):
            place = read.source_map.place(tuple(fact.at))
            assert place is not None, (kind, fact)
            assert place.line >= 1, place
            assert place.column >= 1, place


def main() -> None:
    """Fuzz until a crash, or as libFuzzer's options say."""
    dialect = sys.argv.pop(1)
    atheris.Setup(sys.argv, target(dialect))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
