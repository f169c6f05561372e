"""Tools from lock files, by the real pip from a folder that stands for an index; tools from folders."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.sandboxes.bwrap import BwrapSandbox
from policyd.adapters.sandboxes.workspace import open_workspace
from policyd.adapters.sources.tools import fetch_tool, folder_tool
from policyd.adapters.stores.content import ContentStore
from policyd.errors import SettingsError, ToolError, UnsafePermissions
from policyd.run.ports import Job, ToolMount

pytestmark = pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="stages have no Python here")


@dataclass
class Store:
    content: ContentStore
    tools_folder: Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "tools").mkdir()
    return Store(ContentStore.create(tmp_path / "content"), tmp_path / "tools")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels; pip is told of it the way an operator would."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def make_wheel(folder: Path, name: str = "kit", version: str = "1.0", code: str = "print('kit 1.0')") -> Path:
    """Write a wheel with one program and return its path."""
    files = {
        f"{name}.py": f"def main():\n    {code}\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-{version}.dist-info/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = f"{name}-{version}.dist-info/RECORD"
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}\n")
    files[record] = "".join(rows) + f"{record},,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def lock_of(*wheels: Path) -> bytes:
    lines = []
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines).encode()


def test_a_locked_tool_is_fetched_recorded_and_runs_in_a_stage(store: Store, index: Path, bwrap: Path) -> None:
    wheel = make_wheel(index)
    sandbox = BwrapSandbox(bwrap, 60_790)

    tool = fetch_tool("kit", lock_of(wheel), store, uid=sandbox.stage_uid)

    assert [(package.name, package.version, package.filename) for package in tool.packages] == [
        ("kit", "1.0", wheel.name)
    ]
    assert store.content.get(tool.packages[0].sha256, max_bytes=10_000) == wheel.read_bytes()
    with open_workspace(Path("/var/tmp"), sandbox.stage_uid) as workspace:
        said: list[bytes] = []
        mount = ToolMount("kit", str(tool.folder), tool.python_path)
        result = sandbox.run(Job("build", (("kit",),), workspace.folders, 20, tools=(mount,)), on_output=said.append)
    assert (result.exit_code, b"".join(said)) == (0, b"kit 1.0\n")


def test_the_second_time_needs_no_index(store: Store, index: Path) -> None:
    wheel = make_wheel(index)
    lock = lock_of(wheel)
    first = fetch_tool("kit", lock, store)
    wheel.unlink()

    assert fetch_tool("kit", lock, store) == first


def test_an_unpacked_tool_somebody_changed_is_made_again_from_the_store(store: Store, index: Path) -> None:
    wheel = make_wheel(index)
    lock = lock_of(wheel)
    first = fetch_tool("kit", lock, store)
    wheel.unlink()
    (first.folder / "kit.py").write_text("def main():\n    print('evil')\n")
    (first.folder / "more.py").write_text("evil\n")

    again = fetch_tool("kit", lock, store)

    assert "evil" not in (again.folder / "kit.py").read_text()
    assert not (again.folder / "more.py").exists()
    assert again.packages == first.packages


def test_a_damaged_wheel_in_the_store_is_not_used(store: Store, index: Path) -> None:
    wheel = make_wheel(index)
    lock = lock_of(wheel)
    first = fetch_tool("kit", lock, store)
    (first.folder / "kit.py").unlink()
    stored = store.content.path(first.packages[0].sha256)
    stored.chmod(0o600)
    stored.write_bytes(make_wheel(index, code="print('evil')").read_bytes())

    with pytest.raises(Exception, match="damaged"):
        fetch_tool("kit", lock, store)


def test_a_record_that_names_what_the_lock_does_not_is_not_used(store: Store, index: Path) -> None:
    wheel = make_wheel(index)
    lock = lock_of(wheel)
    first = fetch_tool("kit", lock, store)
    record = first.folder.parent / "record.json"
    record.write_text(record.read_text().replace(first.packages[0].sha256, "0" * 64))
    wheel.unlink()

    with pytest.raises(ToolError, match="could not get tool kit"):
        fetch_tool("kit", lock, store)


def test_a_file_with_another_digest_is_refused(store: Store, index: Path) -> None:
    lock = lock_of(make_wheel(index))
    make_wheel(index, code="print('evil')")

    with pytest.raises(ToolError, match="THESE PACKAGES DO NOT MATCH THE HASHES"):
        fetch_tool("kit", lock, store)
    assert list(store.tools_folder.iterdir()) == []


def test_a_dependency_the_lock_does_not_name_is_not_fetched(store: Store, index: Path) -> None:
    wheel = make_wheel(index)
    metadata = "Metadata-Version: 2.1\nName: kit\nVersion: 1.0\nRequires-Dist: evil\n"
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["kit-1.0.dist-info/METADATA"] = metadata.encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    make_wheel(index, name="evil")

    tool = fetch_tool("kit", lock_of(wheel), store)

    assert [package.name for package in tool.packages] == ["kit"]
    assert not (tool.folder / "evil.py").exists()


def test_a_source_distribution_is_not_built(store: Store, index: Path, tmp_path: Path) -> None:
    """Building one would run its code, outside any sandbox."""
    source = tmp_path / "kit-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: kit\nVersion: 1.0\n")
    archive = index / "kit-1.0.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", tmp_path, "kit-1.0"], check=True)
    lock = f"kit==1.0 --hash=sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}\n".encode()

    with pytest.raises(ToolError, match="could not get tool kit"):
        fetch_tool("kit", lock, store)
    assert not (tmp_path / "ran").exists()


def test_the_current_folder_brings_no_pip(
    store: Store, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m pip` in a repository that holds a `pip.py` would run it."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "pip.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "cwd"))

    fetch_tool("kit", lock_of(make_wheel(index)), store)

    assert not (tmp_path / "ran").exists()


def test_root_puts_a_tool_where_stages_can_reach_it(store: Store, index: Path, root: None) -> None:
    store.tools_folder.chmod(0o700)

    tool = fetch_tool("kit", lock_of(make_wheel(index)), store, uid=60_790)

    assert not tool.folder.is_relative_to(store.tools_folder)
    state = tool.folder.parent.stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (0, 60_790, 0o710)


# Folders.


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        (Path(name) / "program").write_text("#!/bin/sh\n")
        yield Path(name)


def test_a_folder_tool_is_named_by_all_that_is_in_it(folder: Path) -> None:
    before = folder_tool("kit", folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "hook").write_text("x")

    assert before.sha256 != folder_tool("kit", folder).sha256
    assert (before.packages, before.python_path) == ((), False)


def test_a_folder_with_a_socket_is_no_tool(folder: Path) -> None:
    """It would work through a read-only mount."""
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(folder / "socket"))

        with pytest.raises(ToolError, match="neither a file nor a link"):
            folder_tool("kit", folder)


@pytest.mark.parametrize(
    "path", ["/", "/run", "/var", "/home", "/root", "/sys", "/etc", "/proc", "/dev", "/etc/ssl", "/usr", "/tmp"]
)
def test_folders_of_the_system_are_no_tools(path: str) -> None:
    with pytest.raises(SettingsError, match="a stage never sees this"):
        folder_tool("kit", Path(path))


def test_a_link_to_a_folder_of_the_system_is_no_tool(folder: Path) -> None:
    (folder / "link").symlink_to("/etc")

    with pytest.raises(SettingsError, match="a stage never sees this"):
        folder_tool("kit", folder / "link")


@pytest.mark.parametrize("where", ["inside", "above", "same"])
def test_a_folder_that_overlaps_the_store_is_no_tool(folder: Path, where: str) -> None:
    store = {"inside": folder / "store", "above": folder.parent, "same": folder}[where]

    with pytest.raises(SettingsError, match="overlaps"):
        folder_tool("kit", folder, forbidden=[store])


@pytest.mark.parametrize("path", ["relative", "/no/such/folder"])
def test_what_is_no_folder_is_no_tool(path: str) -> None:
    with pytest.raises(SettingsError, match="not a folder"):
        folder_tool("kit", Path(path))


def test_a_folder_others_can_change_is_no_tool(folder: Path) -> None:
    folder.chmod(0o777)

    with pytest.raises(UnsafePermissions):
        folder_tool("kit", folder)


def test_a_folder_stages_can_not_reach_is_no_tool(folder: Path, root: Any) -> None:
    (folder / "inner").mkdir()
    folder.chmod(0o700)

    with pytest.raises(SettingsError, match="can't be reached by uid 60790"):
        folder_tool("kit", folder / "inner", uid=60_790)
