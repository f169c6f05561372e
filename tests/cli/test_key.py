"""`policyd key new`, `show` and `rotate`, and keys that are named by URI."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from policyd.adapters.settings import require_authority
from policyd.app.trust_edit import end_key
from policyd.attestation.keys import read_public_key
from policyd.attestation.trust import verify_bundle
from policyd.attestation.trust_policy import read_trust_policy
from policyd.errors import IdentityNotTrusted
from policyd.models.canonical import sha256_hex
from policyd.models.trust import Role, TrustPolicy
from tests.cli.workshop import Workshop, open_workshop
from tests.hsm import PIN, make_token
from tests.timestamping import make_authority, serving

pytestmark = pytest.mark.xdist_group("cli-key")


@pytest.mark.parametrize("algorithm", ["ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-3072"])
def test_a_key_of_any_kind_is_made_and_shown(shop: Workshop, tmp_path: Path, algorithm: str) -> None:
    made = shop.call("key", "new", "--out", tmp_path / "k", "--algorithm", algorithm).require(0)

    for name in ("k.key", "k.pub"):
        shown = shop.call("key", "show", tmp_path / name).require(0)
        assert f"kind         {algorithm}" in shown.out
        assert made.out.splitlines()[-1] in shown.out
        assert "role         none" in shown.out
        document = shop.call("key", "show", tmp_path / name, "--format", "json").require(0).json
        assert document["kind"] == algorithm
        assert document["public_key"] == (tmp_path / "k.pub").read_text()
        assert shop.call("key", "show", tmp_path / name, "--format", "pem").require(0).out == document["public_key"]


def test_a_key_is_shown_with_its_role_and_whether_it_counts(fresh: Workshop) -> None:
    builder = fresh.places.config / "keys" / "builder.pub"

    document = fresh.call("key", "show", builder, "--format", "json").require(0).json
    assert (document["role"], document["in_force"]) == ("builder", True)
    assert "builder of " in fresh.call("key", "show", builder).require(0).out

    person = document["person"]
    trust = fresh.places.config / "trust.yaml"
    text = trust.read_text()
    before, _, after = text.partition("  builder:\n")
    changed = after.replace(
        f'- person: "{person}"', f'- person: "{person}"\n        valid_until: 2020-01-01T00:00:00Z', 1
    )
    fresh.change_trust(text, f"{before}  builder:\n{changed}")
    document = fresh.call("key", "show", builder, "--format", "json").require(0).json
    assert document["in_force"] is False
    assert "valid until" in document["problem"]


@pytest.mark.parametrize("name", ["nothing.pub", "folder", "file"])
def test_what_is_no_key_is_said(shop: Workshop, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("hello")
    (tmp_path / "folder").mkdir()

    shop.call("key", "show", tmp_path / name).require_one_error(2, name)


# --- rotation ---


def _pin(shop: Workshop, proposal: Path, role: str, key: Path) -> None:
    """Do what `key rotate` says is to be done."""
    settings = yaml.safe_load(shop.settings.read_text())
    settings["trust_policy"] = {"path": str(proposal), "sha256": sha256_hex(proposal.read_bytes())}
    settings["keys"][role] = str(key)
    shop.settings.write_text(yaml.safe_dump(settings))


def test_a_rotation_changes_nothing_by_itself(fresh: Workshop) -> None:
    config = fresh.places.config
    before = {path: path.read_bytes() for path in config.rglob("*") if path.is_file()}

    said = fresh.call("key", "rotate", "decider").require(0)

    assert {path: path.read_bytes() for path in before} == before
    proposal = config / "trust.v2.yaml"
    added = {path for path in config.rglob("*") if path.is_file()} - set(before)
    assert added == {proposal, config / "keys" / "decider-2.key", config / "keys" / "decider-2.pub"}
    assert f"trust_policy.sha256: {sha256_hex(proposal.read_bytes())}" in said.out
    assert "Nothing has changed yet" in said.out


def test_a_second_rotation_waits_for_the_first_and_makes_no_key(fresh: Workshop) -> None:
    fresh.call("key", "rotate", "decider").require(0)

    fresh.call("key", "rotate", "builder").require_one_error(2, "proposal already", "trust.v2.yaml")

    assert not (fresh.places.config / "keys" / "builder-2.key").exists()


def test_what_is_proposed_is_the_trust_policy_with_one_more_key(fresh: Workshop) -> None:
    before = require_authority(fresh.settings, repository=None).trust
    fresh.call("key", "rotate", "builder", "--algorithm", "ecdsa-p384", "--until", "2100-01-01").require(0)

    content = json.dumps(yaml.safe_load((fresh.places.config / "trust.v2.yaml").read_text()), default=_rfc3339)
    after = read_trust_policy(content.encode(), where="trust.v2.yaml")

    assert after.version == before.version + 1
    old, new = after.roles[Role.BUILDER].keys
    assert old.public_key == before.roles[Role.BUILDER].keys[0].public_key
    assert old.valid_until is not None
    assert new.person == old.person
    assert new.valid_until is None
    assert [entry.max_level for entry in after.builders] == [before.builders[0].max_level] * 2
    assert len({entry.key_sha256 for entry in after.builders}) == 2
    unchanged = {role: policy for role, policy in after.roles.items() if role is not Role.BUILDER}
    assert unchanged == {role: policy for role, policy in before.roles.items() if role is not Role.BUILDER}
    assert after.policy_sets == before.policy_sets


def _rfc3339(value: object) -> str:
    return value.isoformat()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nobody"], "There is no role"),
        (["builder", "--person", "nobody"], "no such key"),
        (["log", "--algorithm", "ecdsa-p256"], "Ed25519"),
        (["builder", "--new-key", "missing.pub"], "missing.pub"),
        (["builder", "--new-key", "KEYS/decider.pub"], "decider"),
        (["builder", "--new-key", "KEYS/builder.pub"], "twice"),
    ],
    ids=["role", "person", "log", "missing", "role of another", "itself"],
)
def test_a_rotation_that_can_not_be_is_said(fresh: Workshop, arguments: list[str], text: str) -> None:
    keys = str(fresh.places.config / "keys")

    said = fresh.call("key", "rotate", *(one.replace("KEYS", keys) for one in arguments))

    said.require_one_error(2, text)
    assert not (fresh.places.config / "trust.v2.yaml").exists()


@pytest.mark.usefixtures("bwrap")
def test_after_a_rotation_of_every_key_runs_go_on_and_what_was_there_verifies(fresh: Workshop) -> None:
    """The record above all: its origin is the log's key, and its history must not begin anew."""
    config = fresh.places.config
    first = fresh.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
    for version, role in enumerate(("decider", "builder", "verifier", "log"), 2):
        fresh.call("key", "rotate", role).require(0)
        _pin(fresh, config / f"trust.v{version}.yaml", role, config / "keys" / f"{role}-{version}.key")

    second = fresh.policyd("run", "pipeline.yaml", "--format", "json").require(0).json

    assert first["released"][0]["verdict"] == second["released"][0]["verdict"] == "allow"
    artifact = fresh.places.targets / "local" / "greeting"
    fresh.policyd("verify", artifact).require(0)
    report = fresh.call("record", "verify", "--format", "json").require(0).json
    assert report["runs"] == 2
    assert len([one for one in report["checkpoints"] if one["outside"]]) == 2
    assert report["notes"] == []


@pytest.mark.usefixtures("bwrap")
def test_a_record_put_back_shows_against_a_checkpoint_of_the_log_key_before(fresh: Workshop) -> None:
    """An old key's kept checkpoint counts after its rotation, or rotation would be how to hide a rollback."""
    config = fresh.places.config
    record = fresh.store / "record" / "record.sqlite"
    fresh.policyd("run", "pipeline.yaml").require(0)
    yesterday = {path: path.read_bytes() for path in record.parent.iterdir()}
    fresh.policyd("run", "pipeline.yaml").require(0)
    fresh.call("key", "rotate", "log").require(0)
    _pin(fresh, config / "trust.v2.yaml", "log", config / "keys" / "log-2.key")
    for path in record.parent.iterdir():
        path.unlink()
    for path, content in yesterday.items():
        path.write_bytes(content)

    fresh.policyd("run", "pipeline.yaml").require(1).require_error("was cut or an old copy was put back")
    fresh.call("record", "verify").require_one_error(1)


def test_a_rotation_to_a_key_on_a_token_names_its_uri(fresh: Workshop, tmp_path: Path, softhsm: Path) -> None:
    token = make_token(tmp_path / "token", softhsm)
    env = {**token.environment, "POLICYD_KEY_PASSWORD": PIN}

    said = fresh.policyd("key", "rotate", "verifier", "--new-key", token.uri(1), env=env).require(0)

    assert f"keys.verifier: {token.uri(1)}" in said.out


# --- keys by URI ---


def test_a_key_on_a_token_signs_and_attests_files(shop: Workshop, tmp_path: Path, softhsm: Path, cosign: Path) -> None:
    token = make_token(tmp_path / "token", softhsm)
    env = {**token.environment, "POLICYD_KEY_PASSWORD": PIN}
    (tmp_path / "file").write_bytes(b"hello\n")
    (tmp_path / "p.json").write_text('{"a": 1}')
    key = ("--key", token.uri(1))

    shop.policyd("sign", "file", *key, "--bundle", "s.json", cwd=tmp_path, env=env).require(0)
    statement = ("--predicate", "p.json", "--predicate-type", "https://example.com/x")
    shop.policyd("attest", "file", *key, "--bundle", "a.json", *statement, cwd=tmp_path, env=env).require(0)
    shown = shop.policyd("key", "show", token.uri(1), "--format", "pem", env=env).require(0)

    (tmp_path / "k.pub").write_text(shown.out)
    for command in (["verify-blob", "--bundle", "s.json"], ["verify-blob-attestation", "--bundle", "a.json"]):
        kind = ["--type", "https://example.com/x"] if "attestation" in command[0] else []
        done = subprocess.run(
            [str(cosign), *command, *kind, "--key", "k.pub", "--insecure-ignore-tlog", "file"],
            cwd=tmp_path,
            env={"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    shop.policyd("sign", "file", *key, "--bundle", "w.json", cwd=tmp_path, env={**env, "POLICYD_KEY_PASSWORD": "0"})
    assert not (tmp_path / "w.json").exists()


@pytest.mark.usefixtures("bwrap")
def test_a_run_signs_with_a_key_on_a_token(tmp_path: Path, softhsm: Path) -> None:
    token = make_token(tmp_path / "token", softhsm)
    env = {**token.environment, "POLICYD_KEY_PASSWORD": PIN}
    with open_workshop() as shop:
        rotated = shop.policyd("key", "rotate", "decider", "--new-key", token.uri(2), env=env).require(0)
        assert "decider" in rotated.out
        _pin(shop, shop.places.config / "trust.v2.yaml", "decider", Path("/"))
        shop.change_settings("decider: /\n", f'decider: "{token.uri(2)}"\n')

        run = shop.policyd("run", "pipeline.yaml", "--format", "json", env=env).require(0).json

        assert run["released"][0]["verdict"] == "allow"
        shop.policyd("run", "pipeline.yaml", env={**env, "POLICYD_KEY_PASSWORD": "0000"}).require_one_error(2, "Pin")


# --- timestamps ---


@pytest.mark.usefixtures("bwrap")
def test_the_evidence_of_a_run_outlives_the_runners_keys_with_timestamps(tmp_path: Path) -> None:
    with serving(make_authority(tmp_path / "tsa")) as authority, open_workshop() as shop:
        trust = shop.places.config / "trust.yaml"
        chain = "".join(f"      {line}\n" for line in authority.chain.splitlines())
        entry = f"timestamp_authorities:\n  - name: tsa\n    certificate_chain: |\n{chain}"
        shop.change_trust(trust.read_text(), trust.read_text() + entry)
        plain = shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
        shop.settings.write_text(shop.settings.read_text() + f'timestamp: {{url: "{authority.url}"}}\n')
        stamped = shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
        shop.policyd("verify", shop.places.targets / "local" / "greeting").require(0)
        later = _ended(require_authority(shop.settings, repository=None).trust)
        bundles = {
            run["manifest"]["run_id"]: [
                (role, shop.object(sha256).read_bytes())
                for role, digests in (
                    (Role.BUILDER, (run["manifest_sha256"], *run["manifest"]["attestations"])),
                    (Role.DECIDER, run["manifest"]["decisions"]),
                    (Role.VERIFIER, (run["released"][0]["summary_sha256"],)),
                )
                for sha256 in digests
            ]
            for run in (plain, stamped)
        }

    in_a_year = datetime.now(UTC) + timedelta(days=365)
    for role, bundle in bundles[stamped["manifest"]["run_id"]]:
        assert verify_bundle(bundle, later, role=role, now=in_a_year, where="x")
    for role, bundle in bundles[plain["manifest"]["run_id"]]:
        with pytest.raises(IdentityNotTrusted):
            verify_bundle(bundle, later, role=role, now=in_a_year, where="x")


@pytest.mark.usefixtures("bwrap")
def test_where_the_trust_policy_asks_for_timestamps_a_release_needs_them(tmp_path: Path) -> None:
    with serving(make_authority(tmp_path / "tsa")) as authority, open_workshop() as shop:
        trust, greeting = shop.places.config / "trust.yaml", shop.places.targets / "local" / "greeting"
        chain = "".join(f"      {line}\n" for line in authority.chain.splitlines())
        shop.policyd("run", "pipeline.yaml").require(0)
        asking = trust.read_text() + f"timestamp_authorities:\n  - name: tsa\n    certificate_chain: |\n{chain}"
        for role in ("decider", "builder", "verifier"):
            asking = asking.replace(f"  {role}:\n", f"  {role}:\n    witnesses: [timestamp]\n", 1)
        shop.change_trust(trust.read_text(), asking)

        refused = shop.policyd("verify", greeting).require(1)
        shop.policyd("run", "pipeline.yaml").require_one_error(2, "must have timestamp, and what runs sign has none")
        shop.settings.write_text(shop.settings.read_text() + f'timestamp: {{url: "{authority.url}"}}\n')
        shop.policyd("run", "pipeline.yaml").require(0)
        shop.policyd("verify", greeting).require(0)

    assert "the bundle has no timestamp, which the role" in refused.out + refused.err


def _ended(trust: TrustPolicy) -> TrustPolicy:
    """Return `trust` as it is when all its keys end tomorrow."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for policy in trust.roles.values():
        for listed in policy.keys:
            sha256 = read_public_key(listed.public_key, where="x").sha256
            trust = end_key(trust, sha256, valid_until=tomorrow)
    return trust


@pytest.mark.usefixtures("bwrap")
def test_a_run_without_the_timestamps_that_the_operator_asks_for_does_not_start(fresh: Workshop) -> None:
    fresh.settings.write_text(fresh.settings.read_text() + 'timestamp: {url: "http://127.0.0.1:9/tsa"}\n')

    fresh.policyd("run", "pipeline.yaml").require_one_error(3, "timestamp", "127.0.0.1:9")

    assert not (fresh.places.targets / "local" / "greeting").exists()
