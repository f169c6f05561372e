"""What a stage may leave, and every trap it may leave instead."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.beneath import hash_descriptor
from policyd.adapters.sandboxes.collect import MAX_DEPTH, collect_products
from policyd.errors import CollectError, StoreError
from policyd.models.pipeline import Output, Result, ResultKind

As = Callable[[Callable[[], None]], None]
WithStage = Callable[[Callable[[Any], None]], Callable[[], None]]

ANY = Output(name="all", path="**")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def collect(out: Path, *outputs: Output, results: tuple[Result, ...] = (), **more: Any) -> list[Any]:
    return collect_products(out, outputs, results, hash_descriptor, uid=None, **more)


def test_products_come_with_digest_size_and_the_output_that_declares_them(out: Path) -> None:
    (out / "dist").mkdir()
    (out / "dist" / "b.whl").write_bytes(b"wheel")
    (out / "dist" / "a.tar.gz").write_bytes(b"")

    found = collect(
        out, Output(name="wheel", path="dist/*.whl", type="wheel"), Output(name="sdist", path="dist/*.tar.gz")
    )

    assert [(product.output, product.path, product.type, product.size) for product in found] == [
        ("sdist", "dist/a.tar.gz", "file", 0),
        ("wheel", "dist/b.whl", "wheel", 5),
    ]
    assert found[1].sha256 == hashlib.sha256(b"wheel").hexdigest()


def test_a_result_comes_with_its_kind_and_each_file_is_read_once(out: Path) -> None:
    (out / "sbom.json").write_bytes(b"{}")
    read: list[int] = []

    def put(descriptor: int) -> tuple[str, int]:
        read.append(descriptor)
        return hash_descriptor(descriptor)

    found = collect_products(out, [], [Result(name="parts", kind=ResultKind.SBOM, path="*.json")], put, uid=None)

    assert [(product.output, product.type) for product in found] == [("parts", "sbom")]
    assert len(read) == 1


def test_nothing_declared_and_nothing_left_is_fine(out: Path) -> None:
    (out / "empty" / "folder").mkdir(parents=True)

    assert collect(out) == []


def test_an_undeclared_file_is_refused_by_name(out: Path) -> None:
    (out / "app").write_text("x")
    (out / "extra").write_text("x")

    with pytest.raises(CollectError, match="does not declare: 'extra'"):
        collect(out, Output(name="app", path="app"))


def test_a_missing_product_is_refused_by_name(out: Path) -> None:
    (out / "app").write_text("x")

    with pytest.raises(CollectError, match=r"did not leave docs \(docs/\*\*\)"):
        collect(out, Output(name="app", path="app"), Output(name="docs", path="docs/**"))


def test_a_missing_result_is_refused_by_name(out: Path) -> None:
    with pytest.raises(CollectError, match="did not leave tests"):
        collect(out, results=(Result(name="tests", kind=ResultKind.JUNIT, path="junit.xml"),))


def test_a_folder_is_no_product(out: Path) -> None:
    (out / "dist").mkdir()

    with pytest.raises(CollectError, match="did not leave dist"):
        collect(out, Output(name="dist", path="dist"))


def test_a_file_two_outputs_declare_is_refused(out: Path) -> None:
    (out / "app").write_text("x")

    with pytest.raises(CollectError, match="'app', which one and two both declare"):
        collect(out, Output(name="one", path="app"), Output(name="two", path="a*"))
    with pytest.raises(CollectError, match="'app', which one and two both declare"):
        collect(out, Output(name="one", path="app"), results=(Result(name="two", kind=ResultKind.JSON, path="**"),))


def _link(out: Path) -> None:
    (out / "trap").symlink_to("/etc/passwd")


def _link_within(out: Path) -> None:
    (out / "real").write_text("x")
    (out / "trap").symlink_to("real")


def _linked_folder(out: Path) -> None:
    (out / "trap").symlink_to("/etc")


def _hard_link(out: Path) -> None:
    (out.parent / "elsewhere").write_text("x")
    os.link(out.parent / "elsewhere", out / "trap")


def _fifo(out: Path) -> None:
    os.mkfifo(out / "trap")


def _socket(out: Path) -> None:
    with socket.socket(socket.AF_UNIX) as trap:
        trap.bind(str(out / "trap"))


@pytest.mark.parametrize(
    ("trap", "reason"),
    [
        (_link, "a link: 'trap'"),
        (_link_within, "a link: 'trap'"),
        (_linked_folder, "a link: 'trap'"),
        (_hard_link, r"2 names \(hard links\): 'trap'"),
        (_fifo, "a FIFO: 'trap'"),
        (_socket, "a socket: 'trap'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_plain_file_is_refused(out: Path, trap: Callable[[Path], None], reason: str) -> None:
    trap(out)

    with pytest.raises(CollectError, match=reason):
        collect(out, ANY)


def test_a_device_is_refused(out: Path, root: None) -> None:
    os.mknod(out / "trap", 0o20666, os.makedev(1, 3))

    with pytest.raises(CollectError, match="a device: 'trap'"):
        collect(out, ANY)


@pytest.mark.parametrize(
    "name", [b"\x1b]0;owned\x07", b"a\nb", b"caf\xc3\xa9", b"\xff", b"\xe2\x80\xae", b"a\\b", b" a", b"a "]
)
@pytest.mark.parametrize("folder", [True, False])
def test_a_name_that_is_not_plain_is_refused_and_shown_escaped(out: Path, name: bytes, folder: bool) -> None:
    path = os.fsencode(out) + b"/" + name
    if folder:
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT))

    with pytest.raises(CollectError, match="not plain printable ASCII") as caught:
        collect(out, ANY)
    assert caught.value.cause.isascii()
    assert caught.value.cause.isprintable()


def test_more_files_than_allowed_are_refused(out: Path) -> None:
    for number in range(4):
        (out / str(number)).touch()

    assert len(collect(out, ANY, max_entries=4)) == 4
    with pytest.raises(CollectError, match="more than 3 files"):
        collect(out, ANY, max_entries=3)


def test_a_hole_of_exabytes_is_refused_before_it_is_read(out: Path) -> None:
    with (out / "sparse").open("wb") as file:
        file.truncate(8 * 1024**4)

    with pytest.raises(CollectError, match="8796093022208 bytes"):
        collect(out, ANY)


def test_folders_nested_too_deeply_are_refused(out: Path) -> None:
    (out / "/".join(["d"] * (MAX_DEPTH - 1))).mkdir(parents=True)
    assert collect(out) == []
    (out / "/".join(["d"] * MAX_DEPTH)).mkdir(parents=True)

    with pytest.raises(CollectError, match="deeper than"):
        collect(out)


def test_a_file_that_changes_while_it_is_read_is_refused(out: Path) -> None:
    """Only possible without a sandbox, where a process may outlive its stage."""
    (out / "app").write_text("good")

    def put(descriptor: int) -> tuple[str, int]:
        answer = hash_descriptor(descriptor)
        (out / "app").write_text("evil")
        return answer

    with pytest.raises(CollectError, match="changed while it was read"):
        collect_products(out, [ANY], [], put, uid=None)


def test_a_file_swapped_before_it_is_read_is_refused(out: Path) -> None:
    (out / "a").write_text("a")
    (out / "b").write_text("b")

    def put(descriptor: int) -> tuple[str, int]:
        (out / "b").unlink()
        (out / "b").symlink_to("/etc/passwd")
        return hash_descriptor(descriptor)

    with pytest.raises(CollectError, match="can't be read: 'b'"):
        collect_products(out, [ANY], [], put, uid=None)


def test_a_file_of_somebody_else_is_refused(out: Path, root: None) -> None:
    (out / "app").write_text("x")

    with pytest.raises(CollectError, match="belongs to user 0"):
        collect_products(out, [ANY], [], hash_descriptor, uid=60_790)


def test_a_store_that_fails_is_the_stores_error(out: Path) -> None:
    (out / "app").write_text("x")

    def put(descriptor: int) -> tuple[str, int]:
        raise StoreError("full", where="store", fix="free space")

    with pytest.raises(StoreError):
        collect_products(out, [ANY], [], put, uid=None)


def test_products_of_a_real_stage_are_collected(identity: As, with_stage: WithStage) -> None:
    @with_stage
    def test(stage: Any) -> None:
        assert stage.try_sh("umask 077; mkdir -p /out/a/b; echo one > /out/a/b/c; echo two > /out/d").succeeded

        found = collect_products(stage.out, [ANY], [], hash_descriptor, uid=stage.sandbox.stage_uid)

        assert [(product.path, product.size) for product in found] == [("a/b/c", 4), ("d", 4)]

    identity(test)


def test_a_link_a_real_stage_leaves_to_a_host_file_is_refused(identity: As, with_stage: WithStage) -> None:
    @with_stage
    def test(stage: Any) -> None:
        assert stage.try_sh("ln -s /etc/shadow /out/product").succeeded

        with pytest.raises(CollectError, match="a link: 'product'"):
            collect_products(stage.out, [ANY], [], hash_descriptor, uid=stage.sandbox.stage_uid)

    identity(test)


def test_an_unreadable_folder_is_the_stages_failure(as_user: As, with_stage: WithStage) -> None:
    @with_stage
    def test(stage: Any) -> None:
        assert stage.try_sh("mkdir -p /out/a/b; chmod 0 /out/a").succeeded

        with pytest.raises(CollectError, match="can't be read: 'a'"):
            collect_products(stage.out, [ANY], [], hash_descriptor, uid=stage.sandbox.stage_uid)

    as_user(test)
