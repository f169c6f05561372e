"""How fast recorded decisions are judged again, in how much memory, and what starting the rule process costs.

Two records of 1,000 decisions: those of a run with as many stages, and those of as many workflows that were checked,
in repositories of 20: an input names every pipeline of its repository.
The peer of a replay is the engine's part alone, one question after the other in one rule process: reading, verifying,
weighing and comparing come on top, and a second processor takes half of it all.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from benchmarks.commands import Home, call, open_home
from benchmarks.decisions import render_workflow
from benchmarks.figures import Figure, fastest, seconds
from benchmarks.stages import render_pipeline
from policyd.adapters.engines.embedded import MEMORY_BYTES, TIMEOUT_SECONDS, EmbeddedEngine, RuleProcess
from policyd.adapters.library import library_files
from policyd.adapters.settings import require_authority
from policyd.adapters.stores.store import open_store
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.app.policy_replay import MAX_INPUT_BYTES
from policyd.app.recorded_decisions import find_decisions, read_decision
from policyd.models.decision import Gate
from policyd.pipeline.reading import read_pipeline
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.selecting import select_rules

DECISIONS = 1000
REPOSITORIES = 50
JOBS = 3
STEPS = 6
_BUDGET_SECONDS = 10
_START_MS = 60
_TIMES = 15
_EARLY = 100  # decisions after which everything that stays in memory is there
_REFUSED = 1


def measure() -> Iterator[Figure]:
    """Measure the start of the rule process, memory over 1,000 decisions, and two replays."""
    policy_set = read_policy_set(library_files(), name="policyd-library")
    yield from _start()
    yield from _memory(policy_set)
    with open_home() as home:
        (home.project / "pipeline.yaml").write_text(render_pipeline(DECISIONS))
        home.policyd("run", "--jobs", "2", "pipeline.yaml")
        yield from _replay(home, policy_set, f"replay of a run of {DECISIONS} stages")
    with open_home() as home:
        for number in range(REPOSITORIES):
            _record_checks(home, home.folder / f"repository-{number}", DECISIONS // REPOSITORIES)
        yield from _replay(home, policy_set, f"replay of {DECISIONS} workflows, {JOBS} jobs of {STEPS} steps")


def _record_checks(home: Home, repository: Path, workflows: int) -> None:
    folder = repository / ".github" / "workflows"
    folder.mkdir(parents=True)
    for number in range(workflows):
        text = render_workflow(JOBS, STEPS).replace("target-", f"target-{repository.name}-{number}-")
        (folder / f"workflow-{number}.yml").write_text(text)
    home.policyd("check", "--record", str(repository), expected=_REFUSED)


def _start() -> Iterator[Figure]:
    spec = find_spec("regorus")
    assert spec is not None
    assert spec.origin is not None
    site = str(Path(spec.origin).parent.parent)
    alone = [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.append({site!r}); import json, regorus"]
    took, peer = fastest(_first_answer, lambda: call(alone), times=_TIMES)
    yield Figure(
        "start of the rule process", 1000 * took, "ms", _START_MS, peer="import regorus", peer_value=1000 * peer
    )


def _first_answer() -> None:
    """Start a rule process and have it answer: then it has given up its powers and holds an engine."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    process = RuleProcess(MEMORY_BYTES, TIMEOUT_SECONDS)
    try:
        process.load("one", {"one.rego": "package policyd.one\n\nx := 1\n"}, {}, deadline)
        process.ask("one", ["policyd.one.x"], b"{}", deadline)
    finally:
        process.stop()


def _memory(policy_set: PolicySet) -> Iterator[Figure]:
    pipeline = read_pipeline(".github/workflows/many.yml", render_workflow(JOBS, STEPS).encode())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    document = make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=now)
    content = document.model_dump_json().encode()
    asked = [rule.entrypoint for rule in select_rules(policy_set, Gate.PIPELINE, dialect="github")]
    early: tuple[float, float] = 0, 0
    with EmbeddedEngine(policy_set) as engine:
        for number in range(1, DECISIONS + 1):
            # Another input each time, as in life: what an engine keeps of one would otherwise not show.
            engine.query(asked, content.replace(b"target-", f"target-{number}-".encode()))
            if number == _EARLY:
                early = _resident("self"), _resident(engine.process_id)
        late = _resident("self"), _resident(engine.process_id)
    for name, first, last in zip(("policyd", "the rule process"), early, late, strict=True):
        yield Figure(
            f"{name} after {DECISIONS} decisions", last, "MB", peer=f"after {_EARLY} decisions", peer_value=first
        )


def _resident(process: int | str | None) -> float:
    """Return how many MB a process has in memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise SystemExit(f"/proc says nothing of the memory of {process}")


def _replay(home: Home, policy_set: PolicySet, name: str) -> Iterator[Figure]:
    ended = home.policyd("policy", "replay")
    engine = seconds(lambda: _ask_alone(home, policy_set))
    yield Figure(name, ended.seconds, "s", _BUDGET_SECONDS, peer="one engine alone", peer_value=engine)
    yield Figure(f"memory for the {name}", ended.peak_bytes / 1e6, "MB")


def _ask_alone(home: Home, policy_set: PolicySet) -> None:
    """Ask every recorded question of one engine, and look at no answer."""
    authority = require_authority(home.places.settings, repository=None)
    settings = authority.settings
    with open_store(Path(settings.store), Path(settings.state)) as store, EmbeddedEngine(policy_set) as engine:
        for event in find_decisions(store):
            decision = read_decision(store.content, event, authority.trust).decision
            document = store.content.get(decision.input_sha256, max_bytes=MAX_INPUT_BYTES)
            engine.query([policy_set.catalogue[rule_id].entrypoint for rule_id in decision.rules], document)
