"""The frameworks are complete, closed, and say what policyd can't see."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from policyd.compliance.frameworks import MAX_FRAMEWORK_BYTES, known_controls, read_framework
from policyd.compliance.models import Framework
from policyd.errors import DocumentError


def test_owasp_has_its_ten_risks(owasp: Framework) -> None:
    assert [control.id for control in owasp.controls] == [f"OWASP-CICD-SEC-{number}" for number in range(1, 11)]


def test_slsa_levels_build_on_each_other(slsa: Framework) -> None:
    includes = {control.id: set(control.includes) for control in slsa.controls}

    assert "SLSA-BUILD-L1" in includes["SLSA-BUILD-L2"]
    assert "SLSA-BUILD-L2" in includes["SLSA-BUILD-L3"]
    requirements = {id_ for id_ in includes if not id_[-1].isdigit()}
    assert requirements <= includes["SLSA-BUILD-L1"] | includes["SLSA-BUILD-L2"] | includes["SLSA-BUILD-L3"]


def test_no_id_belongs_to_two_frameworks(owasp: Framework, slsa: Framework) -> None:
    assert len(known_controls([owasp, slsa])) == len(owasp.controls) + len(slsa.controls)


def minimal() -> dict[str, Any]:
    control = {"id": "X-1", "title": "t", "url": "https://example.org/1", "description": "d", "requires": ["rules"]}
    return {
        "policyd": "framework/v1",
        "id": "example",
        "title": "X",
        "version": "1",
        "url": "https://example.org",
        "controls": [control],
    }


def read(document: dict[str, Any]) -> Framework:
    return read_framework("x.json", json.dumps(document).encode())


def test_a_minimal_framework_is_read() -> None:
    assert read(minimal()).controls[0].id == "X-1"


def no_controls(framework: dict[str, Any]) -> None:
    framework["controls"] = []


def unknown_kind(framework: dict[str, Any]) -> None:
    framework["controls"][0]["requires"] = ["goodwill"]


def unknown_field(framework: dict[str, Any]) -> None:
    framework["controls"][0]["require"] = []


def doubled(framework: dict[str, Any]) -> None:
    framework["controls"] *= 2


def included_from_later(framework: dict[str, Any]) -> None:
    framework["controls"][0]["includes"] = ["X-2"]


def met_by_nothing(framework: dict[str, Any]) -> None:
    framework["controls"][0]["requires"] = []


def script_link(framework: dict[str, Any]) -> None:
    framework["controls"][0]["url"] = "javascript:alert(1)"


def quote_in_link(framework: dict[str, Any]) -> None:
    framework["controls"][0]["url"] = 'https://example.org/"onclick=x'


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (no_controls, "controls"),
        (unknown_kind, "requires"),
        (unknown_field, "require"),
        (doubled, "two controls"),
        (included_from_later, "does not stand before"),
        (met_by_nothing, "not_covered"),
        (script_link, "url"),
        (quote_in_link, "url"),
    ],
)
def test_what_would_weaken_an_audit_is_refused(spoil: Callable[[dict[str, Any]], None], says: str) -> None:
    document = minimal()
    spoil(document)

    with pytest.raises(DocumentError) as refused:
        read(document)

    assert says in refused.value.cause
    assert refused.value.where == "x.json"


def test_a_huge_file_is_not_parsed() -> None:
    with pytest.raises(DocumentError, match="bytes"):
        read_framework("x.json", b" " * (MAX_FRAMEWORK_BYTES + 1))
