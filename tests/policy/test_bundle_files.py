"""Which files a bundle holds, and the folder that comes back out of it."""

from __future__ import annotations

import json

import pytest

from policyd.errors import PolicyError
from policyd.models.canonical import canonical_json
from policyd.policy.bundle_files import DATA, MANIFEST, read_bundle_files, read_bundled_set
from policyd.policy.policy_set import read_policy_set
from tests.policy.made_bundle import EXPIRES, FOLDER, SETTINGS, unsigned_files

TIGHTER = {**FOLDER, "settings/naming.json": SETTINGS.encode()}


def test_rules_and_data_are_in_it_and_tests_and_documents_are_not() -> None:
    assert sorted(unsigned_files(TIGHTER)) == [
        ".manifest",
        "collections/baseline.json",
        "data.json",
        "lib/naming.rego",
        "naming/long_name/long_name.rego",
        "settings/naming.json",
    ]


def test_the_set_that_comes_out_is_the_one_that_went_in() -> None:
    folder_set = read_policy_set(TIGHTER, "ours")

    content = read_bundle_files(unsigned_files(TIGHTER), where="bundle")
    bundled = read_bundled_set(content, where="bundle", prefix="policyd")

    assert bundled.ref == folder_set.ref
    assert bundled.modules == folder_set.modules
    assert bundled.data == folder_set.data
    assert bundled.collections == folder_set.collections
    assert dict(bundled.catalogue) == dict(folder_set.catalogue)


def test_the_manifest_says_what_opa_and_people_need() -> None:
    manifest = json.loads(unsigned_files(version=3)[MANIFEST])

    assert manifest == {
        "metadata": {"policyd": {"name": "ours", "version": 3, "expires_at": EXPIRES.isoformat()[:-6] + "Z"}},
        "rego_version": 1,
        "revision": read_policy_set(FOLDER, "ours").sha256,
        "roots": ["policyd"],
    }


def test_a_setting_that_only_has_a_default_is_data_for_opa_too() -> None:
    data = json.loads(unsigned_files()[DATA])

    assert data == {"policyd": {"settings": {"naming": {"long_name": {"max_characters": 20, "prefix": "a"}}}}}


def test_known_facts_are_data_for_opa_and_come_back_out() -> None:
    folder = {**FOLDER, "data/names.json": b'{"taken": ["root"]}\n'}

    files = unsigned_files(folder)
    bundled = read_bundled_set(read_bundle_files(files, where="bundle"), where="bundle", prefix="policyd")

    assert json.loads(files[DATA])["policyd"]["known"] == {"names": {"taken": ["root"]}}
    assert files["data/names.json"] == folder["data/names.json"]
    assert bundled.ref == read_policy_set(folder, "ours").ref


def _manifest(**fields: object) -> bytes:
    return canonical_json({**json.loads(unsigned_files()[MANIFEST]), **fields})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({MANIFEST: None}, "has no .manifest"),
        ({DATA: None}, "has no data.json"),
        ({MANIFEST: b"{}"}, "does not fit"),
        ({MANIFEST: b"\xff"}, "not UTF-8"),
        ({MANIFEST: b'{"a":' * 20 + b"1" + b"}" * 20}, "nested deeper"),
        ({MANIFEST: _manifest(roots=[])}, "roots"),
        ({MANIFEST: _manifest(roots=["policyd", "other"])}, "roots"),
        ({MANIFEST: _manifest(rego_version=0)}, "rego_version"),
        ({MANIFEST: _manifest(revision="1")}, "revision"),
        ({MANIFEST: _manifest(revision="0" * 64)}, "not the policy set that its manifest names"),
        ({MANIFEST: _manifest(file_rego_versions={"/a.rego": 0})}, "file_rego_versions"),
        ({MANIFEST: _manifest(Roots=["other"])}, "Roots"),
        ({MANIFEST: _manifest(metadata={"policyd": {"name": "Ours"}})}, "name"),
        ({MANIFEST: _manifest(metadata={"policyd": {"name": "ours", "version": 0}})}, "version"),
        ({MANIFEST: unsigned_files()[MANIFEST] + b"\n"}, "not written as policyd writes it"),
        ({"naming/long_name/long_name.rego": None}, "not the policy set"),
        ({"naming/other/other.rego": b"package policyd.naming.other\n"}, "not the policy set"),
        ({"naming/long_name/long_name_test.rego": b"package a\n"}, "neither a rule nor its data"),
        ({"naming/data.json": b"{}"}, "neither a rule nor its data"),
        ({"data.yaml": b"a: 1"}, "neither a rule nor its data"),
        ({"other/.manifest": b"{}"}, "neither a rule nor its data"),
        ({"policy.wasm": b"\0asm"}, "neither a rule nor its data"),
        ({"patch.json": b"{}"}, "neither a rule nor its data"),
        ({"README.md": b"# Ours"}, "neither a rule nor its data"),
    ],
)
def test_a_bundle_that_is_not_one_policy_set_is_refused(changes: dict[str, bytes | None], reason: str) -> None:
    files = {path: content for path, content in {**unsigned_files(), **changes}.items() if content is not None}

    with pytest.raises(PolicyError, match=reason):
        read_bundle_files(files, where="bundle")


def test_data_for_opa_that_policyd_would_not_read_is_refused() -> None:
    """OPA would answer with a limit of 9999 where policyd answers with 20."""
    files = unsigned_files()
    files[DATA] = files[DATA].replace(b"20", b"9999")

    with pytest.raises(PolicyError, match=r"data\.json is not what its settings make"):
        read_bundled_set(read_bundle_files(files, where="bundle"), where="bundle", prefix="policyd")


def test_a_bundle_for_another_layer_is_refused() -> None:
    with pytest.raises(PolicyError, match="below 'policyd', not below 'team'"):
        read_bundled_set(read_bundle_files(unsigned_files(), where="bundle"), where="bundle", prefix="team")
