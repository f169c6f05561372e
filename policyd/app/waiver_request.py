"""`policyd waiver request`: write down what somebody asks for, so that somebody else can grant exactly that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import Authority, require_authority
from policyd.adapters.signers.loading import load_signer
from policyd.adapters.signers.new_file import write_new
from policyd.app.projects import find_root, relative_to_root
from policyd.app.verify import digest_file
from policyd.app.waiver_places import Place, find_recorded, judge_file, read_catalogue
from policyd.app.waivers import SUFFIX, find_folder
from policyd.attestation.signing import Signer
from policyd.attestation.trust_policy import find_person, persons_of
from policyd.attestation.waivers import (
    add_signature,
    render_waiver,
    require_within,
    unsigned_envelope,
    waiver_statement,
)
from policyd.errors import KeyUnusable, UsageError, WaiverUnusable
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Effect, Gate, Level, Violation
from policyd.models.trust import Role
from policyd.models.waiver import MAX_REASON, MIN_REASON, UNVERIFIED, Waiver
from policyd.policy.catalogue import Catalogue, RuleMeta

MAX_AT_ONCE = 20  # violations that one request may be for; beyond, somebody should look at each


@dataclass(frozen=True, slots=True)
class Requested:
    """A waiver that was asked for: where its file is, and who may grant it."""

    file: Path
    sha256: Sha256
    waiver: Waiver
    approvers: tuple[str, ...]  # persons who may approve it
    threshold: int  # how many of them it takes

    @property
    def approvable(self) -> bool:
        """True where enough persons other than the requester could approve it."""
        return self.waiver.requested_by != UNVERIFIED and len(self.approvers) >= self.threshold


def request_waiver(
    rule: str,
    place: str,
    *,
    reason: str,
    expires: Callable[[datetime], datetime],
    not_before: datetime | None,
    target: str | None,
    key: str | Path | None,
    password: Callable[[], str],
    settings: Path | None,
    engine: str | None,
    now: datetime,
) -> tuple[Requested, ...]:
    """Write a waiver for each violation of `rule` at `place` (`PATH`, `PATH:LINE`, or an artifact) that denies now.

    `expires` says until when, from now. Raises `UsageError` where there is nothing to waive or it can't be waived.
    """
    path, line = split_place(place)
    root = find_root(Path("."))
    authority = require_authority(settings, repository=root)
    meta = _require_rule(read_catalogue(root, authority, engine=engine), rule)
    _require_reason(reason)

    # 1. Who asks.
    signer, person = (None, UNVERIFIED) if key is None else load_role_key(key, authority, Role.REQUESTER, password, now)

    # 2. What breaks the rule, as its gate sees it.
    found = _look(meta, path, root, authority, engine=engine, now=now)
    violations = _choose(found, meta, line, place)

    # 3. For how long.
    until = expires(now)
    if until <= (not_before or now):
        raise UsageError("it would expire before it begins", where=f"--expires {until}", fix="choose a later time")

    # 4. A statement and a file for each.
    written = []
    folder = find_folder(root, authority)
    folder.mkdir(exist_ok=True)
    for violation in violations:
        waiver = _make(found, violation, path, target, reason, person, now, not_before or now, until)
        try:
            require_within(waiver, authority.settings.waivers.max_days, where="--expires")
        except WaiverUnusable as error:  # nothing was judged yet: it is the option that asks too much
            raise UsageError(error.cause, where=error.where, fix="choose an earlier time") from error
        envelope = unsigned_envelope(waiver_statement(waiver))
        if signer is not None:
            envelope = add_signature(envelope, signer)
        sha256 = sha256_hex(envelope.payload)
        file = folder / f"{waiver.rule}-{sha256[:12]}{SUFFIX}"
        write_new(file, render_waiver(envelope), mode=0o644, what="a waiver")
        approvers = persons_of(authority.trust, Role.WAIVER_APPROVER, now=now) - {person}
        policy = authority.trust.roles.get(Role.WAIVER_APPROVER)
        written.append(
            Requested(_shown(file), sha256, waiver, tuple(sorted(approvers)), 1 if policy is None else policy.threshold)
        )
    return tuple(written)


def _shown(path: Path) -> Path:
    """Return `path` as somebody who is in its project would write it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def split_place(place: str) -> tuple[Path, int | None]:
    """Return path and line of `PATH` or `PATH:LINE`; a path that is there wins."""
    path, colon, line = place.rpartition(":")
    if colon and line.isascii() and line.isdigit() and not Path(place).exists():
        return Path(path), int(line)
    return Path(place), None


def load_role_key(
    key: str | Path, authority: Authority, role: Role, password: Callable[[], str], now: datetime
) -> tuple[Signer, str]:
    """Return the signer for a key that the trust policy lists for `role`, and whose it is; else `KeyUnusable`."""
    signer = load_signer(key, password=password)
    person = find_person(authority.trust, role, signer.key_sha256, now=now)
    if person is None:
        raise KeyUnusable(
            f"the trust policy does not list this key as {role}, or it is not in force now",
            where=str(key),
            fix=f"use a {role} key, or have {authority.settings.trust_policy.path} list this one under roles.{role}",
        )
    return signer, person


def _require_rule(catalogue: Catalogue, rule: str) -> RuleMeta:
    if rule in catalogue:
        return catalogue[rule]
    import difflib

    near = difflib.get_close_matches(rule, catalogue, n=1)
    raise UsageError(
        f"there is no rule {rule!r} in this policy set",
        where="RULE",
        fix=f"did you mean {near[0]!r}?" if near else "`policyd check` names the rules that are broken",
    )


def _require_reason(reason: str) -> None:
    if not MIN_REASON <= len(reason.strip()) <= MAX_REASON:
        raise UsageError(
            f"a reason has {MIN_REASON} to {MAX_REASON} characters",
            where="--reason",
            fix="say why this has to be, and until when: whoever approves reads nothing else of you",
        )


def _look(meta: RuleMeta, path: Path, root: Path, authority: Authority, *, engine: str | None, now: datetime) -> Place:
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), fix="name a pipeline file, or an artifact")
    if meta.gate is Gate.RELEASE:
        return find_recorded(authority, gate=Gate.RELEASE, rule=meta.id, now=now, artifact_sha256=digest_file(path))
    if not path.resolve().is_relative_to(root):
        raise UsageError("the file is not in this project", where=str(path), fix="change to its project first")
    file = relative_to_root(path, root)
    if meta.gate is Gate.STAGE:
        return find_recorded(authority, gate=Gate.STAGE, rule=meta.id, now=now, file=file)
    return judge_file(root, file, authority, engine=engine, now=now)


def _choose(found: Place, meta: RuleMeta, line: int | None, place: str) -> list[Violation]:
    of_rule = [violation for violation in found.violations if violation.rule == meta.id]
    here = [
        violation
        for violation in of_rule
        if line is None or (violation.place is not None and violation.place.line <= line <= violation.place.end_line)
    ]
    if not here:
        elsewhere = ", ".join(sorted({str(one.place.line) for one in of_rule if one.place is not None}))
        raise UsageError(
            f"nothing breaks {meta.id} there",
            where=place,
            fix=f"it is broken in line {elsewhere}" if elsewhere else "`policyd check` says what is broken and where",
        )
    denying = [violation for violation in here if violation.effect is Effect.DENY or violation.blocks_from]
    if not denying:
        waived = any(violation.effect is Effect.WAIVED for violation in here)
        raise UsageError(
            "a waiver lifts this already" if waived else f"{meta.id} only warns here: there is nothing to waive",
            where=place,
            fix="`policyd waiver list` shows the waivers there are",
        )
    if any(violation.level is Level.HARD for violation in denying):
        raise UsageError(
            f"{meta.id} is a hard rule here: no waiver lifts it",
            where=place,
            fix="correct what it found, or have the operator change the rule's level",
        )
    if found.site.gate is not Gate.RELEASE and any(violation.part_sha256 is None for violation in denying):
        raise UsageError(
            f"{meta.id} is broken by the file as a whole, and a waiver binds a part of it",
            where=place,
            fix="correct what it found: no waiver can be given for this",
        )
    if len(denying) > MAX_AT_ONCE:
        raise UsageError(
            f"{len(denying)} places break {meta.id}, and a request is for at most {MAX_AT_ONCE}",
            where=place,
            fix="name a line, as PATH:LINE",
        )
    return denying


def _make(
    found: Place,
    violation: Violation,
    path: Path,
    target: str | None,
    reason: str,
    person: str,
    now: datetime,
    not_before: datetime,
    until: datetime,
) -> Waiver:
    site = found.site
    # At the gates that know the target of what they judge, a waiver is for that one alone.
    only = target or (found.judged.decision.target if site.gate is not Gate.PIPELINE else None)
    if only is not None and site.targets != {only}:
        raise UsageError(
            f"what is judged goes to {', '.join(sorted(site.targets)) or 'no target'}, not to {only} alone",
            where="--target",
            fix="leave it out, or name the one target that it goes to",
        )
    release = site.gate is Gate.RELEASE
    return Waiver(
        gate=site.gate,
        rule=violation.rule,
        message=violation.message,
        file=None if release else site.file,
        stage=site.stage,
        at=violation.at,
        part_sha256=None if release else violation.part_sha256,
        artifact=path.name if release else None,
        artifact_sha256=site.artifact_sha256 if release else None,
        target=only,
        reason=reason.strip(),
        requested_by=person,
        requested_at=now,
        not_before=max(not_before, now),
        expires_at=until,
    )
