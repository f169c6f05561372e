"""npm tarballs: name and version are read from what npm would unpack, and hostile archives end at our bounds."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.adapters import npm_tarball
from policyd.adapters.artifacts import read_artifact
from policyd.adapters.npm_tarball import read_npm_package
from policyd.attestation.names import NpmPackage

PACKAGE = json.dumps({"name": "left-pad", "version": "1.3.0"}).encode()
GOOD = NpmPackage("left-pad", "1.3.0")


def _member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    return member, content


def _tarball(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=form) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _read(content: bytes) -> NpmPackage | str:
    return read_npm_package(io.BytesIO(content).read)


def test_name_and_version_are_read_whatever_the_folder_is_called() -> None:
    for folder in ("package", "left-pad", "./package", "n" * 200):
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            members = [_member(f"{folder}/index.js", b"x"), _member(f"{folder}/package.json", PACKAGE)]
            assert _read(_tarball(*members, form=form)) == GOOD


def test_a_package_json_deeper_or_higher_is_none_of_the_package() -> None:
    other = json.dumps({"name": "other", "version": "9"}).encode()

    deeper = _member("package/node_modules/x/package.json", other)
    assert _read(_tarball(deeper, _member("package/package.json", PACKAGE), _member("package.json", other))) == GOOD
    assert _read(_tarball(deeper)) == "it has no package.json"


@pytest.mark.parametrize(
    "members",
    [
        [_member("package/package.json", PACKAGE), _member("package/package.json", PACKAGE)],
        [_member("package/package.json", PACKAGE), _member("other/package.json", PACKAGE)],
        [_member("package/package.json", PACKAGE), _member("package/Package.JSON", PACKAGE)],
        [_member("package/package.json", type=tarfile.SYMTYPE, linkname="x")],
        [_member("package/package.json", type=tarfile.LNKTYPE, linkname="package/x")],
        [_member("package/package.json", type=tarfile.DIRTYPE)],
        [_member("package/package.json", b" " * (1 << 20) + PACKAGE)],
        [_member("package/package.json", b"{}")],
        [_member("package/package.json", b"null")],
        [_member("package/package.json", b'{"name": 1, "version": "1"}')],
        [_member("package/package.json", b'{"name": "a", "name": "b", "version": "1"}')],
        [_member("package/package.json", b"\xff")],
        [_member("package/x")],
        [],
    ],
    ids=range(14),
)
def test_what_two_readers_could_take_for_two_packages_is_none(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    assert isinstance(_read(_tarball(*members)), str)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        gzip.compress(b"no archive" * 100),
        _tarball(_member("p/package.json", PACKAGE))[:60],
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x1f\x8b\x08\x00(G",
    ],
    ids=range(6),
)
def test_what_is_no_archive_is_said(content: bytes) -> None:
    assert isinstance(_read(content), str)


def test_headers_are_bounded_before_anything_is_read_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npm_tarball, "MAX_MEMBERS", 20)
    many = [_member(f"package/{number}") for number in range(30)]
    assert "more than 20 members" in str(_read(_tarball(*many, _member("package/package.json", PACKAGE))))

    monkeypatch.setattr(npm_tarball, "MAX_UNPACKED_BYTES", 1_000_000)
    assert "1000000 bytes" in str(_read(_tarball(_member("package/zeros", bytes(2_000_000)))))


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_a_header_that_claims_gigabytes_takes_none(kind: bytes) -> None:
    header = tarfile.TarInfo("package/x")
    header.type, header.size = kind, 900 << 20

    assert isinstance(_read(gzip.compress(header.tobuf(tarfile.GNU_FORMAT))), str)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 2000), st.integers(0, 255))
def test_any_bytes_give_a_package_or_a_reason(noise: bytes, position: int, value: int) -> None:
    plain = bytearray(gzip.decompress(_tarball(_member("package/package.json", PACKAGE))))
    plain[position % len(plain)] = value

    for content in (noise, gzip.compress(noise), gzip.compress(bytes(plain))):
        assert isinstance(_read(content), (str, NpmPackage))


def test_the_file_is_read_once_and_hashed_whole(tmp_path: Path) -> None:
    content = _tarball(_member("package/package.json", PACKAGE)) + b"and what follows" * 200_000
    path = tmp_path / "left-pad-1.3.0.tgz"
    path.write_bytes(content)

    read = read_artifact(str(path), {"sha256", "sha512"}, keep_content=True, with_package=True)

    (file,) = read.files
    assert file.package == GOOD
    assert file.content == content
    assert file.digests == {name: hashlib.new(name, content).digest() for name in ("sha256", "sha512")}
    assert read_artifact(str(path), {"sha256"}).files[0].package is None
    assert read_artifact(str(tmp_path), {"sha256"}, with_package=True).files[0].package == GOOD


def test_an_archive_in_several_gzip_parts_is_one() -> None:
    """npm's reader goes on behind the first part; whoever did not could be shown another package."""
    plain = gzip.decompress(_tarball(_member("package/package.json", PACKAGE)))

    assert _read(gzip.compress(plain[:700]) + gzip.compress(plain[700:])) == GOOD
    assert isinstance(_read(gzip.compress(plain[:700]) + b"junk"), str)
