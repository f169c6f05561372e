"""The one thing policyd writes into operator settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.adapters.settings import read_operator_settings
from policyd.adapters.settings_edit import write_pin
from policyd.errors import SettingsError
from policyd.models.settings import PinnedFile

OLD, NEW = "a" * 64, "b" * 64
REST = """\
# of the operator
store: /srv/store  # kept
state: /srv/state
builder_id: https://b.example
verifier_id: https://v.example
keys: {decider: /d, builder: /b, verifier: /v, log: /l}
targets:
  sha256:
    uri: "path: /old"
"""


def write(tmp_path: Path, pin: str, *, mode: int = 0o640) -> Path:
    file = tmp_path / "settings.yaml"
    file.write_text(f"policyd: settings/v1\n{pin}{REST}")
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    "pin",
    [
        f"trust_policy:\n  path: /old  # ours\n  sha256: {OLD}\n",
        f'trust_policy:\n    sha256: "{OLD}"  # of the path below\n    path: "/old"\n',
        f"trust_policy: {{path: '/old', sha256: {OLD}}}\n",
        f'"trust_policy": {{"sha256": "{OLD}", "path": "/old"}}\n',
        "trust_policy:\n  path: /old\n",
        "trust_policy: {path: /old}\n",
        'trust_policy: {"path": "/old"}  # not pinned\n',
    ],
    ids=["block", "block, other order", "flow", "json", "block without", "flow without", "json without"],
)
def test_the_pin_is_replaced_and_nothing_else(tmp_path: Path, pin: str) -> None:
    file = write(tmp_path, pin)
    before = read_operator_settings(file.read_bytes(), file)

    write_pin(file, Path('/new "one"/trust.v2.json'), NEW)

    after = read_operator_settings(file.read_bytes(), file)
    assert after.trust_policy == PinnedFile(path='/new "one"/trust.v2.json', sha256=NEW)
    assert after == before.model_copy(update={"trust_policy": after.trust_policy})
    assert file.read_text().endswith(REST)
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["settings.yaml"]


def test_comments_beside_the_pin_stay(tmp_path: Path) -> None:
    file = write(tmp_path, f"trust_policy:\n  path: /old  # ours\n  sha256: {OLD}  # compared by ann\n")

    write_pin(file, Path("/new"), NEW)

    assert f'  path: "/new"  # ours\n  sha256: {NEW}  # compared by ann\n' in file.read_text()


def test_a_pin_that_can_not_be_replaced_is_left_as_it_is_and_the_user_told(tmp_path: Path) -> None:
    """An anchor used elsewhere: with another path here, there would be another path there."""
    file = write(tmp_path, f"trust_policy:\n  path: &p /old\n  sha256: {OLD}\npolicy_set: *p\n")
    before = file.read_bytes()

    with pytest.raises(SettingsError, match="in a way that policyd can't change") as caught:
        write_pin(file, Path("/new"), NEW)

    assert file.read_bytes() == before
    assert NEW in caught.value.fix


def test_settings_that_others_can_write_are_not_changed(tmp_path: Path) -> None:
    file = write(tmp_path, f"trust_policy: {{path: /old, sha256: {OLD}}}\n", mode=0o666)

    with pytest.raises(SettingsError, match="can be written by others"):
        write_pin(file, Path("/new"), NEW)
