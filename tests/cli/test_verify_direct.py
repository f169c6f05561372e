"""`policyd verify` with trust given on the command line, as a user calls it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policyd.app.init import Places, initialise
from tests.attestation.formats.made import (
    INSTANCE,
    NPM_PUBLISH,
    certificate_of,
    lines,
    npm_answer,
    pem_of,
    rekor_answer,
)
from tests.attestation.keyless.instance import (
    CONTENT,
    IDENTITY,
    ISSUER,
    PREDICATE_TYPE,
    LeafOptions,
    Value,
    private_key,
    public_pem,
    statement,
)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def states(self, bundle: int = 0) -> dict[int, str]:
        return {check["number"]: check["state"] for check in self.json["bundles"][bundle]["checks"]}


@dataclass(frozen=True)
class Desk:
    """A folder with an artifact, keys and a trusted root, and nothing of policyd's own."""

    folder: Path

    @property
    def artifact(self) -> Path:
        return self.folder / "release.tar.gz"

    def write(self, name: str, value: Value) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(value))
        return path

    def verify(self, *args: object, settings: Path | None = None) -> Said:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("POLICYD_", "XDG_"))}
        environment |= {"HOME": str(self.folder / "nobody"), "PYTHONPATH": os.getcwd()}
        if settings is not None:
            environment["POLICYD_SETTINGS"] = str(settings)
        done = subprocess.run(
            [sys.executable, "-m", "policyd", "verify", *map(str, args)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    @property
    def by_key(self) -> list[object]:
        return ["--key", self.folder / "key.pub"]

    @property
    def by_identity(self) -> list[object]:
        root = self.folder / "trusted_root.json"
        return ["--trusted-root", root, "--cert-identity", IDENTITY, "--cert-oidc-issuer", ISSUER]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "release.tar.gz").write_bytes(CONTENT)
    (tmp_path / "key.pub").write_text(public_pem(private_key("p256", "managed")))
    (tmp_path / "trusted_root.json").write_text(json.dumps(INSTANCE.trusted_root()))
    return Desk(tmp_path)


def _managed(content: bytes = CONTENT, **changes: Any) -> Value:
    bundle = INSTANCE.bundle(content, managed="managed", **changes)
    bundle["verificationMaterial"]["tlogEntries"] = []
    return bundle


def test_a_file_by_a_key_with_every_check_printed(desk: Desk) -> None:
    bundle = desk.write("b.json", _managed())

    said = desk.verify(desk.artifact, "--bundle", bundle, *desk.by_key)

    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert [line.split()[:2] for line in lines if line[:2] == "ok"] == [["ok", str(n)] for n in (1, 2, 3, 4, 12)]
    assert lines[-1] == "verified  release.tar.gz: all 5 checks held"


def test_a_file_by_an_identity_beside_its_bundle_as_json(desk: Desk) -> None:
    desk.write("release.tar.gz.sigstore.json", INSTANCE.bundle())

    said = desk.verify("release.tar.gz", *desk.by_identity, "--format", "json")

    assert said.code == 0
    assert said.json["schema"] == "policyd.verify-direct/v1"
    assert said.json["verified"] is True
    assert said.states() == dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12), "held")
    (bundle,) = said.json["bundles"]
    assert bundle["signer"]["identity"] == IDENTITY
    assert bundle["signer"]["certificate"]["source_repository_uri"] == "https://github.com/example/project"
    assert bundle["log_entries"][0]["log"] == "https://rekor.example.com"
    assert bundle["times"][0]["at"] == "2026-03-01T12:00:05.000000Z"


def test_the_names_of_cosigns_options_and_a_pattern(desk: Desk) -> None:
    bundle = desk.write("b.json", INSTANCE.bundle(payload=statement()))
    options = [
        *("--certificate-identity-regexp", r"https://github\.com/example/.*"),
        *("--certificate-oidc-issuer", ISSUER, "--trusted-root", "trusted_root.json"),
    ]

    said = desk.verify(desk.artifact, "--bundle", bundle, *options, "--type", "slsaprovenance1")

    assert said.code == 0, said.err
    assert "takes in" in " ".join(said.out.split())


def test_what_does_not_hold_is_refused_with_the_number_of_its_check(desk: Desk) -> None:
    bundle = desk.write("b.json", INSTANCE.bundle(leaf=LeafOptions(timestamps=0)))

    said = desk.verify(desk.artifact, "--bundle", bundle, *desk.by_identity)

    assert said.code == 1
    assert "refused  9  a public log has seen the certificate" in said.out
    assert said.out.splitlines()[-1] == "not verified  release.tar.gz: check 9 failed"
    assert "no log has seen it" in said.err
    assert "to do:" in said.err


@pytest.mark.parametrize("content", [b"null", b"", b"{}", b"[" * 100_000, b'{"mediaType":1,"mediaType":1}', b"\xff"])
def test_a_bundle_that_does_not_parse(desk: Desk, content: bytes) -> None:
    (desk.folder / "b.json").write_bytes(content)

    said = desk.verify(desk.artifact, "--bundle", "b.json", *desk.by_key, "--format", "json")

    assert said.code == 2
    assert said.states() == {1: "failed"}
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "options",
    [
        ["--cert-identity", IDENTITY, "--cert-oidc-issuer", ISSUER],
        ["--trusted-root", "trusted_root.json"],
        ["--trusted-root", "trusted_root.json", "--cert-identity", IDENTITY],
        ["--trusted-root", "trusted_root.json", "--cert-oidc-issuer", ISSUER],
        ["--type", "spdx"],
        ["--key", "key.pub", "--cert-identity", IDENTITY],
        ["--key", "key.pub", "--target", "local"],
        ["--key", "key.pub", "--settings", "settings.yaml"],
        ["--key", "missing.pub"],
        ["--key", "release.tar.gz"],
        ["--key", "key.pub", "--trusted-root", "key.pub"],
        ["--key", "key.pub", "--type", "no type"],
        ["--key", "key.pub", "--min-bundle-version", "0.4"],
        *(
            [
                ["--trusted-root", "trusted_root.json", "--cert-oidc-issuer", ISSUER, "--cert-identity-regexp", pattern]
                for pattern in (".*", "(", "https://.*")
            ]
        ),
    ],
    ids=lambda options: " ".join(options)[:60],
)
def test_requests_that_can_not_be_used(desk: Desk, options: list[str]) -> None:
    desk.write("b.json", _managed())

    said = desk.verify("release.tar.gz", "--bundle", "b.json", *options)

    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_bundle_older_than_asked_for_is_refused_by_its_check(desk: Desk) -> None:
    desk.write("b.json", _managed(version="0.2"))

    said = desk.verify(
        "release.tar.gz", "--bundle", "b.json", *desk.by_key, "--min-bundle-version", "0.3", "--format=json"
    )

    assert said.code == 1
    assert said.states() == {1: "failed"}


def test_a_bundle_of_any_size_is_refused_by_its_check(desk: Desk) -> None:
    with (desk.folder / "b.json").open("wb") as file:
        file.truncate(64 << 20)

    said = desk.verify("release.tar.gz", "--bundle", "b.json", *desk.by_key, "--format=json")

    assert said.code == 2
    assert said.states() == {1: "failed"}


def test_an_attestation_has_to_be_asked_for_by_its_type(desk: Desk) -> None:
    """What it says may be that a test failed."""
    desk.write("b.json", _managed(payload=statement()))

    unasked = desk.verify("release.tar.gz", "--bundle", "b.json", *desk.by_key)
    anything = desk.verify("release.tar.gz", "--bundle", "b.json", *desk.by_key, "--type", "any")
    other = desk.verify("release.tar.gz", "--bundle", "b.json", *desk.by_key, "--type", "spdx")

    assert unasked.code == 2
    assert "--type" in unasked.err
    assert anything.code == 0
    assert "weaker  11" in anything.out
    assert other.code == 1


def test_every_bundle_has_to_hold_and_every_one_is_reported(desk: Desk) -> None:
    good, bad = desk.write("good.json", _managed()), desk.write("bad.json", _managed(b"another"))
    (desk.folder / "none.json").write_text("null")

    refused = desk.verify(desk.artifact, "--bundle", good, "--bundle", bad, *desk.by_key)
    unread = desk.verify(desk.artifact, "--bundle", bad, "--bundle", "none.json", "--bundle", good, *desk.by_key)

    assert refused.code == 1
    assert f"ok      {good}" in refused.out
    assert f"refused {bad}" in refused.out
    assert "1 of 2 bundles held" in refused.out
    assert unread.code == 2
    assert f"refused {bad}" in unread.out


def test_a_folder_needs_a_bundle_for_each_of_its_files(desk: Desk) -> None:
    release = desk.folder / "dist"
    release.mkdir()
    for name in ("a.whl", "b.tar.gz"):
        (release / name).write_bytes(name.encode())
        (release / f"{name}.sigstore.json").write_text(json.dumps(INSTANCE.bundle(name.encode())))

    whole = desk.verify(release, *desk.by_identity, "--format", "json")
    (release / "extra").write_bytes(b"nobody signed this")
    more = desk.verify(release, *desk.by_identity)
    (release / "extra").unlink()
    (release / "a.whl").write_bytes(b"changed")
    changed = desk.verify(release, *desk.by_identity)

    assert whole.code == 0
    assert whole.json["artifact"]["files"] == 2
    assert whole.json["checks"][0]["number"] == 13
    assert more.code == 1
    assert "refused 13" in more.out
    assert "extra" in more.err
    assert changed.code == 1


def test_one_attestation_may_speak_of_a_whole_folder(desk: Desk) -> None:
    release = desk.folder / "dist"
    release.mkdir()
    subjects = []
    for name in ("a.whl", "b.tar.gz"):
        (release / name).write_bytes(name.encode())
        subjects.append({"name": name, "digest": {"sha256": hashlib.sha256(name.encode()).hexdigest()}})
    all_of_it = desk.write("all.json", INSTANCE.bundle(payload=statement(subject=subjects)))
    half = desk.write("half.json", INSTANCE.bundle(payload=statement(subject=subjects[:1])))

    assert desk.verify(release, "--bundle", all_of_it, *desk.by_identity, "--type", "slsaprovenance1").code == 0
    assert desk.verify(release, "--bundle", half, *desk.by_identity, "--type", "slsaprovenance1").code == 1


def test_a_digest_stands_for_the_file(desk: Desk) -> None:
    bundle = desk.write("b.json", INSTANCE.bundle())

    assert desk.verify(f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", "--bundle", bundle, *desk.by_identity).code == 0
    assert desk.verify("sha256:" + "0" * 64, "--bundle", bundle, *desk.by_identity).code == 1
    assert desk.verify("sha256:" + "0" * 64, *desk.by_identity).code == 2


def test_without_a_bundle_anywhere(desk: Desk) -> None:
    said = desk.verify(desk.artifact, *desk.by_key)

    assert said.code == 2
    assert "--bundle" in said.err


def test_a_downloaded_folder_that_brings_settings_trust_and_a_store_changes_nothing(desk: Desk) -> None:
    """Theirs would trust their key; what counts is the key that was named (docs/threats.md, T31)."""
    theirs = Places(
        config=desk.folder / "config",
        data=desk.folder / "data",
        state=desk.folder / "state",
        targets=desk.folder / "targets",
    )
    (desk.folder / "project").mkdir()
    initialise(desk.folder / "project", "", theirs)
    for name in ("policyd.yaml", "settings.yaml", "trust.json"):
        shutil.copy(theirs.settings, desk.folder / name)
    forged = INSTANCE.bundle(managed="somebody else")
    forged["verificationMaterial"]["tlogEntries"] = []
    bad, good = desk.write("bad.json", forged), desk.write("good.json", _managed())

    for settings in (None, theirs.settings):
        assert desk.verify(desk.artifact, "--bundle", bad, *desk.by_key, settings=settings).code == 1
        assert desk.verify(desk.artifact, "--bundle", good, *desk.by_key, settings=settings).code == 0


def test_a_thousand_bundles_in_one_command(desk: Desk) -> None:
    """On both cores, in order, and with the one that fails found."""
    bundles = []
    text = json.dumps(INSTANCE.bundle())
    for number in range(1000):
        path = desk.folder / f"{number}.json"
        path.write_text(text)
        bundles += ["--bundle", path]
    good = desk.verify(desk.artifact, *bundles, *desk.by_identity, "--format", "json")
    desk.write("500.json", INSTANCE.bundle(b"another"))
    bad = desk.verify(desk.artifact, *bundles, *desk.by_identity, "--format", "json")

    assert good.code == 0
    assert [bundle["bundle"] for bundle in good.json["bundles"]] == [str(path) for path in bundles[1::2]]
    assert bad.code == 1
    assert [number for number, one in enumerate(bad.json["bundles"]) if not one["verified"]] == [500]
    assert bad.json["error"]["cause"]


def test_a_managed_key_needs_no_sigstore(desk: Desk) -> None:
    """Importing it takes longer than verifying (docs/performance.md)."""
    bundle = desk.write("b.json", _managed())
    program = (
        "import sys; from policyd.cli.main import main; "
        f"main(['verify', {str(desk.artifact)!r}, '--bundle', {str(bundle)!r}, '--key', 'key.pub'], "
        "standalone_mode=False); "
        "assert not {'sigstore', 'sigstore_models', 'rfc3161_client', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=desk.folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


# --- evidence in the forms of other tools


def test_of_a_file_that_lists_several_those_of_the_type_asked_for_have_to_hold(desk: Desk) -> None:
    built, tested = (
        INSTANCE.bundle(payload=statement()),
        INSTANCE.bundle(payload=statement(predicateType="https://x/t")),
    )
    other = INSTANCE.bundle(b"another", payload=statement(b"another"))
    listed = desk.folder / "download.jsonl"

    listed.write_bytes(lines(built, tested))
    said = desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", PREDICATE_TYPE)
    assert said.code == 0, said.err
    assert "left out" in said.out
    assert "download.jsonl, line 2: https://x/t" in said.out
    as_json = desk.verify(
        desk.artifact, "--bundle", listed, *desk.by_identity, "--type", PREDICATE_TYPE, "--format", "json"
    ).json
    assert [one["bundle"].rpartition("/")[2] for one in as_json["bundles"]] == ["download.jsonl, line 1"]
    assert as_json["left_out"][0]["predicate_type"] == "https://x/t"

    listed.write_bytes(lines(built, tested, other))
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", PREDICATE_TYPE).code == 1
    listed.write_bytes(lines(built, tested))
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", "any").code == 0
    # Nothing of the type asked for is no reason to look away.
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", "https://x/none").code == 1


def test_of_a_file_that_lists_both_a_signature_and_an_attestation_the_one_asked_for_has_to_hold(desk: Desk) -> None:
    """As `policyd evidence export` writes one."""
    signature, attested = INSTANCE.bundle(), INSTANCE.bundle(payload=statement())
    forged = INSTANCE.bundle(b"another")
    listed = desk.folder / "app.jsonl"

    listed.write_bytes(lines(signature, attested))
    of_type = desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", PREDICATE_TYPE)
    assert (of_type.code, "app.jsonl, line 1: message-signature" in of_type.out) == (0, True)
    of_file = desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity)
    assert (of_file.code, f"app.jsonl, line 2: {PREDICATE_TYPE}" in of_file.out) == (0, True)
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", "any").code == 1

    listed.write_bytes(lines(signature, forged, attested))
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity).code == 1
    assert desk.verify(desk.artifact, "--bundle", listed, *desk.by_identity, "--type", "https://x/t").code == 1


def test_a_single_attestation_of_another_type_is_never_left_out(desk: Desk) -> None:
    good = desk.write("good.json", INSTANCE.bundle(payload=statement()))
    other = desk.write("other.json", INSTANCE.bundle(payload=statement(predicateType="https://x/t")))

    said = desk.verify(desk.artifact, "--bundle", good, "--bundle", other, *desk.by_identity, "--type", PREDICATE_TYPE)

    assert said.code == 1


def test_an_npm_answer_by_the_registrys_key_and_by_the_builders_identity(desk: Desk) -> None:
    package = json.dumps({"name": "left-pad", "version": "1.3.0"}).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/package.json")
        member.size = len(package)
        archive.addfile(member, io.BytesIO(package))
    tarball = desk.folder / "left-pad-1.3.0.tgz"
    tarball.write_bytes(stream.getvalue())
    digest = hashlib.sha512(stream.getvalue()).hexdigest()

    def answer(version: str) -> Path:
        subject = [{"name": f"pkg:npm/left-pad@{version}", "digest": {"sha512": digest}}]
        published = INSTANCE.bundle(payload=statement(subject=subject, predicateType=NPM_PUBLISH), managed="managed")
        built = INSTANCE.bundle(payload=statement(subject=subject))
        return desk.write(f"{version}.json", npm_answer(published, built))

    good, wrong = answer("1.3.0"), answer("1.3.1")
    for trust, kind in ((desk.by_key, "npm-publish"), (desk.by_identity, "slsaprovenance1")):
        assert desk.verify(tarball, "--bundle", good, *trust, "--type", kind).code == 0
        said = desk.verify(tarball, "--bundle", wrong, *trust, "--type", kind)
        assert (said.code, "left-pad@1.3.0 (by its package.json)" in said.err) == (1, True)
    by_digest = desk.verify(
        f"sha512:{digest}", "--bundle", good, *desk.by_identity, "--type", "slsaprovenance1", "--format", "json"
    )
    assert by_digest.code == 0
    assert by_digest.states()[12] == "weakened"


def test_a_signature_a_certificate_and_a_log_entry_in_files_of_their_own(desk: Desk) -> None:
    bundle = INSTANCE.bundle()
    signature, certificate = desk.folder / "a.sig", desk.folder / "a.pem"
    signature.write_text(bundle["messageSignature"]["signature"] + "\n")
    certificate.write_bytes(pem_of(certificate_of(bundle)))
    entry = desk.write("entry.json", rekor_answer(bundle))
    apart = ["--signature", signature, "--certificate", certificate]

    assert desk.verify(desk.artifact, *apart, "--log-entry", entry, *desk.by_identity).code == 0
    without = desk.verify(desk.artifact, *apart, *desk.by_identity)
    assert (without.code, "check 5 failed" in without.out, "--log-entry" in without.err) == (1, True, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--signature", "a.json", "--bundle", "a.json"],
        ["--certificate", "a.json"],
        ["--signature", "missing"],
        ["--signature", "a.json"],
        ["--bundle", "a.json", "--log-entry", "a.json"],
        ["--bundle", "a.json", "--log-entry", "missing"],
    ],
    ids=range(6),
)
def test_requests_about_evidence_in_parts_that_can_not_be_used(desk: Desk, options: list[str]) -> None:
    desk.write("a.json", INSTANCE.bundle())

    assert desk.verify(desk.artifact, *options, *desk.by_identity).code == 2


def test_parts_of_evidence_need_trust_that_is_given(desk: Desk) -> None:
    assert desk.verify(desk.artifact, "--signature", desk.artifact).code == 2


def test_what_cosign_wrote_before_bundles(desk: Desk, cosign: Path) -> None:
    environment = os.environ | {"COSIGN_PASSWORD": "", "HOME": str(desk.folder)}

    def run(*args: object) -> None:
        done = subprocess.run(
            [cosign, *map(str, args)], cwd=desk.folder, env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()

    run("generate-key-pair")
    old = [
        "--use-signing-config=false",
        "--tlog-upload=false",
        "--new-bundle-format=false",
        "--key",
        "cosign.key",
        "-y",
    ]
    run("sign-blob", *old, "--bundle", "old.json", "--output-signature", "a.sig", desk.artifact)
    predicate = desk.write("predicate.json", {})
    run("attest-blob", *old, "--predicate", predicate, "--type", "https://x/t", "--bundle", "att.json", desk.artifact)
    key = ["--key", desk.folder / "cosign.pub"]

    assert desk.verify(desk.artifact, "--bundle", "old.json", *key).code == 0
    assert desk.verify(desk.artifact, "--signature", "a.sig", *key).code == 0
    assert desk.verify(desk.artifact, "--bundle", "att.json", *key, "--type", "https://x/t").code == 0
    desk.artifact.write_bytes(b"changed")
    assert desk.verify(desk.artifact, "--bundle", "old.json", *key).code == 1
    assert desk.verify(desk.artifact, "--signature", "a.sig", *key).code == 1
    assert desk.verify(desk.artifact, "--bundle", "att.json", *key, "--type", "https://x/t").code == 1


@pytest.mark.parametrize("name", ["key.pub", "trusted_root.json"])
def test_what_decides_is_nothing_that_others_can_change(name: str, desk: Desk) -> None:
    """As sshd's StrictModes: whoever can write the key or the trusted root decides whom we trust."""
    call = [desk.artifact, "--bundle", desk.folder / "none.json", *desk.by_key]
    call += ["--trusted-root", desk.folder / "trusted_root.json"]
    (desk.folder / name).chmod(0o666)

    said = desk.verify(*call)

    assert (said.code, "can be written by others" in said.err, name in said.err) == (2, True, True)


def test_what_decides_is_no_link_and_in_no_folder_that_others_can_write(desk: Desk) -> None:
    (desk.folder / "link.pub").symlink_to(desk.folder / "key.pub")
    (desk.folder / "open").mkdir()
    shutil.copy(desk.folder / "key.pub", desk.folder / "open" / "key.pub")
    (desk.folder / "open").chmod(0o777)

    for key, says in (("link.pub", "is a link"), ("open/key.pub", "can be written by others")):
        said = desk.verify(desk.artifact, "--bundle", desk.folder / "none.json", "--key", key)
        assert (said.code, says in said.err) == (2, True)
