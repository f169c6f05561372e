"""`policyd plan`: what would run, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyd.adapters import clock
from policyd.adapters.output import write_output
from policyd.adapters.settings import find_authority
from policyd.adapters.stores.content import ContentStore
from policyd.adapters.strict_modes import require_safe_folder
from policyd.app.check import EXIT_OF_VERDICT
from policyd.app.preparing import prepare
from policyd.app.projects import find_root
from policyd.errors import ExitCode
from policyd.models.decision import Decision
from policyd.models.plan import Plan, SandboxMode
from policyd.policy.catalogue import Catalogue
from policyd.report.findings import Judged


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the decision on it."""

    plan: Plan
    decision: Decision
    judged: Judged
    catalogue: Catalogue

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the decision."""
        return EXIT_OF_VERDICT[self.decision.verdict]


def plan_pipeline(
    pipeline: Path, *, settings: Path | None, sandbox: SandboxMode, engine: str | None, out: Path | None
) -> Planned:
    """Make and judge the plan for `pipeline`; write it to `out`, and to the store where there is one.

    A denied plan is written as well: it can be looked at, and running it is refused by the same rules.
    """
    authority = find_authority(settings, repository=find_root(pipeline))
    with prepare(
        pipeline, settings=settings, sandbox=sandbox, engine=engine, now=clock.now, authority=authority
    ) as prepared:
        planned = Planned(prepared.plan, prepared.decision, prepared.judged, prepared.judge.catalogue)
    content = planned.plan.to_json()
    if authority is not None:
        # So that `run --plan sha256:…` can say what changed since.
        root = Path(authority.settings.store)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_safe_folder(root)
        ContentStore.create(root / "content").put(content)
    if out is not None:
        write_output(out, content)
    return planned
