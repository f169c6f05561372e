from __future__ import annotations

import errno
import hashlib
import os
import resource
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from policyd.adapters.stores.content import CHUNK_BYTES, CHUNKS, FLUSH_BYTES, STALE_SECONDS, ContentStore, copy_hashing
from policyd.errors import InputTooLarge, StoreError, UsageError

HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def content(tmp_path: Path) -> ContentStore:
    return ContentStore.create(tmp_path / "content")


def incoming(content: ContentStore) -> list[str]:
    return os.listdir(content.path(HELLO).parent.parent.parent / "incoming")


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def test_content_comes_back_by_its_digest(content: ContentStore) -> None:
    assert content.put(b"hello") == HELLO
    assert content.get(HELLO, max_bytes=5) == b"hello"
    assert content.has(HELLO)
    assert content.find_problem(HELLO) is None
    assert content.path(HELLO).parts[-3:] == ("sha256", HELLO[:2], HELLO)


def test_objects_and_folders_are_for_their_owner_alone(content: ContentStore) -> None:
    content.put(b"hello")

    assert stat.S_IMODE(content.path(HELLO).stat().st_mode) == 0o400
    assert stat.S_IMODE(content.path(HELLO).parent.stat().st_mode) == 0o700
    assert content.path(HELLO).stat().st_nlink == 1
    assert incoming(content) == []


def test_storing_twice_changes_nothing(content: ContentStore) -> None:
    content.put(b"hello")

    content.put(b"hello")
    with content.batch() as batch:
        batch.put_fd(_pipe(b"hello"))

    assert content.get(HELLO, max_bytes=5) == b"hello"
    assert content.path(HELLO).stat().st_nlink == 1
    assert incoming(content) == []


def test_a_damaged_object_is_whole_again_when_its_content_comes_once_more(content: ContentStore) -> None:
    content.put(b"hello")
    content.path(HELLO).chmod(0o600)
    content.path(HELLO).write_bytes(b"hallo")
    assert content.find_problem(HELLO) == "damaged"

    with content.batch() as batch:
        batch.put_fd(_pipe(b"hello"))

    assert content.get(HELLO, max_bytes=5) == b"hello"


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, CHUNK_BYTES * (CHUNKS + 2) + 7, 2 * FLUSH_BYTES + 3]
)
def test_a_file_of_any_size_is_stored_as_it_is(content: ContentStore, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))

    with source.open("rb") as file:
        sha256, stored = content.put_fd(file.fileno())

    assert (sha256, stored) == (hashlib.sha256(source.read_bytes()).hexdigest(), size)
    assert content.path(sha256).read_bytes() == source.read_bytes()


def test_what_arrives_in_pieces_is_stored_whole(content: ContentStore) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        for _ in range(40):
            os.write(writer, b"x" * 50_000)
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    sha256, size = content.put_fd(reader)
    thread.join()

    assert (sha256, size) == (hashlib.sha256(b"x" * 2_000_000).hexdigest(), 2_000_000)


@pytest.mark.parametrize("size", [11, CHUNK_BYTES * 3])
def test_a_file_larger_than_allowed_is_not_stored(content: ContentStore, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(size))

    with source.open("rb") as file, pytest.raises(InputTooLarge, match="larger than"):
        content.put_fd(file.fileno(), max_bytes=size - 1)

    assert incoming(content) == []
    assert not content.has(hashlib.sha256(bytes(size)).hexdigest())


def test_a_batch_that_fails_leaves_nothing(content: ContentStore) -> None:
    def fail() -> None:
        with content.batch() as batch:
            batch.put(b"hello")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert not content.has(HELLO)
    assert incoming(content) == []


def test_a_batch_appears_when_it_ends(content: ContentStore) -> None:
    with content.batch() as batch:
        digests = [batch.put(b"%d" % number) for number in range(20)]
        assert not content.has(digests[0])

    assert [content.get(sha256, max_bytes=2) for sha256 in digests] == [b"%d" % number for number in range(20)]


def test_a_batch_of_nothing_stores_nothing(content: ContentStore) -> None:
    with content.batch():
        pass

    assert incoming(content) == []


def test_the_same_content_twice_in_a_batch_is_one_object(content: ContentStore) -> None:
    with content.batch() as batch:
        assert batch.put(b"hello") == batch.put(b"hello") == HELLO

    assert content.get(HELLO, max_bytes=5) == b"hello"


def test_a_damaged_object_is_never_returned(content: ContentStore, tmp_path: Path) -> None:
    content.put(b"hello")
    damage(content.path(HELLO), b"jello")
    out = tmp_path / "out"

    with pytest.raises(StoreError, match=f"sha256:{HELLO} is damaged") as raised:
        content.get(HELLO, max_bytes=5)
    with pytest.raises(StoreError, match="is damaged"):
        content.open_verified(HELLO)
    with out.open("wb") as file, pytest.raises(StoreError, match="is damaged"):
        content.copy_to(HELLO, file.fileno())

    assert raised.value.where == str(content.path(HELLO))
    assert "copy of the store" in raised.value.fix
    assert out.read_bytes() == b""
    assert content.find_problem(HELLO) == "damaged"


def test_a_cut_object_is_not_taken_for_stored(content: ContentStore) -> None:
    content.put(b"hello")
    damage(content.path(HELLO), b"hell")

    with pytest.raises(StoreError, match="another size"):
        content.put(b"hello")
    with pytest.raises(StoreError, match="another size"):
        content.put_fd(_pipe(b"hello"))

    assert incoming(content) == []


def test_a_missing_object_is_named(content: ContentStore) -> None:
    with pytest.raises(StoreError, match=f"no object sha256:{HELLO}"):
        content.get(HELLO, max_bytes=5)

    assert content.find_problem(HELLO) == "missing"
    assert not content.has(HELLO)


def test_an_object_larger_than_expected_is_not_read(content: ContentStore) -> None:
    content.put(b"hello")

    with pytest.raises(InputTooLarge):
        content.get(HELLO, max_bytes=4)


def test_a_link_in_the_place_of_an_object_is_not_followed(content: ContentStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"hello")
    content.path(HELLO).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreError):
        content.get(HELLO, max_bytes=5)


def test_a_fifo_in_the_place_of_an_object_does_not_hang(content: ContentStore) -> None:
    os.mkfifo(content.path(HELLO))

    with pytest.raises(StoreError, match="is damaged"):
        content.get(HELLO, max_bytes=5)


@pytest.mark.parametrize("name", ["../" * 5 + "etc/passwd", HELLO.upper(), HELLO + "\n", HELLO[:-1], "", "\u0660" * 64])
def test_what_is_no_digest_never_becomes_a_path(content: ContentStore, name: str) -> None:
    for ask in (content.has, content.path, content.open_verified, content.find_problem):
        with pytest.raises(UsageError, match="not a sha256 digest"):
            ask(name)


def test_copying_verifies_what_it_wrote(content: ContentStore, tmp_path: Path) -> None:
    large = os.urandom(3 * CHUNK_BYTES)
    sha256 = content.put(large)

    with (tmp_path / "out").open("wb") as file:
        assert content.copy_to(sha256, file.fileno()) == len(large)
    with content.open_verified(sha256) as file:
        assert file.read() == large

    assert (tmp_path / "out").read_bytes() == large


def test_what_a_killed_policyd_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    content = ContentStore.create(tmp_path / "content")
    old, new = (tmp_path / "content" / "incoming" / name for name in ("old", "new"))
    old.write_bytes(b"x")
    new.write_bytes(b"y")
    os.utime(old, (0, time.time() - STALE_SECONDS - 60))

    ContentStore.create(tmp_path / "content")

    assert incoming(content) == ["new"]


@pytest.mark.root
def test_a_full_disk_is_said_and_leaves_nothing(mount: Callable[[str], Path], tmp_path: Path) -> None:
    content = ContentStore.create(mount("size=4m") / "content")
    source = tmp_path / "source"
    source.write_bytes(bytes(8 << 20))

    with source.open("rb") as file, pytest.raises(StoreError, match="no space left") as raised:
        content.put_fd(file.fileno())
    with pytest.raises(StoreError, match="no space left"):
        content.put(bytes(8 << 20))

    assert "free space" in raised.value.fix
    assert incoming(content) == []
    assert content.get(content.put(b"hello"), max_bytes=5) == b"hello"


def test_a_file_beyond_the_limit_of_the_system_is_said_and_leaves_nothing(content: ContentStore) -> None:
    """The full disk of those who can't mount one: the kernel refuses the write midway."""
    with _file_limit(CHUNK_BYTES * 2), pytest.raises(StoreError, match=os.strerror(errno.EFBIG).lower()):
        content.put(bytes(CHUNK_BYTES * 3))

    assert incoming(content) == []


def test_copying_needs_no_more_memory_for_a_larger_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(256 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with source.open("rb") as file, Path(os.devnull).open("wb") as sink:
        copy_hashing(file.fileno(), sink.fileno())

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def _pipe(content: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


@contextmanager
def _file_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
