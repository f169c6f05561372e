"""Decisions and audits to render, goldens to compare with, and a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyd.models.decision import Decision, Effect, EngineRef, Gate, Level, Place, Severity, Verdict, Violation
from policyd.models.plan import PolicySetRef

GOLDENS = Path(__file__).resolve().parent.parent / "goldens"
WORKFLOW = """\
name: release
on: issues
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: echo "${{ github.event.issue.title }}"
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the catalogue says of a rule."""

    id: str
    title: str
    description: str
    severity: Severity
    remediation: str
    controls: Sequence[str] = ()
    confidence: str = "high"


@pytest.fixture
def rules() -> dict[str, Rule]:
    found = [
        Rule(
            "injection.untrusted_expansion",
            "Nobody outside writes parts of a script",
            "Whoever can open an issue writes its title, and the title becomes part of the script before the shell "
            "reads it.",
            Severity.CRITICAL,
            'Hand the value over in `env:` and use it as "$TITLE".',
            ("OWASP-CICD-SEC-4",),
        ),
        Rule(
            "dependencies.unpinned_component",
            "Actions, images and includes are pinned to a digest",
            "A tag or branch can be moved to other code after review; a full digest cannot.",
            Severity.HIGH,
            "Replace the tag with the digest it points to.",
            ("OWASP-CICD-SEC-3",),
        ),
        Rule(
            "hygiene.timeout",
            "Every stage has a time limit",
            "A stage without a limit can hold a runner for hours.",
            Severity.LOW,
            "Set `timeout-minutes:`.",
        ),
    ]
    return {rule.id: rule for rule in found}


@pytest.fixture
def injection() -> Violation:
    return Violation(
        rule="injection.untrusted_expansion",
        message="github.event.issue.title is expanded as text into a shell script",
        at=("expressions", 0),
        place=Place(file=".github/workflows/release.yml", line=8, column=20, end_line=8, end_column=51),
        effect=Effect.DENY,
        level=Level.HARD,
        severity=Severity.CRITICAL,
        part_sha256="1" * 64,
    )


@pytest.fixture
def unpinned() -> Violation:
    return Violation(
        rule="dependencies.unpinned_component",
        message="actions/checkout@v4 is not pinned to a digest",
        at=("references", 0),
        place=Place(file=".github/workflows/release.yml", line=7, column=15, end_line=7, end_column=34),
        effect=Effect.DENY,
        level=Level.SOFT,
        severity=Severity.HIGH,
        fix="pin it to the commit that v4 points to",
        part_sha256="2" * 64,
    )


@pytest.fixture
def timeout() -> Violation:
    return Violation(
        rule="hygiene.timeout",
        message="the stage greet has no time limit",
        at=("stages", 0),
        place=Place(file=".github/workflows/release.yml", line=4, column=3, end_line=4, end_column=8),
        effect=Effect.WARN,
        level=Level.ADVISORY,
        severity=Severity.LOW,
        blocks_from="2027-01-01T00:00:00Z",
        part_sha256="3" * 64,
    )


MakeDecision = Callable[..., Decision]


@pytest.fixture
def make_decision(rules: dict[str, Rule]) -> MakeDecision:
    def make(verdict: Verdict = Verdict.DENY, **changes: object) -> Decision:
        decision = Decision(
            gate=Gate.PIPELINE,
            verdict=verdict,
            subject=".github/workflows/release.yml",
            policy_set=PolicySetRef(name="baseline", sha256="a" * 64),
            engine=EngineRef(name="regorus", version="0.13.0"),
            input_sha256="b" * 64,
            rules=tuple(sorted(rules)),
            governance="operator",
            decided_at="2026-11-23T13:00:00Z",
        )
        return decision.model_copy(update=changes)

    return make


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare with a file of tests/goldens; `make goldens` (POLICYD_GOLDENS=write) rewrites it."""

    def compare(name: str, text: str) -> None:
        path = GOLDENS / name
        if os.environ.get("POLICYD_GOLDENS") == "write":
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text

    return compare


@dataclass(frozen=True, slots=True)
class Browser:
    """A real browser: shows a page and tells what it built of it and what it had to complain about."""

    executable: Path
    profile: Path

    def show(self, page: Path) -> tuple[str, str]:
        """Return the document as the browser holds it after loading, and its console."""
        done = subprocess.run(
            [
                self.executable,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={self.profile}",
                "--enable-logging=stderr",
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            timeout=60,
            check=True,
        )
        console = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
        return done.stdout.decode(), "\n".join(console)


@pytest.fixture
def chromium(tmp_path: Path) -> Browser:
    """The real Chromium."""
    found = shutil.which("chromium")
    if found is None:
        reason = "chromium is not installed (apt-get install chromium)"
        if os.environ.get("POLICYD_REQUIRE_REAL") == "1":
            pytest.fail(f"POLICYD_REQUIRE_REAL=1 and {reason}", pytrace=False)
        pytest.skip(reason)
    return Browser(Path(found), tmp_path / "profile")
