"""The archive of a bundle: one spelling, and nothing that an archive can do to whoever unpacks it."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from policyd.errors import PolicyError
from policyd.policy.bundle_archive import MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES, read_archive, write_archive

FILES = {".manifest": b"{}", "a/b/b.rego": b"package a.b\n" * 200, "a/empty.rego": b"", "collections/all.json": b"[]"}


def read(content: bytes) -> dict[str, bytes]:
    return read_archive(content, where="bundle.tar.gz")


def write(files: dict[str, bytes]) -> bytes:
    return write_archive(files, where="folder")


def make_tar(*entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return an archive as other programs write them, compressed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for entry in entries:
            info, content = entry if isinstance(entry, tuple) else (entry, b"")
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(made.getvalue())


def file(name: str, content: bytes = b"x", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_what_is_written_is_read() -> None:
    assert read(write(FILES)) == FILES


def test_the_same_files_give_the_same_bytes_in_any_order_and_for_ever() -> None:
    """The digest is written down here: another Python, zlib or machine has to make the same file."""
    content = write(dict(reversed(FILES.items())))

    assert content == write(FILES)
    assert hashlib.sha256(content).hexdigest() == "7b5ab9da54c7957ac8041990cc73aa8cdff82a1c315292a74d25300bab2f8da0"


def test_other_programs_read_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(write(FILES)), mode="r:gz") as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert list(members) == sorted(FILES)
        for name, member in members.items():
            found = tar.extractfile(member)
            assert found is not None
            assert found.read() == FILES[name]
            assert (member.uid, member.gid, member.mtime, member.mode) == (0, 0, 0, 0o644)


def test_a_compressed_bundle_is_read_too() -> None:
    assert read(gzip.compress(gzip.decompress(write(FILES)))) == FILES


def test_content_beyond_a_stored_block_comes_back() -> None:
    files = {"big.rego": bytes(range(256)) * 1000}

    assert read(write(files)) == files
    assert gzip.decompress(write(files)) == gzip.decompress(gzip.compress(gzip.decompress(write(files))))


REFUSED = [
    (make_tar(file("../evil.rego")), "leads out of the bundle"),
    (make_tar(file("a/../../evil.rego")), "leads out of the bundle"),
    (make_tar(file("/etc/evil.rego")), "is absolute"),
    (make_tar(special("a.rego", tarfile.SYMTYPE, "/etc/passwd")), "is a link"),
    (make_tar(special("a.rego", tarfile.LNKTYPE, "b.rego")), "is a link"),
    (make_tar(special("a.rego", tarfile.CHRTYPE)), "is a device"),
    (make_tar(special("a.rego", tarfile.FIFOTYPE)), "is a device"),
    (make_tar(special("a", tarfile.DIRTYPE)), "is a folder"),
    (make_tar(special("a.rego", tarfile.CONTTYPE)), "is not a regular file"),
    (make_tar(file("a.rego"), file("a.rego")), "is there twice"),
    (make_tar(file("b.rego"), file("a.rego")), "is not in its place"),
    (make_tar(file("a.rego", mode=0o644, mtime=1)), "is not as policyd writes it"),
    (make_tar(file("a.rego", mode=0o755)), "is not as policyd writes it"),
    (make_tar(file("a.rego", mode=0o644, uid=7)), "is not as policyd writes it"),
    (make_tar(file("a.rego", mode=0o644, uname="root")), "is not as policyd writes it"),
    (make_tar(file("./a.rego")), "can't stand in a bundle"),
    (make_tar(file("a//b.rego")), "can't stand in a bundle"),
    (make_tar(file("a\\b.rego")), "can't stand in a bundle"),
    (make_tar(file("a b.rego")), "can't stand in a bundle"),
    (make_tar(file("-rf.rego")), "can't stand in a bundle"),
    (make_tar(file(f"{'x' * 60}/" * 2 + "y" * 90)), "too long"),
    (make_tar(file("a/" * 9 + "b.rego")), "too long"),
    (make_tar(file("é.rego"), form=tarfile.PAX_FORMAT), "not a regular file"),
    (make_tar(file("x" * 120), form=tarfile.GNU_FORMAT), "not a regular file"),
    (gzip.compress(bytes(1024) + b"x"), "behind its end"),
    (gzip.compress(b"x" * 512), "holds no tar archive"),
    (gzip.compress(bytes(512)), "cut short"),
    (gzip.compress(bytes(512) + b"x" * 512), "does not end as an archive does"),
    (write(FILES) + b"x", "behind its end"),
    (write(FILES) + write(FILES), "behind its end"),
    (write(FILES)[:-9], "cut short|no gzip|behind its end"),
    (write(FILES)[:2000], "cut short|no gzip"),
    (write(FILES)[:-1], "behind its end"),
    (write(FILES)[:-8], "behind its end"),
    (b"", "cut short"),
    (b"<html>", "no gzip file"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_anything_else_an_archive_can_hold_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        read(content)


def test_a_changed_byte_is_refused() -> None:
    """Beginning after the eleven bytes of gzip and deflate headers, which say nothing of the content."""
    content = write({".manifest": b"{}", "a.rego": b"package a\n"})

    for place in range(11, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0x20
        with pytest.raises(PolicyError):
            read(bytes(changed))


def test_what_hides_between_two_files_is_refused() -> None:
    tar = bytearray(gzip.decompress(write({"a.rego": b"package a\n", "b.rego": b""})))
    tar[512 + 100] = 0x78

    with pytest.raises(PolicyError, match=r"stands behind 'a\.rego'"):
        read(gzip.compress(bytes(tar)))


def test_paths_that_differ_in_case_alone_are_refused() -> None:
    """Where only one of them can stand, another rule would be asked than on the author's machine."""
    with pytest.raises(PolicyError, match="differ only in case"):
        write({"a/Rule.rego": b"", "a/rule.rego": b""})
    entries = [file("a/Rule.rego", mode=0o644), file("a/rule.rego", mode=0o644)]
    with pytest.raises(PolicyError, match="differ only in case"):
        read(_trimmed(entries))


def test_a_path_that_can_not_stand_in_a_bundle_is_not_written() -> None:
    for path in ("../a.rego", "/a.rego", "a b.rego", "é.rego", "x" * 201, "x" * 150):
        with pytest.raises(PolicyError):
            write({path: b""})


def test_too_many_files_are_refused() -> None:
    many = {f"r{number:05d}.rego": b"" for number in range(MAX_BUNDLE_FILES + 1)}
    with pytest.raises(PolicyError, match="files"):
        write(many)
    with pytest.raises(PolicyError, match="files"):
        read(_trimmed([file(name, b"", mode=0o644) for name in many]))


def test_a_bundle_that_would_be_too_large_is_not_written() -> None:
    with pytest.raises(PolicyError, match="bytes"):
        write({"a.json": bytes(MAX_BUNDLE_BYTES)})


def _bomb(megabytes: int) -> bytes:
    """Return a small gzip file that unpacks to a file of so many megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    info, _ = file("a.json", mode=0o644)
    info.size = megabytes << 20
    parts = [packer.compress(info.tobuf(tarfile.USTAR_FORMAT))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*parts, packer.flush()])


def _hidden_bomb() -> bytes:
    """Return a gzip file of many small files that together unpack to too much."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = []
    for number in range(64):
        info, _ = file(f"a{number:03d}.json", mode=0o644)
        info.size = 1 << 20
        parts += [packer.compress(info.tobuf(tarfile.USTAR_FORMAT)), packer.compress(bytes(1 << 20))]
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize(
    ("make", "reason"), [(lambda: _bomb(100), "has 104857600 bytes"), (_hidden_bomb, "unpacks to more than")]
)
def test_a_bomb_is_refused_in_flat_memory(make: Callable[[], bytes], reason: str) -> None:
    content = make()
    assert len(content) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(PolicyError, match=reason):
            read(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 2 * MAX_BUNDLE_BYTES


def _trimmed(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return an archive of `entries` that ends where policyd's end."""
    tar = bytearray()
    for info, content in entries:
        tar += info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    return gzip.compress(bytes(tar) + bytes(1024))
