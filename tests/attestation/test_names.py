"""Packages go by their names: the bytes of one under the name of another are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from policyd.attestation.direct import ArtifactFile
from policyd.attestation.names import NpmPackage, needs_npm_package, require_one_distribution, require_same_name
from policyd.attestation.subjects import Subject
from policyd.errors import SubjectMismatch
from tests.attestation.formats.made import INSTANCE, WHEEL, pep740, pypi_statement
from tests.attestation.formats.verifying import read_pieces, verify_piece
from tests.attestation.keyless.instance import CONTENT, Value, statement
from tests.attestation.keyless.verifying import failed, file


def _compare(names: Sequence[str], mine: str, *, strict: bool = False, package: NpmPackage | str | None = None) -> str:
    subjects = [Subject(name, {"sha256": bytes(32)}) for name in names]
    try:
        return require_same_name(subjects, mine, package, strict=strict, where="x") or "same"
    except SubjectMismatch:
        return "another"


@pytest.mark.parametrize(
    ("theirs", "mine", "strict", "expected"),
    [
        (WHEEL, WHEEL, True, "same"),
        ("Example.Project-1.0-py3-none-any.whl", WHEEL, True, "same"),
        ("example_project-1.0.0-py3-none-any.whl", WHEEL, True, "same"),
        ("example_project-1.1-py3-none-any.whl", WHEEL, False, "another"),
        ("other-1.0-py3-none-any.whl", WHEEL, False, "another"),
        ("example_project-1.0-1-py3-none-any.whl", WHEEL, False, "another"),
        ("example_project-1.0-cp311-cp311-linux_x86_64.whl", WHEEL, False, "another"),
        ("example_project-1.0.tar.gz", WHEEL, False, "another"),
        ("example-project-1.0.tar.gz", "dist/example_project-1.0.tar.gz", True, "same"),
        ("app-1.0.tar.gz", "app-2.0.tar.gz", False, "another"),
        ("app-1.0.tar.gz", "renamed.bin", False, "same"),
        ("app-1.0.tar.gz", "renamed.bin", True, "another"),
        ("release.tar.gz", "another.tar.gz", False, "same"),
        ("", WHEEL, False, "same"),
        ("x" * 400 + "-1.0.tar.gz", "y-1.0.tar.gz", False, "same"),
    ],
)
def test_distributions_by_their_file_names(theirs: str, mine: str, strict: bool, expected: str) -> None:
    assert _compare([theirs], mine, strict=strict) == expected


def test_one_of_several_names_is_enough() -> None:
    assert _compare(["app-1.0.tar.gz", "app-2.0.tar.gz"], "app-2.0.tar.gz") == "same"
    assert _compare(["latest.tar.gz", "app-1.0.tar.gz"], "app-2.0.tar.gz") == "another"


@pytest.mark.parametrize(
    ("url", "package", "expected"),
    [
        ("pkg:npm/left-pad@1.3.0", NpmPackage("left-pad", "1.3.0"), "same"),
        ("pkg:npm/%40scope/name@1.0.0", NpmPackage("@scope/name", "1.0.0"), "same"),
        ("pkg:npm/@scope/name@1.0.0", NpmPackage("@scope/name", "1.0.0"), "same"),
        ("pkg:npm/name@1.0.0-rc.1%2Bbuild", NpmPackage("name", "1.0.0-rc.1+build"), "same"),
        ("pkg:npm/left-pad@1.3.0", NpmPackage("left-pad", "1.3.1"), "another"),
        ("pkg:npm/left-pad@1.3.0", NpmPackage("right-pad", "1.3.0"), "another"),
        ("pkg:npm/name@1.0.0", NpmPackage("@scope/name", "1.0.0"), "another"),
        ("pkg:npm/%40scope/name@1.0.0", NpmPackage("name", "1.0.0"), "another"),
        ("pkg:npm/left-pad", NpmPackage("left-pad", ""), "another"),
        ("pkg:npm/left-pad@1.3.0?x=y", NpmPackage("left-pad", "1.3.0"), "another"),
        ("pkg:npm/a@1@1", NpmPackage("a@1", "1"), "another"),
        ("pkg:npm/left-pad@1.3.0", "it has no package.json", "another"),
        ("pkg:npm/left-pad@1.3.0", None, "another"),
        ("left-pad@1.3.0", None, "same"),
    ],
)
def test_npm_packages_by_what_is_in_them(url: str, package: NpmPackage | str | None, expected: str) -> None:
    assert _compare([url], "left-pad-1.3.0.tgz", package=package) == expected


def test_a_digest_has_no_name_and_that_is_said() -> None:
    for name in (WHEEL, "pkg:npm/left-pad@1.3.0"):
        subject = Subject(name, {"sha256": bytes(32)})

        assert "was not compared" in (require_same_name([subject], None, None, strict=True, where="x") or "")


def test_pypis_attestations_have_one_subject_that_is_a_distribution() -> None:
    def subjects(*names: str) -> list[Subject]:
        return [Subject(name, {"sha256": bytes(32)}) for name in names]

    require_one_distribution(subjects(WHEEL), where="x")
    for wrong in (subjects(), subjects(WHEEL, WHEEL), subjects("x.bin"), subjects("")):
        with pytest.raises(SubjectMismatch):
            require_one_distribution(wrong, where="x")


def test_a_statement_that_hides_its_name_in_escapes_is_compared_too() -> None:
    assert needs_npm_package(b'{"name": "pkg:npm/x@1"}')
    assert needs_npm_package(rb'{"name": "pkg:npm\/x@1"}')
    assert not needs_npm_package(b'{"name": "x"}')


# --- in the whole of verification


def _failed(payload: bytes, mine: ArtifactFile, *, as_pep740: bool = False) -> int:
    bundle: Value = INSTANCE.bundle(payload=payload)
    (piece,) = read_pieces(pep740(bundle) if as_pep740 else bundle)
    return failed(verify_piece(piece.bundle, [mine]))


def test_a_renamed_wheel_is_not_what_pypi_published() -> None:
    for as_pep740 in (False, True):
        assert _failed(pypi_statement(), file(name=WHEEL), as_pep740=as_pep740) == 0
        assert _failed(pypi_statement(), file(name=WHEEL.replace("1.0", "2.0")), as_pep740=as_pep740) == 12
        assert _failed(pypi_statement(), file(name="release.tar.gz"), as_pep740=as_pep740) == 12
        assert _failed(pypi_statement("release.bin"), file(name="release.bin"), as_pep740=as_pep740) == 12


def test_any_attestation_by_pep_740_is_of_one_distribution() -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    two = [{"name": name, "digest": {"sha256": sha256}} for name in (WHEEL, "other-1.0.tar.gz")]

    for payload in (statement(), statement(subject=two)):
        assert _failed(payload, file(name=WHEEL)) == 0
        assert _failed(payload, file(name=WHEEL), as_pep740=True) == 12


def test_an_npm_package_is_the_one_that_is_named() -> None:
    sha512 = hashlib.sha512(CONTENT).hexdigest()
    payload = statement(subject=[{"name": "pkg:npm/left-pad@1.3.0", "digest": {"sha512": sha512}}])

    assert _failed(payload, replace(file(), package=NpmPackage("left-pad", "1.3.0"))) == 0
    assert _failed(payload, replace(file(), package=NpmPackage("left-pad", "1.3.1"))) == 12
    assert _failed(payload, replace(file(), package="it is no gzipped tar archive")) == 12
    assert _failed(payload, file()) == 12
