"""`policyd init`: everything a single user needs to run a pipeline, once.

Writes what is missing and never touches what is there: keys that are replaced orphan every signature made before.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from policyd.adapters.library import library_files
from policyd.adapters.settings_places import PROJECT_FILE, user_settings_file
from policyd.adapters.signers.keyfile import GeneratedKey, generate_key
from policyd.errors import SettingsError
from policyd.models.canonical import sha256_hex
from policyd.models.settings import OperatorSettings
from policyd.models.statement import (
    APPROVAL_V1,
    CYCLONEDX,
    DECISION_V1,
    LINK_V03,
    MANIFEST_V1,
    POLICY_SET_V1,
    PROVENANCE_V1,
    SPDX,
    TEST_RESULT_V01,
    VSA_V1,
    WAIVER_REVOCATION_V1,
    WAIVER_V1,
)
from policyd.models.trust import TRUST_POLICY_TYPE, Role
from policyd.policy.policy_set import read_policy_set

#: What each role may sign. The log signs checkpoints, which are notes and no statements.
PREDICATE_TYPES = {
    Role.DECIDER: (DECISION_V1,),
    Role.BUILDER: (PROVENANCE_V1, LINK_V03, TEST_RESULT_V01, CYCLONEDX, SPDX, MANIFEST_V1),
    Role.VERIFIER: (VSA_V1,),
    Role.LOG: ("https://c2sp.org/tlog-checkpoint",),
    Role.APPROVER: (APPROVAL_V1,),
    Role.REQUESTER: (WAIVER_V1,),
    Role.WAIVER_APPROVER: (WAIVER_V1, WAIVER_REVOCATION_V1),
    Role.POLICY_AUTHOR: (POLICY_SET_V1,),
    Role.SCANNER: ("https://in-toto.io/attestation/vulns/v0.2",),
    Role.TRUST_AUTHOR: (TRUST_POLICY_TYPE,),
}

STAGE_UID: int = OperatorSettings.model_fields["stage_uid"].default

STARTER = """\
policyd: pipeline/v1
name: {name}
stages:
  # Each stage sees only what it is given here, in a sandbox without network. What it leaves in $OUT must be declared.
  - name: test
    kind: test
    inputs: {{source: true}}
    run: |
      echo "replace this by your tests"
      ls -l

  - name: package
    kind: package
    needs: [test]
    inputs: {{source: true}}
    run: |
      tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - . \\
        | gzip -n > "$OUT/{name}.tar.gz"
    outputs:
      - {{name: archive, path: {name}.tar.gz, type: archive}}
    # A `target` makes a product something to release: add `target: local` once your tests write a JUnit file
    # (results: [{{name: unit, kind: junit, path: junit.xml}}]); an untested product is not released.
"""

PROJECT = """\
# What this project asks beyond the operator's policy: it can add rules and raise levels, never lower them.
policyd: project/v1
# rules: [hygiene.missing_timeout]
# levels: {dependencies.unpinned_component: hard}
# fail_on: low
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a user's own authority, store and checkpoints stand."""

    config: Path
    data: Path
    state: Path
    targets: Path

    @property
    def settings(self) -> Path:
        """Operator settings."""
        return self.config / "settings.yaml"

    @classmethod
    def of_user(cls) -> Places:
        """Return the folders that the system reserves for this user (XDG on Linux)."""
        return cls(
            config=user_settings_file().parent,
            data=platformdirs.user_data_path("policyd"),
            state=platformdirs.user_state_path("policyd"),
            targets=_user_targets(),
        )


@dataclass(slots=True)
class Initialised:
    """What `init` did: files written, files left as they were, what was pinned, and pipelines found."""

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    pinned: list[tuple[str, str]] = field(default_factory=list)
    pipelines: list[str] = field(default_factory=list)
    empty_passphrase: bool = False


def initialise(folder: Path, password: str, places: Places | None = None) -> Initialised:
    """Write project files into `folder` and, where there are none yet, settings, trust policy and keys.

    `places` is the user's own when None. `password` encrypts the keys; the empty one leaves them to whoever reads the
    file (mode 0600).
    """
    from policyd.adapters.sources.discovery import find_pipeline_files

    done = Initialised()
    done.pipelines = [found.path for found in find_pipeline_files(folder)]
    _write_authority(done, password, places or Places.of_user())
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_") or "project"
    _write_new(done, folder / PROJECT_FILE, PROJECT)
    _write_new(done, folder / "pipeline.yaml", STARTER.format(name=name[:63]))
    return done


def has_authority() -> bool:
    """True where this user already has operator settings, so that no passphrase need be asked."""
    return user_settings_file().exists()


def _write_authority(done: Initialised, password: str, places: Places) -> None:
    settings_path, folder = places.settings, places.config
    trust_path = folder / "trust.yaml"
    key_folder = folder / "keys"
    if settings_path.exists():
        done.kept.append(settings_path)
        return
    if trust_path.exists() or key_folder.exists():
        raise SettingsError(
            "there are keys or a trust policy but no settings: an earlier set-up was cut short or moved",
            where=str(folder),
            fix="put settings.yaml back, or move the folder away and run init again",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_folder.mkdir(mode=0o700)
    data = places.data
    target = places.targets / "local"
    (data / "store").mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_target(target)
    places.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    signers: dict[Role, GeneratedKey] = {}
    for role in Role:
        path = key_folder / f"{role.value}.key"
        signers[role] = generate_key(path, algorithm="ed25519" if role is Role.LOG else "ecdsa-p256", password=password)
        done.written.append(path)
    done.empty_passphrase = password == ""

    policy_sha256 = read_policy_set(library_files(), name="policyd-library").sha256
    builder = f"https://policyd.local/{re.sub(r'[^A-Za-z0-9.-]+', '-', socket.gethostname()) or 'host'}"
    trust = _render_trust(signers, builder, policy_sha256)
    _write_new(done, trust_path, trust)
    _write_new(
        done, settings_path, _render_settings(trust_path, trust, data, places.state, builder, key_folder, target)
    )
    done.pinned = [
        ("trust policy", sha256_hex(trust.encode())),
        ("policy set (the library of this policyd)", policy_sha256),
        *((f"{role.value} key", signer.key_sha256) for role, signer in signers.items()),
    ]


def _user_targets() -> Path:
    """Return where this user's targets stand: for root a place that the uid stages run as can reach, unlike /root."""
    if os.geteuid() == 0 and "XDG_DATA_HOME" not in os.environ:
        return Path("/srv/policyd/targets")
    return platformdirs.user_data_path("policyd") / "targets"


def _make_target(target: Path) -> None:
    """Make the folder that deploy stages write to; as root it belongs to the uid that stages run as."""
    if os.geteuid() != 0:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    missing = [folder for folder in (target, *target.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)  # whatever the umask: stages pass through, and can't list
    if target in missing:
        os.chown(target, STAGE_UID, STAGE_UID)
        target.chmod(0o755)


def _render_trust(signers: dict[Role, GeneratedKey], builder: str, policy_sha256: str) -> str:
    person = _person()
    lines = [
        "# Whose signature counts for what. Pinned by digest in settings.yaml beside it.",
        "policyd: trust/v1",
        "name: local",
        "version: 1",
        "roles:",
    ]
    for role, signer in signers.items():
        lines += [
            f"  {role.value}:",
            f"    predicate_types: [{', '.join(PREDICATE_TYPES[role])}]",
            "    keys:",
            f'      - person: "{person}"',
            "        public_key: |",
            textwrap.indent(signer.public_key_pem.strip(), " " * 10),
        ]
    lines += [
        "# The highest SLSA Build level a builder may claim. A machine of one's own is level 1: see docs/slsa.md.",
        "builders:",
        f"  - id: {builder}/local/bwrap",
        f"    key_sha256: {signers[Role.BUILDER].key_sha256}",
        "    max_level: 1",
        "# Who may sum up a release: a summary counts only from these ids with these keys.",
        "verifiers:",
        f"  - id: {builder}/verifier",
        f"    key_sha256: {signers[Role.VERIFIER].key_sha256}",
        "# Decisions made with any other policy set don't count.",
        "policy_sets:",
        f"  - {policy_sha256}",
        "",
    ]
    return "\n".join(lines)


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers often run as a uid that has no name
        return f"uid {os.geteuid()}"


def _render_settings(
    trust_path: Path, trust: str, data: Path, state: Path, builder: str, key_folder: Path, target: Path
) -> str:
    keys = "\n".join(
        f'  {role.value}: "{key_folder / f"{role.value}.key"}"'
        for role in (Role.DECIDER, Role.BUILDER, Role.VERIFIER, Role.LOG)
    )
    return f"""\
# Operator settings: who judges and with what. docs/settings.md lists every field.
policyd: settings/v1
trust_policy:
  path: "{trust_path}"
  sha256: {sha256_hex(trust.encode())}
store: "{data / "store"}"
state: "{state}"
builder_id: {builder}
verifier_id: {builder}/verifier
keys:
{keys}
targets:
  local:
    uri: policyd://local
    folder: "{target}"
"""


def _write_new(done: Initialised, path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        done.kept.append(path)
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    done.written.append(path)
