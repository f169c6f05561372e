"""`policyd init`: everything a single user needs, once, and nothing overwritten."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from policyd.models.canonical import sha256_hex
from policyd.pipeline.yaml_reader import read_yaml
from tests.cli.workshop import Said, Workshop, on_terminal

pytestmark = pytest.mark.xdist_group("cli-init")

ROLES = (
    "decider",
    "builder",
    "verifier",
    "log",
    "approver",
    "requester",
    "waiver-approver",
    "policy-author",
    "scanner",
    "trust-author",
)


class Newcomer:
    """A user without any settings, and an empty project."""

    def __init__(self, home: Path) -> None:
        self.shop = Workshop(home)
        self.shop.project.mkdir()
        self.config = home / "config" / "policyd"
        self.env: dict[str, str | None] = {
            "POLICYD_SETTINGS": None,
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "state"),
        }

    def call(self, *args: object, env: Mapping[str, str | None] | None = None) -> Said:
        return self.shop.call(*args, env={**self.env, **(env or {})})

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted(self.shop.home.rglob("*")) if path.is_file()}


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_it_writes_what_is_needed_and_prints_what_it_pinned(newcomer: Newcomer) -> None:
    said = newcomer.call("init").require(0)

    settings, trust = newcomer.config / "settings.yaml", newcomer.config / "trust.yaml"
    for path in (settings, trust, *(newcomer.config / "keys" / f"{role}.key" for role in ROLES)):
        assert f"wrote    {path}\n" in said.out
    for name in ("policyd.yaml", "pipeline.yaml"):
        assert f"wrote    {name}\n" in said.out
        assert (newcomer.shop.project / name).is_file()
    assert f"pinned   trust policy: {sha256_hex(trust.read_bytes())}\n" in said.out
    assert sum(line.startswith("pinned") for line in said.out.splitlines()) == 2 + len(ROLES)
    assert "no passphrase" in said.err


def test_private_keys_are_for_their_owner_alone_and_no_two_roles_share_one(newcomer: Newcomer) -> None:
    newcomer.call("init").require(0)

    keys = [newcomer.config / "keys" / f"{role}.key" for role in ROLES]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == len(ROLES)
    assert stat.S_IMODE(newcomer.config.stat().st_mode) == 0o700


def test_it_never_overwrites(newcomer: Newcomer) -> None:
    newcomer.shop.write("mine\n", "policyd.yaml")
    newcomer.shop.write("mine\n", "pipeline.yaml")
    newcomer.call("init").require(0)
    before = newcomer.files()

    again = newcomer.call("init").require(0)

    assert newcomer.files() == before
    assert newcomer.shop.project.joinpath("pipeline.yaml").read_text() == "mine\n"
    assert again.out.count("kept") == 3
    assert "wrote" not in again.out
    assert "pinned" not in again.out


def test_a_set_up_cut_short_is_not_mended_with_new_keys(newcomer: Newcomer) -> None:
    """New keys beside an old trust policy would orphan every signature made before."""
    newcomer.call("init").require(0)
    (newcomer.config / "settings.yaml").unlink()
    before = newcomer.files()

    newcomer.call("init").require_one_error(2, "keys or a trust policy but no settings", str(newcomer.config))

    assert newcomer.files() == before


def test_it_does_not_write_through_a_link(newcomer: Newcomer, tmp_path: Path) -> None:
    (newcomer.shop.project / "policyd.yaml").symlink_to(tmp_path / "elsewhere")

    newcomer.call("init").require(0)

    assert not (tmp_path / "elsewhere").exists()


def test_it_finds_the_ci_files_already_there(newcomer: Newcomer) -> None:
    newcomer.shop.write("on: push\njobs: {a: {runs-on: x, steps: [{run: ls}]}}\n", ".github/workflows/ci.yml")
    newcomer.shop.write("on: [\n", ".github/workflows/broken.yml")

    said = newcomer.call("init").require(0)

    assert "found    .github/workflows/ci.yml\n" in said.out
    assert "found    .github/workflows/broken.yml\n" in said.out
    assert "`policyd check` judges" in said.out


def test_the_passphrase_of_the_environment_encrypts_the_keys(newcomer: Newcomer) -> None:
    said = newcomer.call("init", env={"POLICYD_KEY_PASSWORD": "correct horse"}).require(0)

    for role in ROLES:
        assert "BEGIN ENCRYPTED PRIVATE KEY" in (newcomer.config / "keys" / f"{role}.key").read_text()
    assert "no passphrase" not in said.err
    assert "correct horse" not in said.out + said.err
    assert not any(b"correct horse" in content for content in newcomer.files().values())


def test_doctor_says_whether_keys_have_a_passphrase(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.call("init").require(0)
    found = newcomer.call("doctor", "--format", "json").json["findings"]
    notes = {one["subject"]: one["state"] for one in found if one["subject"].endswith(" key")}
    assert notes == {f"{role} key": "note" for role in ("decider", "builder", "verifier", "log")}

    (tmp_path / "other").mkdir()
    other = Newcomer(tmp_path / "other")
    other.call("init", env={"POLICYD_KEY_PASSWORD": "x"}).require(0)
    found = other.call("doctor", "--format", "json", env={"POLICYD_KEY_PASSWORD": "x"}).json["findings"]
    assert {one["state"] for one in found if one["subject"].endswith(" key")} == {"ok"}


def test_on_a_terminal_the_passphrase_is_asked_for_twice_and_not_shown(newcomer: Newcomer) -> None:
    env = {**newcomer.env, "POLICYD_KEY_PASSWORD": None}
    typed = {"(empty for none):": "correct horse", "Repeat for confirmation:": "correct horse"}

    said = on_terminal(newcomer.shop, "init", typed=typed, env=env).require(0)

    assert "correct horse" not in said.out
    assert "ENCRYPTED" in (newcomer.config / "keys" / "builder.key").read_text()


def test_the_starter_pipeline_passes_the_check_and_runs(newcomer: Newcomer, bwrap: Path) -> None:
    newcomer.call("init").require(0)

    newcomer.call("check").require(0)
    run = newcomer.call("run", "pipeline.yaml", "--format", "json").require(0).json

    assert [product["path"] for stage in run["manifest"]["stages"] for product in stage["products"]]


def test_a_run_asks_for_the_passphrase_on_a_terminal_and_refuses_a_wrong_one(newcomer: Newcomer, bwrap: Path) -> None:
    newcomer.call("init", env={"POLICYD_KEY_PASSWORD": "correct horse"}).require(0)
    newcomer.shop.write("policyd: pipeline/v1\nname: d\nstages: [{name: a, kind: build, run: 'echo $((6*7))'}]\n")
    env = {**newcomer.env, "POLICYD_KEY_PASSWORD": None}
    prompt = "Passphrase of the runner's keys:"

    wrong = on_terminal(newcomer.shop, "run", "pipeline.yaml", typed={prompt: "wrong"}, env=env).require(2)
    assert "error: the key does not open: the passphrase is wrong" in wrong.out
    right = on_terminal(newcomer.shop, "run", "pipeline.yaml", typed={prompt: "correct horse"}, env=env).require(0)
    assert "succeeded" in right.out
    assert right.out.count(prompt) == 1
    nobody = newcomer.call("run", "pipeline.yaml", env={"POLICYD_KEY_PASSWORD": None})
    nobody.require_one_error(2, "encrypted and there is no passphrase", "POLICYD_KEY_PASSWORD")


def test_settings_hold_what_the_documentation_says(newcomer: Newcomer) -> None:
    newcomer.call("init").require(0)

    settings = read_yaml((newcomer.config / "settings.yaml").read_bytes(), where="settings.yaml")

    assert isinstance(settings, dict)
    assert settings["state"] != settings["store"]
    assert not str(settings["state"]).startswith(str(settings["store"]))
