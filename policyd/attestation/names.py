"""Names that belong to a package and not only to a file: a wheel's, an sdist's, an npm package's.

Digests say which bytes a statement is about; whoever installs them goes by their name. The bytes of one version under
the file name of another would verify, and be installed as what they are not. So where a statement names its subject as
a package, what is at hand has to be that package: a distribution by its file name, as PEP 740 asks, an npm package by
the `package.json` inside. Other names are labels, and not compared.

Source: PEP 740, "Attestation verification"; npm publish attestation v0.1; package-url, type npm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from policyd.attestation.subjects import Subject
from policyd.errors import SubjectMismatch

PYPI_PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
#: How `formats` calls an attestation object, whose subject has to be the distribution that it lies beside.
PEP740_FORM = "a PEP 740 attestation"
NPM = "pkg:npm/"
MAX_NAME = 300  # a file name has at most 255 bytes; a wheel's tags multiply
_NPM_URL = re.compile(r"pkg:npm/(?:((?:%40|@)[^/@?#%]+)/)?([^/@?#%]+)@([^/@?#%]+(?:%2B[^/@?#%]+)?)", re.ASCII)
_DISTRIBUTIONS = (".whl", ".tar.gz", ".zip")


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """What the `package.json` of a tarball says."""

    name: str
    version: str


def needs_npm_package(payload: bytes) -> bool:
    """Say whether a statement may name an npm package; one that writes its text in escapes may name anything."""
    return NPM.encode() in payload or b"\\" in payload


def require_one_distribution(subjects: Sequence[Subject], *, where: str) -> None:
    """Raise `SubjectMismatch` unless there is one subject, which is a distribution: so PEP 740 wants it."""
    if len(subjects) != 1 or _read_distribution(subjects[0].name) is None:
        raise SubjectMismatch(
            f"it has {len(subjects)} subjects, where PyPI's attestations have one, named as a wheel or sdist"
            if len(subjects) != 1
            else f"its subject {subjects[0].name[:128]!r} is not named as a wheel or sdist, as PyPI's attestations are",
            where=where,
            fix="get the attestation again from the index",
        )


def require_same_name(
    subjects: Sequence[Subject], name: str | None, package: NpmPackage | str | None, *, strict: bool, where: str
) -> str | None:
    """Return what could not be compared, in words, or None, where `subjects` are those that a file is by digest.

    `name` is the file's, None where only a digest was given; `package` is what is in it, or why nothing is. With
    `strict` the file has to be a distribution. Raises `SubjectMismatch` where the names are of different packages.
    """
    packages = [subject.name for subject in subjects if subject.name.startswith(NPM)]
    if packages:
        return _require_npm(packages, name, package, where)
    named = {subject.name: found for subject in subjects if (found := _read_distribution(subject.name)) is not None}
    if not named:
        return None
    if name is None:
        return f"only a digest was given, so that the name {next(iter(named))} was not compared"
    mine = _read_distribution(name.rpartition("/")[2])
    if mine is None and not strict:
        return None
    if mine not in named.values():
        raise _another(name, next(iter(named)), where)
    return None


def _require_npm(packages: Sequence[str], name: str | None, package: NpmPackage | str | None, where: str) -> str | None:
    if name is None:
        return f"only a digest was given, so that the name {packages[0][:128]} was not compared"
    if not isinstance(package, NpmPackage):
        raise SubjectMismatch(
            f"the statement is of {packages[0][:128]}, and {name} is no npm package: "
            f"{package or 'its package.json was not read'}",
            where=where,
            fix="give the tarball as the registry has it",
        )
    if (package.name, package.version) not in [_read_npm(url) for url in packages]:
        raise _another(f"{package.name}@{package.version} (by its package.json)", packages[0], where)
    return None


def _read_npm(url: str) -> tuple[str, str] | None:
    found = _NPM_URL.fullmatch(url)
    if found is None:
        return None
    # The two characters that such a name and version may hold in escapes, `@` and `+`; others are no name's.
    scope = f"@{found[1].removeprefix('%40').removeprefix('@')}/" if found[1] else ""
    return scope + found[2], found[3].replace("%2B", "+")


def _read_distribution(name: str) -> object | None:
    """Return what a file name says of a Python distribution, in a form that can be compared; None if it is none."""
    if not name.endswith(_DISTRIBUTIONS) or len(name) > MAX_NAME:
        return None
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        return parse_wheel_filename(name) if name.endswith(".whl") else parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _another(mine: str, theirs: str, where: str) -> SubjectMismatch:
    return SubjectMismatch(
        f"the statement names {theirs[:128]}, and this is {mine[:128]}: the same bytes under another name",
        where=where,
        fix="give the file under the name it was released with",
    )
