"""What follows from the facts of a pipeline once all of them are there, for every CI system alike.

What a stage is for, which purposes come before it, what runs of a checkout or of a downloaded artifact afterwards, and
whether what a cache holds is released. A front end that knows better says so itself: what it wrote down stays.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, get_args

from policyd.models.base import JsonPath
from policyd.models.facts import ArtifactUse, Cache, Checkout, Command, Effect, Purpose, Reference, SecretUse, StageFact
from policyd.pipeline.effects.credentials import is_credential_file
from policyd.pipeline.needs import purposes_needed
from policyd.pipeline.shell import SHELLS

#: Sorts facts of all lists as things happen: one number for each script, setting or component, then the place inside.
Order = tuple[int, int]


class Entered(NamedTuple):
    """A folder that a stage's commands run in from some moment on."""

    stage: str
    order: Order
    folder: str


_PURPOSES = frozenset(get_args(Purpose))
#: Credentials that a system makes for each run.
_OWN_TOKENS = frozenset(
    (
        "github_token",
        "github.token",
        "ci_build_token",
        "ci_dependency_proxy_password",
        "ci_job_token",
        "ci_registry_password",
        "system.accesstoken",
        "system_accesstoken",
    )
)


class Collected(Protocol):
    """The lists of facts that conclusions are drawn from, and written back to."""

    stages: list[StageFact]
    effects: list[Effect]
    references: list[Reference]
    checkouts: list[Checkout]
    artifacts: list[ArtifactUse]
    caches: list[Cache]
    secrets: list[SecretUse]
    commands: list[Command]
    may_fail: dict[str, set[str]]


def conclude(facts: Collected, orders: Mapping[str, Sequence[Order]], entered: Iterable[Entered] = ()) -> None:
    """Fill in what follows from `facts`; `orders` says for each list when its facts happen.

    `entered` are the folders that scripts run in, where that is not the working tree itself.
    """
    _conclude_stages(facts)
    _conclude_caches(facts)
    _conclude_artifacts(facts)
    ran = _what_runs(facts, orders)
    if any(checkout.path for checkout in facts.checkouts) or any(_lies_apart(use) for use in facts.artifacts):
        entered = [*entered, *_folders_entered(facts, orders)]
    facts.checkouts[:] = [
        checkout.model_copy(update=_runs_of(checkout, checkout.path, ran.get(checkout.stage, []), orders, entered))
        if not checkout.runs
        else checkout
        for checkout in facts.checkouts
    ]
    for index, use in enumerate(facts.artifacts):
        if use.direction == "download" and not use.runs:
            folder = use.paths[0] if _lies_apart(use) else ""
            runs = _runs_of(use, folder, ran.get(use.stage, []), orders, entered)
            if folder and use.untrusted:
                runs = runs or _programs_of(use, folder, facts, orders)
            facts.artifacts[index] = use.model_copy(update=runs)


def _conclude_stages(facts: Collected) -> None:
    """Say of each stage what it is for, which purposes come before it, and whether it has secrets."""
    found: dict[str, set[Purpose]] = defaultdict(set)
    for effect in facts.effects:
        if effect.kind in _PURPOSES:
            found[effect.stage].add(effect.kind)  # type: ignore[arg-type]  # one of both
    with_secrets = {secret.stage for secret in facts.secrets if secret.name.lower() not in _OWN_TOKENS}
    purposes: dict[str, set[Purpose]] = defaultdict(set)
    needs: dict[str, list[str]] = defaultdict(list)
    for stage in facts.stages:
        own: set[Purpose] = {stage.kind} if stage.kind else found[stage.name] | set(stage.purposes)  # type: ignore[arg-type]
        purposes[stage.name] |= own
        may_fail = facts.may_fail.get(stage.name, ())
        needs[stage.name] += (one for one in stage.needs if one not in may_fail)
    before = purposes_needed(needs, purposes)
    facts.stages[:] = [
        stage.model_copy(
            update={
                "purposes": sorted(purposes[stage.name]),
                "needs_kinds": before[stage.name],
                "has_secrets": stage.has_secrets or stage.name in with_secrets or "" in with_secrets,
            }
        )
        for stage in facts.stages
    ]


def _conclude_caches(facts: Collected) -> None:
    releasing = {stage.name for stage in facts.stages if not {"publish", "deploy"}.isdisjoint(stage.purposes)}
    facts.caches[:] = [
        cache.model_copy(update={"publishes": True}) if cache.stage in releasing and not cache.publishes else cache
        for cache in facts.caches
    ]


def _conclude_artifacts(facts: Collected) -> None:
    """Say of what is uploaded which file with credentials is taken along."""
    if not facts.artifacts:
        return
    written = {
        (effect.stage, _plain(effect.detail)) for effect in facts.effects if effect.kind == "persists-credentials"
    }
    for index, use in enumerate(facts.artifacts):
        if use.direction == "upload" and not use.credentials:
            path = next(
                (path for path in use.paths if is_credential_file(path) or (use.stage, _plain(path)) in written), ""
            )
            if path:
                facts.artifacts[index] = use.model_copy(update={"credentials": path})


class _Run(NamedTuple):
    """Something that runs code of the tree; `where` is what says of which folder, "" if nothing does."""

    order: Order
    detail: str
    at: JsonPath
    where: str = ""


def _what_runs(facts: Collected, orders: Mapping[str, Sequence[Order]]) -> dict[str, list[_Run]]:
    """Return for each stage what runs code of the working tree, as it happens."""
    if not facts.checkouts and not facts.artifacts:
        return {}
    ran: dict[str, list[_Run]] = defaultdict(list)
    for effect in facts.effects:
        if effect.kind == "runs-workspace":
            # What a program is given to read is not what runs: `python tools/lint.py folder/`.
            where = effect.detail if _NAMES_FILE.search(effect.detail) else effect.text
            order = _order_of(effect.at, orders)
            ran[effect.stage].append(_Run(order, effect.detail, effect.at, where if effect.program else ""))
    for reference in facts.references:
        if reference.local and reference.kind == "action":
            order = _order_of(reference.at, orders)
            ran[reference.stage].append(_Run(order, reference.text, reference.at, reference.text))
    for runs in ran.values():
        runs.sort()
    return ran


def _order_of(at: JsonPath, orders: Mapping[str, Sequence[Order]]) -> Order:
    return orders[str(at[0])][int(at[1])]


def _after(at: JsonPath, ran: Sequence[_Run], orders: Mapping[str, Sequence[Order]]) -> dict[str, object]:
    """Return `runs` and `runs_at` of what stands at `at`: the first thing that runs after it."""
    index = bisect_right(ran, _order_of(at, orders), key=lambda run: run.order)
    return {"runs": ran[index].detail, "runs_at": ran[index].at} if index < len(ran) else {}


def _lies_apart(use: ArtifactUse) -> bool:
    """Say whether an artifact is unpacked into one known folder of its own."""
    return use.direction == "download" and not use.into_workspace and len(use.paths) == 1 and use.paths[0] != ""


def _pattern_of(folder: str) -> str:
    """Return the pattern of a folder's name, which begins at the runner's own folder whichever way that is written."""
    plain = _plain(folder)
    temporary = _TEMPORARY.match(plain)
    return _TEMPORARY.pattern + re.escape(plain[temporary.end() :]) if temporary else re.escape(plain)


def _runs_of(
    fact: Checkout | ArtifactUse,
    path: str,
    ran: Sequence[_Run],
    orders: Mapping[str, Sequence[Order]],
    entered: Iterable[Entered],
) -> dict[str, object]:
    """Return `runs` and `runs_at` of what is fetched; of what has a folder of its own only what runs of that folder."""
    if not path:
        return _after(fact.at, ran, orders)
    own = _order_of(fact.at, orders)
    folder = re.compile(rf"(?<![\w.-]){_pattern_of(path)}(?![\w.-])")
    since = min(
        (one.order for one in entered if one.stage == fact.stage and one.order > own and folder.search(one.folder)),
        default=None,
    )
    index = bisect_right(ran, own, key=lambda run: run.order)
    for number, run in enumerate(ran[index:]):
        inside = since is not None and since < run.order
        if inside or not run.where or number >= MAX_LOOKED_AT or folder.search(run.where):
            return {"runs": run.detail, "runs_at": run.at}
    return {}


def _programs_of(
    use: ArtifactUse, path: str, facts: Collected, orders: Mapping[str, Sequence[Order]]
) -> dict[str, object]:
    """Return `runs` and `runs_at` of an artifact of which a program or a script is run by its path."""
    own = _order_of(use.at, orders)
    inside = re.compile(rf"(?:\./)?{_pattern_of(path)}/")
    for command in facts.commands:
        if command.stage != use.stage or (inside.match(command.argv[0]) is None and command.program not in _RUN_FILES):
            continue
        words = command.argv if command.program in _RUN_FILES else command.argv[:1]
        if any(inside.match(word) for word in words) and _order_of(command.at, orders) > own:
            return {"runs": command.text[:80], "runs_at": command.at}
    return {}


def _folders_entered(facts: Collected, orders: Mapping[str, Sequence[Order]]) -> Iterator[Entered]:
    for command in facts.commands:
        if command.program in ("cd", "pushd") and command.argv[1:]:
            yield Entered(command.stage, _order_of(command.at, orders), command.argv[1])
        elif command.program in ("cp", "mv", "rsync") and _spreads(command):
            # What lay apart lies in the tree now.
            yield Entered(command.stage, _order_of(command.at, orders), " ".join(command.argv[1:-1]))


def _spreads(command: Command) -> bool:
    """Say whether a command puts whole folders into the tree."""
    options = "".join(word[1:] for word in command.argv[1:] if word[:1] == "-" and word[:2] != "--")
    whole = command.program != "cp" or not {"r", "R", "a"}.isdisjoint(options) or "--recursive" in command.argv
    return whole and len(command.argv) > 2 and re.match(r"/|~|\$|.*:", command.argv[-1]) is None


def _plain(path: str) -> str:
    return path.strip().removeprefix("./").rstrip("/")


_TEMPORARY = re.compile(r"(?:\$\{\{ ?runner\.temp ?\}\}|\$\{?RUNNER_TEMP\b\}?|\$\(Agent\.TempDirectory\))")
#: Run the files that they are given.
_RUN_FILES = SHELLS | {"source", ".", "node", "perl", "php", "python", "python3", "ruby", "java", "pwsh", "powershell"}
MAX_LOOKED_AT = 500  # things that run, looked at for each checkout in a folder; keeps it linear
_NAMES_FILE = re.compile(r"/|[\w-]\.\w+$")
