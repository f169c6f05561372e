"""Other tools that look for weaknesses in pipelines: how each is run, and which rules of policyd its checks speak of.

Every tool is run offline, with its own defaults but for the options that `COMMANDS` shows. What a check is about is
what its public documentation says; a check of which policyd has no rule (spelling, style, unknown labels) is left out,
and so is one that needs a network or a configuration of its own: `NOT_ASKED` names those.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: What is called, by the name of the column. The folder or the files of a case follow.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "zizmor": ("zizmor", "--offline", "--no-progress", "--no-config", "--collect=all", "--format=json"),
    "zizmor auditor": (
        "zizmor", "--offline", "--no-progress", "--no-config", "--collect=all", "--persona=auditor", "--format=json",
    ),
    "actionlint": ("actionlint", "-shellcheck=", "-pyflakes=", "-format={{json .}}"),
    "checkov": (
        "checkov", "--skip-download", "--quiet", "--compact", "--output=json", "--framework",
        "github_actions", "gitlab_ci", "azure_pipelines", "secrets", "--directory",
    ),
}  # fmt: skip
#: How each ends with or without findings. zizmor ends with 3 where it has nothing to read.
_ENDS: Mapping[str, Container[int]] = {"zizmor": (0, 3, *range(10, 20)), "actionlint": (0, 1), "checkov": (0, 1)}
#: How each tells its version.
VERSIONS: Mapping[str, tuple[str, ...]] = {
    "zizmor": ("zizmor", "--version"),
    "actionlint": ("actionlint", "-version"),
    "checkov": ("checkov", "--version"),
}
#: Which system's files each reads.
READS: Mapping[str, frozenset[str]] = {
    "zizmor": frozenset({"github"}),
    "zizmor auditor": frozenset({"github"}),
    "actionlint": frozenset({"github"}),
    "checkov": frozenset({"github", "gitlab", "azure", "tekton"}),
}
_ZIZMOR = {
    "adhoc-packages": ("dependencies.unlocked_install",),
    "anonymous-definition": ("hygiene.anonymous_definition",),
    "archived-uses": ("dependencies.archived_component",),
    "artipacked": ("credentials.persisted_checkout", "credentials.leaked_workspace"),
    "bot-conditions": ("flow.spoofable_condition", "flow.auto_merge"),
    "cache-poisoning": ("injection.poisoned_cache",),
    "concurrency-limits": ("hygiene.unlimited_concurrency",),
    "dangerous-triggers": ("flow.dangerous_trigger",),
    "dependabot-cooldown": ("dependencies.update_cooldown",),
    "dependabot-execution": ("dependencies.update_execution",),
    "excessive-permissions": ("permissions.excessive", "permissions.unstated"),
    "github-app": ("credentials.unlimited_app_token",),
    "github-env": ("injection.environment_file_write",),
    "hardcoded-container-credentials": ("credentials.hardcoded_credential",),
    "insecure-commands": ("injection.insecure_commands",),
    "misfeature": ("dependencies.risky_input",),
    "obfuscation": ("dependencies.obfuscated_reference",),
    "overprovisioned-secrets": ("credentials.all_secrets",),
    "secrets-inherit": ("credentials.inherited_secrets",),
    "secrets-outside-env": ("credentials.secret_outside_environment",),
    "self-hosted-runner": ("isolation.self_hosted_runner",),
    "superfluous-actions": ("dependencies.superfluous_component",),
    "template-injection": (
        "injection.untrusted_expression",
        "injection.unconstrained_input",
        "injection.untrusted_flow",
        "injection.untrusted_call",
    ),
    "typosquat-uses": ("dependencies.lookalike_component",),
    "undocumented-permissions": ("permissions.undocumented",),
    "unpinned-images": ("dependencies.unpinned_image",),
    "unpinned-tools": ("dependencies.unpinned_tool",),
    "unpinned-uses": ("dependencies.unpinned_component",),
    "unredacted-secrets": ("credentials.unredacted_secret",),
    "unsound-condition": ("flow.always_true_condition",),
    "unsound-contains": ("flow.substring_condition",),
    "unsound-ternary": ("flow.ternary_condition",),
    "use-trusted-publishing": ("credentials.long_lived_publish_token",),
}
#: Which rules a check of a tool speaks of.
CHECKS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "zizmor": _ZIZMOR,
    "zizmor auditor": _ZIZMOR,
    "actionlint": {
        "credentials": ("credentials.hardcoded_credential",),
        "deprecated-commands": ("injection.deprecated_command",),
        "expression: potentially untrusted": ("injection.untrusted_expression", "injection.untrusted_call"),
        "if-cond": ("flow.always_true_condition",),
    },
    "checkov": {
        "CKV_AZUREPIPELINES_1": ("dependencies.unpinned_image",),
        "CKV_AZUREPIPELINES_2": ("dependencies.unpinned_image",),
        "CKV_AZUREPIPELINES_3": ("credentials.literal_secret_variable",),
        "CKV_GHA_1": ("injection.insecure_commands",),
        "CKV_GHA_2": ("injection.untrusted_expression",),
        "CKV_GHA_3": ("credentials.secret_sent",),
        "CKV_GHA_4": ("injection.reverse_shell",),
        "CKV_GHA_5": ("integrity.unsigned_release",),
        "CKV_GHA_6": ("integrity.release_without_sbom",),
        "CKV_GHA_7": ("flow.unconstrained_dispatch",),
        "CKV2_GHA_1": ("permissions.excessive", "permissions.unstated"),
        "CKV_GITLABCI_1": ("credentials.secret_sent",),
        "CKV_GITLABCI_2": ("flow.double_pipelines",),
        "CKV_SECRET": ("credentials.hardcoded_credential",),
    },
}
#: Checks of theirs that could speak of a rule of policyd and are not counted, with the reason.
NOT_ASKED: Mapping[str, str] = {
    "zizmor known-vulnerable-actions, ref-version-mismatch": "ask GitHub",
    "zizmor impostor-commit, ref-confusion, stale-action-refs": "ask GitHub; policyd has no such rule",
    "zizmor forbidden-uses": "says nothing without a list of its own",
    "zizmor insecure-url-scheme": "reads pre-commit's files, which policyd does not",
    "zizmor self-repository": "policyd has no such rule",
    "actionlint's other kinds": "syntax, types, labels, globs: policyd has no such rules",
    "checkov CKV_GITLABCI_3, CKV_AZUREPIPELINES_5": "list images, whether pinned or not",
}


#: Which system's files a check reads, by the beginning of its name; every other one reads all that its tool does.
_ONLY = {"CKV_AZUREPIPELINES": "azure", "CKV_GHA": "github", "CKV2_GHA": "github", "CKV_GITLABCI": "gitlab"}


def rules_of(peer: str, system: str) -> frozenset[str]:
    """Return the rules that some check of a tool speaks of in a system's files."""
    return frozenset(
        rule
        for check, rules in CHECKS[peer].items()
        if system in READS[peer] and _ONLY.get(check.rpartition("_")[0], system) == system
        for rule in rules
    )


@dataclass(frozen=True, order=True, slots=True)
class Said:
    """That a tool names the lines `first` to `last` of a file of a case, and for which of its checks."""

    case: str
    file: str
    first: int
    last: int
    check: str


def version(tool: str) -> str | None:
    """Return the version that a tool tells, or `None` where it is not installed."""
    if shutil.which(VERSIONS[tool][0]) is None:
        return None
    said = _run(VERSIONS[tool], Path.cwd())
    return next((word.lstrip("v") for word in said.split() if word.lstrip("v")[:1].isdigit()), "unknown")


def ask(peer: str, folder: Path, cases: Mapping[str, Iterable[str]]) -> Iterator[Said]:
    """Yield what a tool says about `cases`: repositories below `folder`, each with the paths of its files."""
    if peer == "checkov":
        yield from _ask_checkov(folder)
        return
    for case, files in cases.items():
        if peer == "actionlint":
            workflows = [file for file in files if file.startswith(".github/workflows/")]
            if workflows:
                yield from _ask_actionlint(case, folder / case, workflows)
        else:
            yield from _ask_zizmor(peer, case, folder / case)


def _ask_zizmor(peer: str, case: str, folder: Path) -> Iterator[Said]:
    said = _run((*COMMANDS[peer], "."), folder)
    for finding in json.loads(said) if said.strip() else []:
        for location in finding["locations"]:
            if location["symbolic"]["kind"] == "Primary":
                (file,) = location["symbolic"]["key"]["Local"].values()
                start, end = (location["concrete"]["location"][point] for point in ("start_point", "end_point"))
                last = end["row"] + (end["column"] > 0)  # what ends before the first column ends the line before
                yield Said(case, file.removeprefix("./"), start["row"] + 1, last, finding["ident"])


def _ask_actionlint(case: str, folder: Path, files: list[str]) -> Iterator[Said]:
    for error in json.loads(_run((*COMMANDS["actionlint"], *files), folder) or "[]") or []:
        check = error["kind"]
        if check == "expression" and "potentially untrusted" in error["message"]:
            check = "expression: potentially untrusted"
        yield Said(case, error["filepath"], error["line"], error["line"], check)


def _ask_checkov(folder: Path) -> Iterator[Said]:
    """Ask about all cases at once: checkov takes seconds to start."""
    answers = json.loads(_run((*COMMANDS["checkov"], "."), folder))
    for answer in answers if isinstance(answers, list) else [answers]:
        for failed in answer.get("results", {}).get("failed_checks", []):
            case, file = _split(folder, failed["file_path"].lstrip("/"))
            first, last = failed["file_line_range"]
            check = failed["check_id"]
            yield Said(case, file, first, last, "CKV_SECRET" if check.startswith("CKV_SECRET") else check)


def _split(folder: Path, path: str) -> tuple[str, str]:
    """Return a case and the path in it: a case is the first folder on the way that holds `.git`."""
    parts = path.split("/")
    for length in range(1, len(parts)):
        if (folder.joinpath(*parts[:length]) / ".git").is_dir():
            return "/".join(parts[:length]), "/".join(parts[length:])
    raise ValueError(f"no case holds {path!r}")


def _run(argv: tuple[str, ...], folder: Path) -> str:
    """Return what a command prints; say so where it ends otherwise than with or without findings."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    ended = subprocess.run(
        argv, cwd=folder, env=environment | {"LOG_LEVEL": "ERROR"}, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=900, check=False,
    )  # fmt: skip
    if ended.returncode not in _ENDS.get(argv[0], (0,)):
        said = ended.stderr.decode(errors="replace").strip()
        print(f"{argv[0]} ended with {ended.returncode} in {folder}: {said}", file=sys.stderr)
    return ended.stdout.decode(errors="replace")
