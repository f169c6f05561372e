"""`policyd waiver`: what is granted counts, once, in one place; and every way around that is refused."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from policyd.attestation.dsse import read_base64
from tests.cli.workshop import RELEASING, Said, Workshop, on_terminal, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-waiver")

RULE = "dependencies.unverified_script"
LINE = "curl -s https://example.com/x | sh"
BAD = one_stage(f"'{LINE}'", kind="scan")
REASON = "the vendor publishes no digests yet"


@dataclass
class Team:
    """A workshop with two more waiver approvers and a requester who is nobody else."""

    shop: Workshop

    @property
    def keys(self) -> Path:
        return self.shop.home / "keys"

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.key"

    def own(self, role: str) -> Path:
        """A key that `policyd init` made."""
        return self.shop.places.config / "keys" / f"{role}.key"

    def add(self, role: str, person: str, name: str, *more: str) -> None:
        """Give `person` a key in the trust policy."""
        self.keys.mkdir(exist_ok=True)
        self.shop.call("keygen", "--out", self.keys / name).require(0)
        pem = textwrap.indent((self.keys / f"{name}.pub").read_text(), " " * 10)
        lines = "".join(f"        {line}\n" for line in more)
        entry = f'      - person: "{person}"\n{lines}        public_key: |\n{pem}'
        trust = (self.shop.places.config / "trust.yaml").read_text()
        start = trust.index("    keys:\n", trust.index(f"  {role}:\n")) + len("    keys:\n")
        self.shop.change_trust(trust, trust[:start] + entry + trust[start:])

    def request(self, *more: object, rule: str = RULE, place: str = "pipeline.yaml", key: str = "alice") -> Said:
        given = ("--reason", REASON) if "--reason" not in more else ()
        until = ("--expires", "30d") if "--expires" not in more else ()
        return self.shop.call("waiver", "request", rule, place, *given, *until, "--key", self.key(key), *more)

    def approve(self, file: Path, key: str = "bob") -> Said:
        return self.shop.call("waiver", "approve", file, "--key", self.key(key), "--yes")

    def revoke(self, name: object, reason: str) -> Said:
        return self.shop.call("waiver", "revoke", name, "--reason", reason, "--key", self.key("carol"))

    def files(self) -> list[Path]:
        return sorted((self.shop.project / "waivers").glob("*.json"))

    def requested(self, *more: object, **options: Any) -> Path:
        before = set(self.files())
        self.request(*more, **options).require(0)
        (file,) = set(self.files()) - before
        return file

    def granted(self, *more: object, **options: Any) -> Path:
        file = self.requested(*more, **options)
        self.approve(file).require(0)
        return file

    def check(self, code: int, *more: object) -> Said:
        return self.shop.call("check", "pipeline.yaml", *more).require(code)

    def decision(self, code: int, *more: object) -> Any:
        return self.check(code, "--format", "json", *more).json["decisions"][0]["decision"]

    def states(self) -> dict[str, str]:
        listed = self.shop.call("waiver", "list", "--format", "json").require(0).json["waivers"]
        return {Path(one["source"]).name: one["state"] for one in listed}

    def why(self, file: Path, state: str) -> str:
        """Return why a waiver does not count: as every decision, and the list, say it."""
        (note,) = [note for note in self.decision(1)["waivers"] if note["source"].endswith(file.name)]
        assert note["state"] == state, note
        assert self.states()[file.name] == state
        return str(note["why"])


@pytest.fixture(scope="module")
def made() -> Iterator[Team]:
    with open_workshop() as shop:
        team = Team(shop)
        team.add("requester", "alice", "alice")
        team.add("waiver-approver", "alice", "alice-approver")
        team.add("waiver-approver", "bob", "bob")
        team.add("waiver-approver", "bob", "bob-2")
        team.add("waiver-approver", "carol", "carol")
        yield team


@pytest.fixture
def team(made: Team) -> Iterator[Team]:
    """The team, before any waiver. Settings, trust policy and state are put back afterwards."""
    config = made.shop.places.config
    project = made.shop.project / "policyd.yaml"
    kept = {path: path.read_bytes() for path in (config / "settings.yaml", config / "trust.yaml", project)}
    made.shop.write(BAD)
    yield made
    for path, content in kept.items():
        path.write_bytes(content)
    for folder in (made.shop.project / "waivers", made.shop.places.state / "revoked-waivers"):
        if folder.is_symlink():
            folder.unlink()
        elif folder.is_dir():
            for file in folder.iterdir():
                file.unlink() if file.is_file() or file.is_symlink() else file.rmdir()
            folder.rmdir()


def envelope(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_bytes()))


def statement(file: Path) -> dict[str, Any]:
    return dict(json.loads(read_base64(envelope(file)["payload"], where="")))


def clock(shift: str) -> str:
    return (
        "from datetime import timedelta\n"
        "from policyd.adapters import clock\n"
        "real = clock.now\n"
        f"clock.now = lambda: real() + timedelta({shift})\n"
    )


# --- What is granted. ---


def test_a_request_says_what_it_is_for_and_who_can_grant_it(team: Team) -> None:
    said = team.request(place="pipeline.yaml:6").require(0)

    (file,) = team.files()
    assert f"wrote  waivers/{file.name}\n" in said.out
    assert "asked by    alice" in said.out
    assert f"because     {REASON}" in said.out
    assert f": policyd waiver approve waivers/{file.name} --key KEY" in said.out
    assert "bob or carol" in said.out
    assert "alice or" not in said.out
    predicate = statement(file)["predicate"]
    assert (predicate["rule"], predicate["file"], predicate["at"]) == (RULE, "pipeline.yaml", ["effects", 0])
    assert statement(file)["subject"] == [{"name": "pipeline.yaml", "digest": {"sha256": predicate["part_sha256"]}}]


def test_a_request_alone_lifts_nothing(team: Team) -> None:
    file = team.requested()

    assert team.why(file, "requested") == "nobody has approved it yet"
    assert "waiver requested  waivers/" in team.check(1).out
    team.shop.call("waiver", "check").require(0)


def test_what_a_waiver_permits_is_allowed_and_every_report_says_so(team: Team) -> None:
    team.check(1)
    file = team.requested()

    said = team.approve(file).require(0)

    assert f"run: '{LINE}'" in said.out
    assert REASON in said.out
    assert "approved by bob: it is complete" in said.out
    decision = team.decision(0)
    (violation,) = [one for one in decision["violations"] if one["effect"] == "waived"]
    (note,) = decision["waivers"]
    assert decision["verdict"] == "allow"
    assert violation["waiver"] == note["sha256"]
    assert (note["state"], note["requested_by"], note["approved_by"]) == ("used", ["alice"], ["bob"])
    text = " ".join(team.check(0).out.split())
    assert f"waiver waivers/{file.name}, by bob until" in text
    assert REASON in text
    (result,) = [one for one in team.check(0, "--format", "sarif").json["runs"][0]["results"] if one["ruleId"] == RULE]
    assert REASON in result["suppressions"][0]["justification"]
    assert "<skipped" in team.check(0, "--format", "junit").out
    assert team.states() == {file.name: "used"}


def test_two_who_approve_one_after_the_other_meet_a_threshold_of_two(team: Team) -> None:
    team.shop.change_trust("  waiver-approver:\n", "  waiver-approver:\n    threshold: 2\n")
    file = team.requested()

    assert "1 more to go" in team.approve(file, "bob").require(0).out
    assert "1 of the 2 required persons" in team.why(file, "requested")
    assert "it is complete" in team.approve(file, "carol").require(0).out

    assert team.decision(0)["waivers"][0]["approved_by"] == ["bob", "carol"]
    assert len(envelope(file)["signatures"]) == 3


def test_signatures_that_were_added_on_two_machines_can_be_put_together(team: Team) -> None:
    team.shop.change_trust("  waiver-approver:\n", "  waiver-approver:\n    threshold: 2\n")
    file = team.requested()
    content = file.read_bytes()
    team.approve(file, "bob").require(0)
    first = envelope(file)
    file.write_bytes(content)
    team.approve(file, "carol").require(0)
    second = envelope(file)

    file.write_text(json.dumps({**first, "signatures": [*first["signatures"], *second["signatures"]]}))

    team.check(0)


def test_it_lasts_when_lines_move_and_ends_when_the_part_is_edited(team: Team) -> None:
    file = team.granted()

    team.shop.write(BAD.replace("stages:", "# a comment\nstages:"))
    team.check(0)
    team.shop.write(BAD.replace("/x", "/y"))

    assert team.why(file, "orphaned") == "the part that it was given for has changed or is gone"


def test_a_copy_of_what_was_permitted_is_not_permitted(team: Team) -> None:
    file = team.granted()
    (team.shop.project / "waivers" / "again.json").write_bytes(file.read_bytes())
    team.shop.write(one_stage("|", f"  {LINE}", f"  {LINE}", kind="scan"))

    decision = team.decision(1)

    effects = [one["effect"] for one in decision["violations"] if one["rule"] == RULE]
    assert sorted(effects) in (["deny", "waived"], ["deny", "deny"])
    assert {note["state"] for note in decision["waivers"]} <= {"used", "unused", "orphaned"}


def test_a_command_put_in_above_leaves_the_waiver_in_force(team: Team) -> None:
    team.shop.write(one_stage("|", f"  {LINE}", kind="scan"))
    team.granted()

    team.shop.write(one_stage("|", "  true", f"  {LINE}", kind="scan"))

    team.check(0)


def test_what_is_mended_leaves_an_unused_waiver_that_is_reported(team: Team) -> None:
    file = team.granted()
    team.shop.write(one_stage("'true'", kind="scan"))

    decision = team.decision(0)

    assert [(note["state"], note["rule"]) for note in decision["waivers"]] == [("orphaned", RULE)]
    assert "waiver orphaned" in team.check(0).out
    assert team.states() == {file.name: "orphaned"}


def test_one_for_a_file_that_is_gone_is_orphaned(team: Team) -> None:
    team.shop.write(BAD, "other.yaml")
    file = team.granted(place="other.yaml")
    (team.shop.project / "other.yaml").unlink()

    assert team.why(file, "orphaned") == "other.yaml is not there any more"


def test_one_that_soon_expires_is_reported_with_every_decision(team: Team) -> None:
    team.granted("--expires", "13d")

    assert team.decision(0)["waivers"][0]["expires_soon"] is True
    assert "expires soon" in team.check(0).out
    assert "expires soon" in team.shop.call("waiver", "list").require(0).out


def test_an_approver_is_asked_on_a_terminal_and_may_say_no(team: Team) -> None:
    file = team.requested()
    asked = ("waiver", "approve", file, "--key", team.key("bob"))

    said = on_terminal(team.shop, *asked, typed={"[y/N]:": "n"}, env={})

    assert said.code == 1, said
    assert REASON in said.out
    team.check(1)
    assert on_terminal(team.shop, *asked, typed={"[y/N]:": "y"}, env={}).code == 0
    team.check(0)


def test_without_a_terminal_nothing_is_signed_unasked(team: Team) -> None:
    file = team.requested()
    before = file.read_bytes()

    said = team.shop.policyd("waiver", "approve", file, "--key", team.key("bob"))

    said.require(2).require_error("no terminal", "--yes")
    assert file.read_bytes() == before


# --- The bound run. ---


@pytest.fixture
def released(team: Team, bwrap: Path) -> Callable[..., Said]:
    """Runs a pipeline whose only fault is waived, and that releases an artifact."""
    # Written, and never run: the sandbox has no network.
    team.shop.write(RELEASING.replace("      grep -q", f"      false && {LINE} || true\n      grep -q"))
    team.granted()

    def run(*more: object) -> Said:
        return team.shop.policyd("run", "pipeline.yaml", *more)

    return run


def test_a_run_rests_on_its_waivers_and_verify_looks_at_them_again(team: Team, released: Callable[..., Said]) -> None:
    said = released("--format", "json").require(0)
    document = said.json
    (file,) = team.files()
    artifact = team.shop.places.targets / "local" / "greeting"

    from policyd.models.canonical import sha256_hex

    evidence = sha256_hex(file.read_bytes())
    assert document["manifest"]["waivers"] == [evidence]
    assert f"waived    {RULE}: waivers/{file.name}, by bob until" in said.err
    assert team.shop.object(evidence).read_bytes() == file.read_bytes()
    verified = team.shop.call("verify", artifact).require(0)
    assert f"; waived: {RULE} by bob until" in " ".join(verified.out.split())
    assert "1 waivers" in verified.out or "1 waiver" in verified.out
    shown = team.shop.call("show", document["manifest"]["run_id"]).require(0)
    assert "1 waiver" in shown.out

    # Revoked since: the decision does not rest on anything any more.
    team.shop.call(
        "waiver", "revoke", file, "--reason", "the vendor was broken into", "--key", team.key("carol")
    ).require(0)
    refused = team.shop.call("verify", artifact).require(1)
    assert "it was revoked: by carol: the vendor was broken into" in " ".join(refused.out.split())


def test_a_plan_binds_the_waivers_it_was_made_with(team: Team, bwrap: Path) -> None:
    file = team.granted()
    team.shop.call("plan", "pipeline.yaml", "--out", "../plan.json").require(0)

    team.revoke(file, "not needed any more").require(0)

    said = team.shop.policyd("run", "--plan", "../plan.json")
    assert said.code == 1, said
    assert "waivers: was" in said.err


def test_a_clock_set_back_brings_no_expired_waiver_to_life(team: Team, bwrap: Path) -> None:
    # A record of its own: no other test could write to one that knows a later day.
    for name in ("store", "state"):
        at = {"store": team.shop.store, "state": team.shop.places.state}[name]
        team.shop.change_settings(f'{name}: "{at}"', f'{name}: "{at.parent / "later" / name}"')
        (at.parent / "later" / name).mkdir(mode=0o700, parents=True)
    team.granted("--expires", "20d")
    # The record gets an entry of a later day; then somebody sets the clock back into the waiver's time.
    team.shop.policyd("run", "pipeline.yaml", script=clock("days=25")).require(1)

    said = team.shop.policyd("run", "pipeline.yaml", script=clock("days=1"))

    said.require(3).require_error("the clock says", "before the newest entry of the record")


def test_a_waiver_for_a_stage_is_found_in_the_record_and_counts_for_that_stage(team: Team, bwrap: Path) -> None:
    rule = "evidence.failed_tests"
    level = f"levels: {{{rule}: soft}}\n"
    text = RELEASING.replace('failures="0"', 'failures="1"').replace(
        '<testcase name="greets"/>', '<testcase name="greets"><failure/></testcase>'
    )
    team.shop.write(text)
    (team.shop.project / "policyd.yaml").write_text(f"policyd: project/v1\n{level}")
    run = team.shop.policyd("run", "pipeline.yaml", "--format", "json")
    denied = [stage for stage in run.json["manifest"]["stages"] if stage["state"] == "denied"]
    assert [stage["name"] for stage in denied] == ["publish"], run

    team.request(rule=rule).require(0)
    files = team.files()
    assert len(files) == 2  # no test passed, and one failed: each is waived by itself
    for file in files:
        team.approve(file).require(0)
    again = team.shop.policyd("run", "pipeline.yaml", "--format", "json")

    ended = {stage["name"]: stage["state"] for stage in again.json["manifest"]["stages"]}
    assert ended["publish"] == "succeeded", again
    assert len(again.json["manifest"]["waivers"]) == 2
    predicate = statement(files[0])["predicate"]
    assert (predicate["gate"], predicate["stage"], predicate["target"]) == ("stage", "publish", "local")
    assert set(team.states().values()) == {"valid"}


def test_a_waiver_for_a_release_binds_the_artifact_and_the_target(team: Team, bwrap: Path) -> None:
    rule = "evidence.untested_release"
    team.shop.write("made in this test alone\n", "data.txt")
    team.shop.write(
        one_stage(
            'cp data.txt "$OUT/greeting"',
            "inputs: {source: [data.txt]}",
            "outputs: [{name: greeting, path: greeting}]",
            "target: local",
        )
    )
    first = team.shop.policyd("run", "pipeline.yaml", "--format", "json").require(1).json
    assert [one["verdict"] for one in first["released"]] == ["deny"]

    file = team.granted(rule=rule, place="data.txt")

    # The first run did not have it: what its manifest does not list lifts nothing.
    team.shop.call("verify", "data.txt").require(1)
    again = team.shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
    predicate = statement(file)["predicate"]
    assert (predicate["artifact_sha256"], predicate["target"]) == (again["released"][0]["sha256"], "local")
    verified = " ".join(team.shop.call("verify", "data.txt").require(0).out.split())
    assert f"; waived: {rule} by bob until" in verified
    # Another artifact of the same name gets nothing from it.
    team.shop.write("hello, hello\n", "data.txt")
    other = team.shop.policyd("run", "pipeline.yaml", "--format", "json").require(1).json
    assert [one["verdict"] for one in other["released"]] == ["deny"]
    team.shop.write("hello\n", "data.txt")


# --- What is refused. ---


def test_who_requested_it_can_not_approve_it(team: Team) -> None:
    file = team.requested()

    team.approve(file, "alice-approver").require_one_error(1, "alice requested this waiver and can't approve it")

    # By hand, with another tool, or with an older trust policy.
    forge(team, file, "alice-approver")
    assert team.why(file, "invalid") == "only alice signed, who requested it"
    team.shop.call("waiver", "check").require(1)


def test_one_person_with_two_keys_is_one_person(team: Team) -> None:
    team.shop.change_trust("  waiver-approver:\n", "  waiver-approver:\n    threshold: 2\n")
    file = team.granted()

    team.approve(file, "bob-2").require_one_error(1, "bob has approved this waiver already")

    forge(team, file, "bob-2")
    assert "1 of the 2 required persons" in team.why(file, "requested")


def test_the_requester_is_none_of_the_two_who_have_to_approve(team: Team) -> None:
    team.shop.change_trust("  waiver-approver:\n", "  waiver-approver:\n    threshold: 2\n")
    file = team.granted()

    forge(team, file, "alice-approver")

    assert "1 of the 2 required persons approved (bob)" in team.why(file, "requested")


def test_one_that_nobody_vouches_for_can_not_be_approved(team: Team) -> None:
    said = team.shop.call("waiver", "request", RULE, "pipeline.yaml", "--reason", REASON, "--expires", "3d").require(0)
    (file,) = team.files()
    assert "not signed" in said.err

    team.approve(file).require_one_error(1, "nobody can be shown to be somebody else")

    forge(team, file, "bob")
    assert "nobody can be shown to be somebody else" in team.why(file, "invalid")


def test_a_request_whose_signature_was_taken_off_does_not_count(team: Team) -> None:
    file = team.granted()
    document = envelope(file)

    file.write_text(json.dumps({**document, "signatures": document["signatures"][1:]}))

    assert "nobody vouches for alice" in team.why(file, "invalid")


def test_one_for_another_file_does_not_count(team: Team) -> None:
    team.granted()
    team.shop.write(BAD, "other.yaml")

    said = team.shop.call("check", "other.yaml", "--format", "json").require(1)

    assert said.json["decisions"][0]["decision"]["waivers"] == []
    (team.shop.project / "other.yaml").unlink()


def test_one_for_another_rule_or_stage_does_not_count(team: Team) -> None:
    team.granted()

    team.shop.write(BAD.replace("name: build", "name: other"))

    team.check(1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file", "other.yaml"),
        ("expires_at", "2099-01-01T00:00:00Z"),
        ("requested_by", "dave"),
        ("rule", "dependencies.insecure_url"),
        ("reason", "something else entirely"),
    ],
)
def test_one_that_was_changed_after_signing_does_not_count(team: Team, field: str, value: str) -> None:
    import base64

    file = team.granted()
    changed = statement(file)
    changed["predicate"][field] = value
    document = envelope(file)

    file.write_text(json.dumps({**document, "payload": base64.b64encode(json.dumps(changed).encode()).decode()}))

    assert team.states()[file.name] == "invalid"
    team.check(1)
    team.shop.call("waiver", "check").require(1)
    team.approve(file, "carol").require_one_error(1, "changed since")


def test_the_signatures_of_one_waiver_do_not_fit_another(team: Team) -> None:
    granted = team.granted()
    team.shop.write(BAD.replace("/x", "/y"))
    other = team.requested()

    other.write_text(json.dumps({**envelope(other), "signatures": envelope(granted)["signatures"]}))

    assert "changed since" in team.why(other, "invalid")


def test_one_that_begins_tomorrow_does_not_count_today(team: Team) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    file = team.granted("--from", tomorrow)

    assert team.why(file, "not yet valid").startswith("it is valid from")
    assert team.shop.policyd("check", "pipeline.yaml", script=clock("days=2")).code == 0


def test_an_expired_one_does_not_count(team: Team) -> None:
    file = team.granted("--expires", "2d")

    said = team.shop.policyd("check", "pipeline.yaml", "--format", "json", script=clock("days=3")).require(1)

    (note,) = said.json["decisions"][0]["decision"]["waivers"]
    assert (note["state"], note["source"]) == ("expired", f"waivers/{file.name}")
    listed = team.shop.policyd("waiver", "check", "--format", "json", script=clock("days=3")).require(0)
    assert listed.json["waivers"][0]["state"] == "expired"
    approved = team.shop.policyd("waiver", "approve", file, "--key", team.key("carol"), "--yes", script=clock("days=3"))
    approved.require_one_error(1, "it expired at")


def test_an_effective_time_judges_waivers_too_and_says_so(team: Team) -> None:
    team.granted("--expires", "2d")
    later = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d")

    decision = team.decision(1, "--effective-time", later)

    assert decision["waivers"][0]["state"] == "expired"
    assert decision["weakened"]


def test_one_beyond_the_operators_maximum_is_refused_at_every_step(team: Team) -> None:
    team.request("--expires", "91d").require_one_error(2, "at most 90 are allowed")
    assert team.files() == []
    file = team.granted("--expires", "90d")

    with team.shop.settings.open("a") as settings:
        settings.write("waivers: {max_days: 30}\n")

    assert "it would last 90 days from its request on, and at most 30 are allowed" in team.why(file, "invalid")
    team.approve(file, "carol").require_one_error(1, "at most 30 are allowed")


def test_a_revoked_one_never_counts_again(team: Team) -> None:
    file = team.granted()
    content = file.read_bytes()

    team.shop.call(
        "waiver", "revoke", file.name[:40], "--reason", "it was a mistake", "--key", team.key("carol")
    ).require(0)

    assert team.why(file, "revoked") == "it was revoked: by carol: it was a mistake"
    team.approve(file, "carol").require_one_error(1, "it was revoked")
    # A branch that leaves the revocation out, and brings the waiver back.
    for found in team.files():
        found.unlink()
    file.write_bytes(content)
    assert team.why(file, "revoked") == "it was revoked: by carol: it was a mistake"


def test_a_revocation_that_came_with_the_repository_counts_and_is_kept_by_a_run(team: Team, bwrap: Path) -> None:
    file = team.granted()
    team.revoke(file, "it was a mistake").require(0)
    kept = team.shop.places.state / "revoked-waivers"
    for path in kept.iterdir():
        path.unlink()
    assert team.why(file, "revoked")

    team.shop.policyd("run", "pipeline.yaml").require(1)

    (revocation,) = [path for path in team.files() if path.name.endswith(".revoked.json")]
    revocation.unlink()
    assert team.why(file, "revoked")


def test_only_a_waiver_approver_can_revoke(team: Team) -> None:
    file = team.granted()
    asked = ("waiver", "revoke", file, "--reason", "I do not like it")

    team.shop.call(*asked, "--key", team.key("alice")).require_one_error(2, "does not list this key as waiver-approver")

    team.shop.call(*asked, "--key", team.key("bob")).require(0)
    (revocation,) = [path for path in team.files() if path.name.endswith(".revoked.json")]
    forged = json.loads(revocation.read_bytes())
    forged["dsseEnvelope"]["signatures"] = envelope(file)["signatures"][:1]
    revocation.write_text(json.dumps(forged))
    for path in (team.shop.places.state / "revoked-waivers").iterdir():
        path.unlink()
    assert team.states() == {file.name: "used", revocation.name: "invalid"}
    team.check(0)


@pytest.mark.parametrize("role", ["approver", "decider", "requester", "policy-author"])
def test_a_key_of_another_role_can_not_approve(team: Team, role: str) -> None:
    file = team.requested()

    said = team.shop.call("waiver", "approve", file, "--key", team.own(role), "--yes")
    said.require_one_error(2, "does not list this key as waiver-approver")

    forge(team, file, team.own(role))
    assert team.states()[file.name] in ("invalid", "requested")
    team.check(1)


def test_a_strangers_key_can_neither_request_nor_approve(team: Team) -> None:
    if not team.key("mallory").exists():
        team.shop.call("keygen", "--out", team.keys / "mallory").require(0)
    team.request(key="mallory").require_one_error(2, "does not list this key as requester")
    file = team.requested()

    team.approve(file, "mallory").require_one_error(2, "does not list this key as waiver-approver")
    forge(team, file, "mallory")

    assert "no signature by a key of the role waiver-approver" in team.why(file, "invalid")


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("revoked_at: 2020-01-01T00:00:00Z", "was revoked at"),
        ("valid_until: 2020-01-01T00:00:00Z", "was valid until"),
        ("valid_from: 2099-01-01T00:00:00Z", "is valid only from"),
    ],
)
def test_an_approval_counts_while_its_key_does(team: Team, when: str, why: str) -> None:
    file = team.granted()
    team.check(0)

    team.shop.change_trust(trusted(team, "bob"), f"{trusted(team, 'bob')}        {when}\n")

    assert why in team.why(file, "invalid")
    team.approve(file).require_one_error(2, "not in force now")


def trusted(team: Team, name: str) -> str:
    """Return the lines of a key in the trust policy."""
    return "        public_key: |\n" + textwrap.indent((team.keys / f"{name}.pub").read_text(), " " * 10)


def test_a_request_counts_while_its_key_does(team: Team) -> None:
    file = team.granted()

    team.shop.change_trust(
        trusted(team, "alice"), f"{trusted(team, 'alice')}        revoked_at: 2020-01-01T00:00:00Z\n"
    )

    assert "its request: the key of alice was revoked" in team.why(file, "invalid")


def test_a_hard_rule_ignores_waivers_and_says_so(team: Team) -> None:
    file = team.granted()
    project = team.shop.project / "policyd.yaml"
    before = project.read_text()
    project.write_text(f"policyd: project/v1\nlevels: {{{RULE}: hard}}\n")
    try:
        assert team.why(file, "ignored") == f"{RULE} is a hard rule here: no waiver lifts it"
        assert f"{RULE} is a hard rule here" in team.check(1).out
        team.request().require_one_error(2, "is a hard rule here")
        team.approve(file, "carol").require_one_error(1, "is a hard rule here")
    finally:
        project.write_text(before)


def test_a_rule_that_only_warns_needs_no_waiver(team: Team) -> None:
    team.shop.write(one_stage("'true'"))
    warned = [one["rule"] for one in team.decision(0)["violations"] if one["level"] == "advisory"]

    team.request(rule=warned[0]).require_one_error(2, "only warns here")


def test_one_for_another_target_does_not_count(team: Team) -> None:
    team.shop.write(BAD + "    target: local\n")
    file = team.granted("--target", "local")
    team.check(0)

    team.shop.write(BAD + "    target: production\n")

    assert team.why(file, "unused") == "it is for the target local, and this goes to production"
    team.request("--target", "local").require_one_error(2, "not to local alone")


def test_files_that_are_no_waivers_lift_nothing_and_are_named(team: Team, tmp_path: Path) -> None:
    file = team.granted()
    folder = file.parent
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(file.read_bytes())
    file.unlink()
    (folder / "text.json").write_text("not JSON")
    (folder / "huge.json").write_bytes(b" " * 70_000)
    (folder / "link.json").symlink_to(elsewhere)
    (folder / "list.json").write_text("[]")
    (folder / "deep.json").write_text("[" * 50_000)
    (folder / "folder.json").mkdir()
    (folder / "README.md").write_text("why these are here")

    decision = team.decision(1)

    said = {Path(note["source"]).name: (note["state"], note["why"]) for note in decision["waivers"]}
    assert set(said) == {"text.json", "huge.json", "link.json", "list.json", "deep.json", "folder.json"}
    assert {state for state, _ in said.values()} == {"invalid"}
    assert "not JSON" in said["text.json"][1]
    assert "65536" in said["huge.json"][1]
    assert "a link" in said["link.json"][1]
    team.shop.call("waiver", "check").require(1)
    team.shop.call("waiver", "approve", "waivers/text.json", "--key", team.key("bob"), "--yes").require_one_error(
        2, "waivers/text.json"
    )


def test_a_folder_of_waivers_that_is_a_link_lifts_nothing(team: Team, tmp_path: Path) -> None:
    file = team.granted()
    folder = file.parent
    (tmp_path / "waivers").mkdir()
    (tmp_path / "waivers" / file.name).write_bytes(file.read_bytes())
    file.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "waivers")

    (note,) = team.decision(1)["waivers"]

    assert (note["state"], note["why"]) == ("invalid", "this is a link, not a folder")


def test_a_name_that_is_no_text_is_shown_escaped(team: Team) -> None:
    file = team.granted()
    import os

    os.rename(file, os.fsencode(file.parent) + b"/\xff\x1b[31m.json")

    assert "\x1b" not in team.check(0, "--format", "json").out
    assert "\x1b" not in team.check(0).out


def test_an_operators_folder_takes_the_place_of_the_repositorys(team: Team, tmp_path: Path) -> None:
    file = team.granted()
    with team.shop.settings.open("a") as settings:
        settings.write(f'waivers: {{folder: "{tmp_path}"}}\n')
    team.check(1)

    (tmp_path / file.name).write_bytes(file.read_bytes())

    assert team.decision(0)["waivers"][0]["source"] == f"{tmp_path}/{file.name}"


def test_without_operator_settings_no_waiver_counts_and_that_is_said(team: Team) -> None:
    team.granted()
    nobody: dict[str, str | None] = {"POLICYD_SETTINGS": None, "XDG_CONFIG_HOME": "/nonexistent"}

    said = team.shop.call("check", "pipeline.yaml", env=nobody).require(1)

    assert "there are no operator settings (governance: self)" in " ".join(said.out.split())
    listed = team.shop.call("waiver", "list", env=nobody).require(0)
    assert "nobody says whose approval counts" in " ".join(listed.out.split())
    team.shop.call("waiver", "check", env=nobody).require(1)
    request = team.shop.call(
        "waiver", "request", RULE, "pipeline.yaml", "--reason", REASON, "--expires", "3d", env=nobody
    )
    request.require_one_error(2, "no operator settings")


def test_what_changed_between_request_and_approval_is_not_approved(team: Team) -> None:
    file = team.requested()
    team.shop.write(BAD.replace("/x", "/y"))

    team.approve(file).require_one_error(1, "has changed or is gone")


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ((RULE, "nowhere.yaml"), 2, "there is no such file"),
        ((RULE, "pipeline.yaml:1"), 2, "it is broken in line 6"),
        (("dependencies.unverified_scrip", "pipeline.yaml"), 2, f"did you mean '{RULE}'"),
        (("dependencies.insecure_url", "pipeline.yaml"), 2, "nothing breaks"),
        (("evidence.untested_release", "policyd.yaml"), 2, "no recorded decision"),
        (("evidence.scan_findings", "pipeline.yaml"), 2, "no recorded decision"),
        ((RULE, "pipeline.yaml", "--reason", "short"), 2, "--reason"),
        ((RULE, "pipeline.yaml", "--expires", "2020-01-01"), 2, "expire before it begins"),
        ((RULE, "pipeline.yaml", "--expires", "soon"), 2, "is no time"),
        ((RULE, "/etc/hostname"), 2, "not in this project"),
    ],
)
def test_a_request_that_can_not_be_used_says_why(team: Team, asked: tuple[str, ...], code: int, said: str) -> None:
    rule, place, *more = asked

    team.request(*more, rule=rule, place=place).require_one_error(code, said)

    assert team.files() == []


def test_a_waiver_that_lifts_it_already_is_said(team: Team) -> None:
    team.granted()

    team.request().require_one_error(2, "a waiver lifts this already")


def test_policy_explain_prints_the_command_that_asks_for_a_waiver(team: Team) -> None:
    said = team.shop.call("policy", "explain", RULE, "pipeline.yaml").require(1)

    [line] = [line for line in said.out.splitlines() if line.startswith("  waiver: ")]
    assert line.startswith(f"  waiver: policyd waiver request {RULE} pipeline.yaml:6 --reason 'WHY'")
    # With a reason in it, it works as it stands: the key is the one that `policyd init` made.
    policyd, *asked = shlex.split(line.removeprefix("  waiver: ").replace("WHY", "no digests before March"))
    assert policyd == "policyd"
    team.shop.call(*asked).require(0)
    assert len(team.files()) == 1


def test_an_audit_says_waived(team: Team) -> None:
    team.granted()

    document = team.shop.call("audit", ".", "--format", "json").json

    statuses = {control["status"] for framework in document["frameworks"] for control in framework["controls"]}
    assert "waived" in statuses
    assert document["pipelines"][0]["waived"] == 1


def forge(team: Team, file: Path, key: str | Path) -> None:
    """Add a signature to a waiver as somebody would who does not use `policyd waiver approve`."""
    from policyd.adapters.signers.keyfile import load_key
    from policyd.attestation.waivers import ReadWaiver, add_signature, read_waiver_file, render_waiver

    read = read_waiver_file(file.read_bytes(), where=str(file))
    assert isinstance(read, ReadWaiver)
    signer = load_key(team.key(key) if isinstance(key, str) else key, password="")
    file.write_bytes(render_waiver(add_signature(read.envelope, signer)))
