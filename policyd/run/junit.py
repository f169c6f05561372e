"""JUnit XML as test runners write it, read strictly: counts and cases, nothing else.

There is no JUnit specification; this reads what pytest, Maven Surefire, Go and Gradle converters write: `testsuites` or
`testsuite` at the root, `testcase` below, with `failure`, `error` or `skipped` children. A document type declaration
is refused (entities are how XML eats memory).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

MAX_CASES = 200_000  # beyond any suite seen; bounds what rules are handed
MAX_DEPTH = 32


@dataclass(slots=True)
class TestReport:
    """What a JUnit file claims."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    cases: list[dict[str, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True when at least one case ran to success and none failed."""
        return self.failures == 0 and self.errors == 0 and self.tests - self.skipped > 0


def read_junit(content: bytes) -> TestReport:
    """Return the cases of a JUnit file. Raises `ValueError` saying what is wrong with it.

    Cases are counted, the totals in the attributes are not believed.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ValueError(f"not XML: {error}") from error
    return reader.report


class _Reader:
    def __init__(self) -> None:
        self.report = TestReport()
        self.depth = 0
        self.outcome: str | None = None

    def refuse_doctype(self, *_: object) -> None:
        raise ValueError("has a document type declaration")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1 and tag not in {"testsuites", "testsuite"}:
            raise ValueError(f"the root element is {tag!r}, not testsuites or testsuite")
        if self.depth > MAX_DEPTH:
            raise ValueError(f"is nested deeper than {MAX_DEPTH}")
        if tag == "testcase":
            if self.outcome is not None:
                raise ValueError("has a testcase inside a testcase")
            if len(self.report.cases) >= MAX_CASES:
                raise ValueError(f"has more than {MAX_CASES} cases")
            self.outcome = "passed"
            self.report.cases.append(
                {"suite": attributes.get("classname", ""), "name": attributes.get("name", ""), "outcome": "passed"}
            )
        elif tag in {"failure", "error", "skipped"} and self.outcome in {"passed", "skipped"}:
            # The worst child wins: a case that is both skipped and failed has failed.
            self.outcome = tag

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag != "testcase" or self.outcome is None:
            return
        report = self.report
        report.tests += 1
        report.failures += self.outcome == "failure"
        report.errors += self.outcome == "error"
        report.skipped += self.outcome == "skipped"
        report.cases[-1]["outcome"] = self.outcome
        self.outcome = None
