"""`policyd trust`: from one version to the next as people do it, and everything that is refused on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from policyd.adapters.settings import require_authority
from policyd.models.canonical import sha256_hex
from policyd.models.trust import Role
from tests.cli.workshop import Said, Workshop, open_workshop

pytestmark = pytest.mark.xdist_group("cli-trust")


@dataclass
class Office:
    """A workshop with keys of more persons."""

    shop: Workshop

    @property
    def config(self) -> Path:
        return self.shop.places.config

    @property
    def own(self) -> Path:
        """The key of the trust author that `init` made."""
        return self.config / "keys" / "trust-author.key"

    def key(self, person: str) -> Path:
        file = self.shop.home / f"{person}.key"
        if not file.exists():
            self.shop.call("key", "new", "--out", self.shop.home / person).require(0)
        return file

    def file(self, version: int, kind: str = "json") -> Path:
        return self.config / f"trust.v{version}.{kind}"

    def rotate(self, *args: object) -> Path:
        """Make the next version and return its file."""
        said = self.shop.call("trust", "rotate", *args).require(0)
        return Path(said.out.split("proposal  ")[1].split(",")[0])

    def sign(self, file: Path, *keys: Path) -> Path:
        """Sign with each key and return the signed file."""
        for key in keys:
            self.shop.call("trust", "sign", file, "--key", key, "--yes").require(0)
            file = file.with_suffix(".json")
        return file

    def pin(self, *args: object) -> Said:
        return self.shop.call("trust", "pin", *args)

    def version(self) -> int:
        return require_authority(self.shop.settings, repository=None).trust.version


@pytest.fixture
def office(fresh: Workshop) -> Office:
    return Office(fresh)


@pytest.fixture(scope="module")
def shared() -> Iterator[Office]:
    """Tests leave it as it is."""
    with open_workshop() as made:
        yield Office(made)


def test_a_version_goes_from_proposal_to_pin(office: Office) -> None:
    proposal = office.rotate(
        "--add", "trust-author", "bob", office.key("bob").with_suffix(".pub"), "--expires", "2100-01-01"
    )
    before = office.shop.settings.read_text()

    signed = office.sign(proposal, office.own)
    assert office.shop.settings.read_text() == before
    said = office.pin(signed).require(0)

    assert "verified  version 2\n" in said.out
    assert "trust-author: + key sha256:" in said.out
    assert office.version() == 2
    assert yaml.safe_load(office.shop.settings.read_text())["trust_policy"]["path"] == str(office.file(2))
    assert office.pin(signed).require(0).out.startswith("pinned already")
    shown = office.shop.call("trust", "show", "--format", "json").require(0).json
    assert (shown["version"], shown["pinned"], shown["signatures"]) == (2, True, 1)
    assert shown["sha256"] == sha256_hex(proposal.read_bytes())
    assert [one["person"] for one in shown["roles"]["trust-author"]["signers"]][1] == "bob"


def test_everything_works_under_a_signed_trust_policy(office: Office, bwrap: Path) -> None:
    office.pin(office.sign(office.rotate("--expires", "2100-01-01"), office.own)).require(0)

    office.shop.policyd("run", "pipeline.yaml").require(0)
    artifact = office.shop.places.targets / "local" / "greeting"
    office.shop.call("verify", artifact).require(0)
    office.shop.call("key", "rotate", "builder").require(0)
    assert office.file(3, "yaml").exists()


def test_versions_in_between_are_found_beside_the_file_and_walked(office: Office) -> None:
    settings, trust = office.shop.settings.read_bytes(), (office.config / "trust.yaml").read_bytes()
    office.pin(office.sign(office.rotate("--add", "trust-author", "bob", office.key("bob")), office.own)).require(0)
    office.pin(
        office.sign(office.rotate("--remove", office.own.with_suffix(".pub")), office.own, office.key("bob"))
    ).require(0)

    # A machine that has seen neither.
    office.shop.settings.write_bytes(settings)
    assert (office.config / "trust.yaml").read_bytes() == trust
    for memory in (office.shop.places.state / "trust-policies").iterdir():
        memory.unlink()
    elsewhere = office.shop.home / "inbox"
    elsewhere.mkdir()
    for version in (2, 3):
        (elsewhere / f"acme.v{version}.json").write_bytes(office.file(version).read_bytes())
        office.file(version).unlink()

    (elsewhere / "acme.v2.json").rename(elsewhere / "away.json")
    office.pin(elsewhere / "acme.v3.json").require_one_error(1, "check 3", "hand in version 2")
    assert "versions 2" not in office.pin(elsewhere / "acme.v3.json", elsewhere / "away.json").require(0).out
    assert office.version() == 3
    assert office.file(3).read_bytes() == (elsewhere / "acme.v3.json").read_bytes()


def test_an_older_version_is_not_pinned_and_old_settings_are_noticed(office: Office) -> None:
    old = office.shop.settings.read_bytes()
    second = office.sign(office.rotate("--expires", "2100-01-01"), office.own)
    office.pin(second).require(0)
    newer = office.shop.settings.read_bytes()

    first = office.config / "trust.yaml"
    office.pin(first).require_one_error(1, "check 3", "version 1, and version 2 is pinned")
    office.pin(first, "--digest", f"sha256:{sha256_hex(first.read_bytes())}").require_one_error(1, "check 3")
    assert office.shop.settings.read_bytes() == newer

    office.shop.settings.write_bytes(old)
    office.shop.call("verify", first).require_one_error(1, "older than version 2, which was pinned here")
    office.shop.call("plan", "pipeline.yaml").require_one_error(1, "older than version 2")
    office.shop.call("trust", "show").require_one_error(1, "older than version 2")
    office.shop.call("trust", "check").require_one_error(1, "older than version 2")
    office.pin(second).require(0)
    assert office.version() == 2


def test_a_version_that_nobody_entitled_signed_is_refused_and_changes_nothing(office: Office) -> None:
    before = office.shop.settings.read_bytes()
    mallory = office.key("mallory")
    forged = office.rotate("--add", "trust-author", "mallory", mallory.with_suffix(".pub"))

    office.pin(forged).require_one_error(1, "check 1")
    office.pin(office.sign(forged, mallory)).require_one_error(1, "check 4")
    digest = sha256_hex(forged.read_bytes())
    office.pin(office.file(2), "--digest", f"sha256:{digest}").require_one_error(1, "check 4")

    assert office.shop.settings.read_bytes() == before
    assert not (office.shop.places.state / "trust-policies").exists()


def test_a_digest_that_is_not_the_files_is_refused_whatever_is_signed(office: Office) -> None:
    signed = office.sign(office.rotate("--expires", "2100-01-01"), office.own)

    office.pin(signed, "--digest", "0" * 64).require_one_error(1, "not the one given")
    office.pin(signed, "--digest", "sha256:xyz").require_one_error(2, "is no digest")
    assert office.version() == 1


def test_the_first_one_is_pinned_by_its_digest_and_not_otherwise(office: Office) -> None:
    file = office.config / "trust.yaml"
    digest = sha256_hex(file.read_bytes())
    office.shop.change_settings(f"  sha256: {digest}\n", "")

    office.shop.call("plan", "pipeline.yaml").require_one_error(2, "nobody has pinned the trust policy yet")
    office.pin(file).require_one_error(2, "nothing was pinned", f"--digest sha256:{digest}")
    office.pin(file, "--digest", "1" * 64).require_one_error(1, "not the one given")
    assert digest not in office.shop.settings.read_text()

    said = office.pin(file, "--digest", f"sha256:{digest}").require(0)

    assert f"digest    sha256:{digest}\n" in said.out
    office.shop.call("plan", "pipeline.yaml").require(0)
    office.pin(file).require(0)


def test_the_first_one_has_to_be_in_force_and_its_own_signatures_have_to_hold(office: Office) -> None:
    file = office.config / "trust.yaml"
    digest = sha256_hex(file.read_bytes())
    office.key("bob")
    short = office.rotate("--add", "trust-author", "bob", office.key("bob"), "--threshold", "trust-author", 2)
    signed = office.sign(short, office.own)
    office.shop.change_settings(f"  sha256: {digest}\n", "")

    office.pin(signed, "--digest", sha256_hex(short.read_bytes())).require_one_error(1, "check 5", "1 of the 2")
    file.write_text(file.read_text() + "expires_at: 2020-01-01T00:00:00Z\n")
    office.pin(file, "--digest", sha256_hex(file.read_bytes())).require_one_error(1, "check 6")


def test_a_pinned_file_that_was_replaced_is_no_start(office: Office) -> None:
    file = office.config / "trust.yaml"
    signed = office.sign(office.rotate("--expires", "2100-01-01"), office.own)
    file.write_text(file.read_text().replace("name: local", "name: other"))

    office.pin(signed).require_one_error(2, "the pinned trust policy is gone")


# --- signing ---


def test_what_changes_is_shown_before_anything_is_signed(office: Office) -> None:
    proposal = office.rotate("--threshold", "approver", 2, "--expires", "2100-01-01")

    said = office.shop.call("trust", "sign", proposal, "--key", office.own)

    said.require_error("nobody is there to say yes")
    assert "approver: threshold: 1 → 2" in said.out
    assert not office.file(2).exists()


def test_a_key_signs_once_and_only_a_trust_author_s(office: Office) -> None:
    proposal = office.rotate("--expires", "2100-01-01")
    sign = ("trust", "sign", proposal, "--yes", "--key")

    office.shop.call(*sign, office.config / "keys" / "decider.key").require_one_error(
        2, "lists this key as trust-author"
    )
    office.shop.call(*sign, office.key("bob")).require_one_error(2, "lists this key as trust-author")
    office.sign(proposal, office.own)
    office.shop.call("trust", "sign", office.file(2), "--yes", "--key", office.own).require_error(
        "has signed it already"
    )
    office.shop.call(*sign, office.own).require_error("a signed form of this version is there already")


def test_what_has_expired_or_does_not_follow_is_not_signed(office: Office) -> None:
    proposal = office.rotate("--expires", "2100-01-01")
    text = proposal.read_text()
    sign = ("trust", "sign", proposal, "--yes", "--key", office.own)

    proposal.write_text(text.replace("version: 2", "version: 3"))
    office.shop.call(*sign).require_error("does not follow version 1")
    proposal.write_text(text.replace("2100-01-01", "2020-01-01"))
    office.shop.call(*sign).require_error("check 6")
    assert not office.file(2).exists()


def test_the_key_of_a_trust_author_signs_nothing_else(shared: Office) -> None:
    data = shared.shop.write("x\n", "data.txt")

    shared.shop.call("sign", data, "--key", shared.own, "--bundle", "b.json").require_error("has the role trust-author")


def test_somebody_without_settings_signs_by_comparing_with_a_file(office: Office, tmp_path: Path) -> None:
    proposal = office.rotate("--expires", "2100-01-01")
    away: dict[str, str | None] = {"POLICYD_SETTINGS": None, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}

    sign = ("trust", "sign", proposal, "--key", office.own, "--yes")
    office.shop.call(*sign, env=away).require_error("no operator settings")
    office.shop.call(*sign, "--current", office.config / "trust.yaml", env=away).require(0)

    office.pin(office.file(2)).require(0)


# --- making a version ---


def test_a_replaced_key_ends_and_the_new_one_takes_its_place(office: Office) -> None:
    builder = office.config / "keys" / "builder.pub"
    proposal = office.rotate("--replace", builder, office.key("new").with_suffix(".pub"))

    document = yaml.safe_load(proposal.read_text())
    old, new = document["roles"]["builder"]["keys"]
    assert "valid_until" in old
    assert old["person"] == new["person"]
    assert len({one["key_sha256"] for one in document["builders"]}) == 2


def test_a_revoked_key_counts_no_longer_once_that_is_pinned(office: Office) -> None:
    approver = office.shop.call("key", "show", office.config / "keys" / "approver.pub", "--format", "json").json[
        "sha256"
    ]
    office.pin(office.sign(office.rotate("--revoke", f"sha256:{approver}"), office.own)).require(0)

    assert "was revoked at" in office.shop.call("trust", "show").require(0).out
    office.shop.call("trust", "check").require(1)


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        ((), "nothing would change"),
        (("--expires", "2020-01-01"), "would have expired already"),
        (("--revoke", f"sha256:{'0' * 64}"), "does not list the key"),
        (("--remove-person", "nobody"), "does not list the person nobody"),
        (("--add", "king", "bob", "bob.pub"), "there is no role 'king'"),
        (("--threshold", "approver", "0"), "--threshold"),
    ],
    ids=["nothing", "over", "no key", "nobody", "no role", "zero"],
)
def test_what_can_not_be_meant_is_an_error_and_proposes_nothing(
    shared: Office, args: tuple[str, ...], cause: str
) -> None:
    shared.shop.call("trust", "rotate", *args).require_one_error(2, cause)

    assert not shared.file(2, "yaml").exists()


def test_a_role_is_not_left_without_anybody(shared: Office) -> None:
    shared.shop.call("trust", "rotate", "--remove", shared.own.with_suffix(".pub")).require_one_error(
        2, "nobody would be left in the role trust-author"
    )


# --- looking ---


def test_check_ends_with_1_where_something_can_never_count(office: Office) -> None:
    office.shop.call("trust", "check").require(0)
    office.shop.change_trust("  scanner:\n", "  scanner:\n    threshold: 2\n")

    said = office.shop.call("trust", "check").require(1)

    assert "2 persons have to sign, and 1 can" in said.out
    found = office.shop.call("trust", "check", "--format", "json").require(1).json
    assert [one["where"] for one in found["remarks"] if one["weight"] == "error"] == ["roles.scanner.threshold"]


def test_witnesses_are_shown_and_missed_where_nobody_could_be_one(office: Office) -> None:
    office.shop.change_trust("  scanner:\n", "  scanner:\n    witnesses: [timestamp]\n")

    assert "must have timestamp" in office.shop.call("trust", "show").require(0).out
    found = office.shop.call("trust", "show", "--format", "json").require(0).json
    assert [found["roles"][role]["witnesses"] for role in ("scanner", "builder")] == [["timestamp"], None]
    said = office.shop.call("trust", "check").require(1)
    assert "roles.scanner.witnesses" in said.out
    assert "the trust policy lists no timestamp authority" in said.out


def test_witnesses_of_a_role_that_can_not_have_them_are_an_error(office: Office) -> None:
    office.shop.change_trust("  trust-author:\n", "  trust-author:\n    witnesses: [timestamp]\n")

    office.shop.call("trust", "show").require_one_error(2, "no room for timestamps and log entries")


def test_names_of_persons_do_not_reach_a_terminal_as_they_are(office: Office) -> None:
    person = next(iter(require_authority(office.shop.settings, repository=None).trust.roles[Role.SCANNER].keys)).person
    office.shop.change_trust(f'- person: "{person}"', '- person: "\\e[31mann\\u202e"')

    shown = office.shop.call("trust", "show").require(0)

    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out
    json.loads(office.shop.call("trust", "show", "--format", "json").require(0).out)


@pytest.mark.parametrize("command", ["show", "check", "pin", "sign"])
@pytest.mark.parametrize(
    "content", ["", "null", "[]", "{", "policyd: trust/v1\n", '{"payloadType": "x", "payload": "", "signatures": []}']
)
def test_what_is_no_trust_policy_is_an_error(shared: Office, tmp_path: Path, command: str, content: str) -> None:
    file = tmp_path / "trust.json"
    file.write_text(content)

    args = ("--key", shared.own, "--yes") if command == "sign" else ()
    shared.shop.call("trust", command, file, *args).require_one_error(2, "trust.json")
