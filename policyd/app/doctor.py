"""`policyd doctor`: what this machine has, what is missing, and how to get it. Every answer is tried, not guessed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from policyd.adapters.helpers import find_helper
from policyd.adapters.sandboxes import open_sandbox
from policyd.adapters.settings import Authority, find_authority
from policyd.adapters.strict_modes import require_safe_folder
from policyd.errors import ExitCode, PolicydError
from policyd.models.plan import LayerRef
from policyd.models.settings import OperatorSettings

State = Literal["ok", "note", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `missing` and `broken` keep something from working; a `note` is worth knowing."""

    subject: str
    state: State
    detail: str
    fix: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the finding as `--format json` prints it."""
        return {"subject": self.subject, "state": self.state, "detail": self.detail, "fix": self.fix}


def examine(settings: Path | None) -> tuple[Finding, ...]:
    """Look at everything policyd needs on this machine."""
    found = [_engine()]
    authority, finding = _settings(settings)
    operator = authority.settings if authority else None
    found += [_sandbox(operator), _helper("git", operator, _WITHOUT_GIT), _helper("opa", operator, _WITHOUT_OPA)]
    found.append(finding)
    if authority is not None:
        found += list(_keys(authority))
        found += [
            _folder("store", Path(authority.settings.store)),
            _folder("state", Path(authority.settings.state)),
            _policy_set(authority),
        ]
        found += [_target(name, target.folder) for name, target in authority.settings.targets.items() if target.folder]
    return tuple(found)


def exit_code(findings: tuple[Finding, ...]) -> ExitCode:
    """Return 0 where everything needed is there, else 2: this machine can't be used as it stands."""
    return ExitCode.USAGE if any(finding.state in ("missing", "broken") for finding in findings) else ExitCode.OK


_WITHOUT_GIT = "source trees are read without git: all files, no commit"
_WITHOUT_OPA = "only the embedded engine is there"


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, "ok", look())
    except PolicydError as error:
        return Finding(subject, "broken", f"{error.cause} ({error.where})", error.fix)


def _engine() -> Finding:
    def look() -> str:
        from policyd.adapters.engines.embedded import EmbeddedEngine
        from policyd.adapters.library import library_files
        from policyd.models.decision import Gate
        from policyd.policy.policy_set import read_policy_set
        from policyd.policy.selecting import select_rules

        library = read_policy_set(library_files(), name="policyd-library")
        with EmbeddedEngine(library) as engine:
            rules = select_rules(library, Gate.RELEASE, "baseline")
            engine.query([rule.entrypoint for rule in rules[:1]], b"{}")
            return f"{engine.ref.name} {engine.ref.version}, {len(library.catalogue)} rules"

    return _tried("embedded engine", look)


def _sandbox(operator: OperatorSettings | None) -> Finding:
    if sys.platform != "linux":
        return Finding("sandbox", "missing", "stages run on Linux only", "check, plan and verify work here")

    def look() -> str:
        sandbox = open_sandbox("bwrap", operator)
        who = f"stages run as uid {sandbox.stage_uid}" if sandbox.stage_uid is not None else "stages run as you"
        return f"bubblewrap works, {who}"

    return _tried("sandbox", look)


def _helper(name: Literal["git", "opa"], operator: OperatorSettings | None, without: str) -> Finding:
    configured = getattr(operator.helpers, name) if operator else None
    try:
        helper = find_helper(name, configured)
    except PolicydError as error:
        return Finding(name, "broken", f"{error.cause} ({error.where})", error.fix)
    if helper is None:
        fix = "apt-get install git" if name == "git" else "tools/go-tools.sh builds it; name it under helpers.opa"
        return Finding(name, "note", f"not installed: {without}", fix)
    return Finding(name, "ok", f"{helper.path}, sha256:{helper.sha256[:12]}")


def _settings(option: Path | None) -> tuple[Authority | None, Finding]:
    try:
        authority = find_authority(option, repository=None)
    except PolicydError as error:
        return None, Finding("settings", "broken", f"{error.cause} ({error.where})", error.fix)
    if authority is None:
        return None, Finding(
            "settings", "missing", "no operator settings: check works (governance: self), run and verify don't",
            "policyd init",
        )  # fmt: skip
    owner = authority.path.stat().st_uid
    who = "root" if owner == 0 else "you" if owner == os.geteuid() else f"uid {owner}"
    return authority, Finding("settings", "ok", f"{authority.path}, owned by {who}, trust policy as pinned")


def _keys(authority: Authority) -> Iterator[Finding]:
    from policyd.adapters.signers.keyfile import load_key
    from policyd.adapters.signers.uri import is_key_uri
    from policyd.attestation.trust_policy import role_keys

    known = role_keys(authority.trust)
    for role, path in authority.settings.keys:
        if is_key_uri(path):
            yield Finding(f"{role} key", "ok", f"{path}, in a device or service; not asked")
            continue
        if not Path(path).exists():
            yield Finding(f"{role} key", "missing", f"{path} is not there", "put it back: a new key is a new identity")
            continue
        asked: list[bool] = []

        def no_password(asked: list[bool] = asked) -> str:
            asked.append(True)
            return os.environ.get("POLICYD_KEY_PASSWORD", "")

        try:
            signer = load_key(Path(path), password=no_password)
        except PolicydError as error:
            if asked:
                yield Finding(f"{role} key", "ok", f"{path}, encrypted; its role is not looked at without passphrase")
            else:
                yield Finding(f"{role} key", "broken", f"{error.cause} ({error.where})", error.fix)
            continue
        if known.get(signer.key_sha256) != role:
            yield Finding(
                f"{role} key", "broken", f"{path}: the trust policy doesn't list it as {role}",
                "list its public key under that role, or put the right key back",
            )  # fmt: skip
        elif asked:
            yield Finding(f"{role} key", "ok", f"{path}, encrypted")
        else:
            yield Finding(
                f"{role} key", "note", f"{path} has no passphrase: whoever reads the file can sign",
                "fine on a machine of your own; else make the keys anew with one",
            )  # fmt: skip


def _folder(name: str, path: Path) -> Finding:
    if not path.exists():
        return Finding(name, "note", f"{path} is not there yet", "the first run makes it")

    def look() -> str:
        require_safe_folder(path)
        return str(path)

    return _tried(name, look)


def _target(name: str, folder: str) -> Finding:
    if not Path(folder).is_dir():
        return Finding(f"target {name}", "missing", f"{folder} is not there", "make the folder")
    return Finding(f"target {name}", "ok", folder)


def _policy_set(authority: Authority) -> Finding:
    unlisted: list[LayerRef] = []

    def look() -> str:
        from policyd.adapters import clock
        from policyd.app.policy_layers import load_layers
        from policyd.attestation.policy_sets import find_unlisted
        from policyd.models.settings import ProjectSettings

        # As a gate does for an artifact: the organisation's and all teams'.
        loaded = load_layers(authority, ProjectSettings(policyd="project/v1"), root=None, now=clock.now())
        layers = [layer.ref for layer in loaded.bind().layers]
        unlisted.extend(filter(None, [find_unlisted(layers, authority.trust)]))
        return ", ".join([layers[0].sha256, *(f"team {ref.name} {ref.sha256}" for ref in layers[1:])])

    finding = _tried("policy set", look)
    for ref in unlisted:
        return Finding(
            "policy set", "broken", f"{ref.name} (sha256:{ref.sha256}) is not one that the trust policy allows",
            "if you know why it changed, add the digest to policy_sets and pin the trust policy anew",
        )  # fmt: skip
    return finding
