"""Result files: what a stage says about itself, parsed by the runner and never believed further than that.

A result is a claim (`origin: stage`). A JUnit file counts as passed only if the stage ended with exit code 0, at
least one case ran, none failed, and the very same file did not lie in the source tree before (docs/threats.md, T40).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from policyd.errors import CollectError, DocumentError
from policyd.models.manifest import Product, ResultSummary
from policyd.models.pipeline import Result, ResultKind
from policyd.models.strict_json import read_json
from policyd.pipeline.yaml_reader import read_yaml_documents
from policyd.run.junit import read_junit

MAX_RESULT_BYTES = 16 * 1024 * 1024  # a rule's input has to fit the rule process
MAX_RESULT_DEPTH = 64


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A result file with its summary and the document rules see."""

    summary: ResultSummary
    document: object


def read_result(
    declared: Result, product: Product, content: bytes, *, exit_code: int, source_digests: Container[str]
) -> ReadResult:
    """Parse a collected result file as the kind it is declared to be.

    Raises `CollectError` where it isn't one: a stage that claims a result must leave a readable one.
    """
    where = f"result {declared.name} ({declared.path})"
    if len(content) > MAX_RESULT_BYTES:
        raise CollectError(
            f"the result is larger than {MAX_RESULT_BYTES} bytes", where=where, fix="write a smaller report"
        )
    passed: bool | None = None
    counts: dict[str, int] = {}
    try:
        match declared.kind:
            case ResultKind.JUNIT:
                report = read_junit(content)
                fresh = product.sha256 not in source_digests
                passed = exit_code == 0 and report.passed and fresh
                counts = {
                    "tests": report.tests,
                    "failures": report.failures,
                    "errors": report.errors,
                    "skipped": report.skipped,
                    "stale": int(not fresh),
                }
                document: object = {**counts, "cases": report.cases}
            case ResultKind.YAML:
                documents = read_yaml_documents(content, where=declared.path, max_bytes=MAX_RESULT_BYTES)
                counts = {"documents": len(documents)}
                document = documents
            case ResultKind.JSON:
                document = _read_json(content, declared.path)
            case ResultKind.SARIF:
                document = _read_json(content, declared.path)
                counts = _count_sarif(document)
            case ResultKind.SBOM:
                document = _read_json(content, declared.path)
                counts = _count_sbom(document)
    except (ValueError, DocumentError) as error:
        reason = error.cause if isinstance(error, DocumentError) else str(error)
        raise CollectError(
            f"the file is no {declared.kind} result: {reason}",
            where=where,
            fix="make the stage write the declared kind, or declare another kind",
        ) from error
    summary = ResultSummary(
        name=declared.name,
        kind=declared.kind.value,
        path=product.path,
        sha256=product.sha256,
        passed=passed,
        counts=counts,
    )
    return ReadResult(summary=summary, document=document)


def find_sbom_type(document: object) -> str | None:
    """Return the predicate type of an SBOM document: CycloneDX, SPDX, or None for neither."""
    from policyd.models.statement import CYCLONEDX, SPDX

    if isinstance(document, dict):
        if document.get("bomFormat") == "CycloneDX":
            return CYCLONEDX
        if isinstance(document.get("spdxVersion"), str):
            return SPDX
    return None


def _read_json(content: bytes, where: str) -> object:
    return read_json(content, where=where, max_bytes=MAX_RESULT_BYTES, max_depth=MAX_RESULT_DEPTH)


def _count_sarif(document: object) -> dict[str, int]:
    runs = document.get("runs") if isinstance(document, dict) else None
    if not isinstance(document, dict) or document.get("version") != "2.1.0" or not isinstance(runs, list) or not runs:
        raise ValueError("not SARIF 2.1.0 with at least one run")
    counts = {"error": 0, "warning": 0, "note": 0, "none": 0}
    for run in runs:
        results = run.get("results", []) if isinstance(run, dict) else None
        if not isinstance(results, list):
            raise ValueError("a run's results are not a list")
        for result in results:
            level = result.get("level", "warning") if isinstance(result, dict) else None
            if level not in counts:
                raise ValueError("a result has no known level")
            counts[level] += 1
    return counts


def _count_sbom(document: object) -> dict[str, int]:
    if find_sbom_type(document) is None or not isinstance(document, dict):
        raise ValueError("neither CycloneDX nor SPDX in JSON")
    components = document.get("components", document.get("packages", []))
    if not isinstance(components, list):
        raise ValueError("its components are not a list")
    return {"components": len(components)}
