"""Images in a real registry: signed, attested and verified, by policyd and by cosign, each by the other."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from policyd.app.images import fetch_subject, push_bundle
from policyd.app.keys import make_key_pair
from policyd.attestation.image_reference import read_image_reference
from policyd.cli.main import run
from tests.attestation.keyless.instance import (
    IDENTITY,
    ISSUER,
    Instance,
    Value,
    private_key,
    public_pem,
    statement,
)
from tests.registry import BUNDLE, INDEX, MANIFEST, Answer, LyingRegistry, Registry, running_registry, sha256

CUSTOM = "https://cosign.sigstore.dev/attestation/v1"
PREDICATE = {
    "buildDefinition": {"buildType": "https://example.com/make/v1", "externalParameters": {}},
    "runDetails": {"builder": {"id": "https://example.com/builder"}},
}
#: No log, no authority: keys of one's own, offline.
SIGNING_CONFIG = {
    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    **{name: [] for name in ("caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls")},
    **{name: {} for name in ("rekorTlogConfig", "tsaConfig")},
}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Desk:
    """A folder with keys and a predicate, beside a registry with an image."""

    folder: Path
    registry: Registry
    image: str

    def policyd(self, *arguments: object) -> Said:
        """Call policyd in this process: a hundred starts would take a minute."""
        out, err = StringIO(), StringIO()
        with chdir(self.folder), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            run([*map(str, arguments)])
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, out.getvalue(), err.getvalue())

    def cosign(self, program: Path, *arguments: str) -> Said:
        environment = {"HOME": str(self.folder), "PATH": os.defpath, "COSIGN_PASSWORD": "of cosign"}
        command = [str(program), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, timeout=120, check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def sign(self, key: str = "k.key") -> Said:
        return self.policyd("sign", self.image, "--key", key, "--push")

    def attest(self, *more: str, kind: str = "slsaprovenance1") -> Said:
        predicate = ("--predicate-type", kind, "--predicate", "p.json")
        return self.policyd("attest", self.image, "--key", "k.key", *predicate, *more)

    def verify(self, *more: str, key: str = "k.pub") -> Said:
        return self.policyd("verify", self.image, "--key", key, *more)

    @property
    def manifest(self) -> bytes:
        repository, _, digest = self.image.partition("/acme/")[2].partition("@")
        return self.registry.get(f"acme/{repository}/manifests/{digest}", MANIFEST)

    def push(self, bundle: Value) -> None:
        reference = read_image_reference(self.image)
        push_bundle(reference, fetch_subject(reference), json.dumps(bundle).encode(), now=datetime.now(UTC))

    @property
    def at_cosign(self) -> str:
        return self.image.removeprefix("oci://")

    @property
    def tag(self) -> str:
        reference = read_image_reference(self.image)
        return f"{reference.repository}/manifests/{reference.referrers_tag}"


@pytest.fixture(scope="module")
def registry(docker_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(docker_registry, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def desk(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in list(os.environ):
        if name.startswith(("POLICYD_", "XDG_", "DOCKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POLICYD_KEY_PASSWORD", "")
    for name in ("k", "other"):
        make_key_pair(tmp_path / name, algorithm="ecdsa-p256", password=str)
    (tmp_path / "p.json").write_text(json.dumps(PREDICATE))
    return Desk(tmp_path, registry, registry.push_image(text=str(tmp_path)))


def test_a_signed_image_is_verified_by_its_signer_and_by_no_other(desk: Desk) -> None:
    assert desk.verify().code == 1
    signed = desk.sign()
    assert (signed.code, signed.err) == (0, "")
    assert signed.out.splitlines()[0].split() == ["signed", desk.image]

    verified, refused = desk.verify(), desk.verify(key="other.pub")

    assert (verified.code, verified.err) == (0, "")
    assert verified.out.splitlines()[-1] == f"verified  {desk.image}: all 6 checks held"
    assert refused.code == 1
    assert "check 4 failed" in refused.out


def test_an_attestation_is_asked_for_by_its_type(desk: Desk) -> None:
    assert desk.attest("--push").code == 0

    assert desk.verify("--type", "slsaprovenance1").code == 0
    other = desk.verify("--type", "spdx", "--format", "json")
    assert other.code == 1
    assert other.json["bundles"] == []
    assert other.json["left_out"][0]["predicate_type"] == "https://slsa.dev/provenance/v1"
    assert desk.verify().code == 1, "an attestation is no signature"


def test_one_bundle_that_holds_is_enough_and_the_others_are_listed(desk: Desk) -> None:
    """Who may push may add rubbish; it must neither count nor hide what is good."""
    for key in ("other.key", "k.key"):
        assert desk.sign(key).code == 0

    said = desk.verify("--format", "json")

    assert said.code == 0
    assert said.json["schema"] == "policyd.verify-image/v1"
    assert sorted(bundle["verified"] for bundle in said.json["bundles"]) == [False, True]
    assert "1 of 2 bundles held" in desk.verify().out


def test_the_bundle_of_another_image_says_nothing_of_this_one(desk: Desk) -> None:
    assert desk.sign().code == 0
    other = Desk(desk.folder, desk.registry, desk.registry.push_image(text=f"{desk.folder}, another"))
    listed = json.loads(desk.registry.get(desk.tag, INDEX))
    theirs = json.loads(desk.registry.get(f"acme/app/manifests/{listed['manifests'][0]['digest']}", MANIFEST))
    theirs["subject"]["digest"] = other.image.partition("@")[2]
    moved = json.dumps(theirs).encode()
    desk.registry.push("acme/app", moved)
    entry = {"mediaType": MANIFEST, "digest": sha256(moved), "size": len(moved), "artifactType": BUNDLE}
    for entries in ([entry], listed["manifests"]):
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        desk.registry.put_tag("acme/app", other.tag.rpartition("/")[2], index, INDEX)

        refused = other.verify()

        assert refused.code == 1
        assert "verified  " not in refused.out.splitlines()[-1].replace("not verified", "")


def test_an_image_attested_keyless_is_verified_by_who_it_was(desk: Desk) -> None:
    instance = Instance()
    desk.push(instance.bundle(payload=statement(desk.manifest)))
    (desk.folder / "root.json").write_text(json.dumps(instance.trusted_root()))
    common = ("--trusted-root", "root.json", "--cert-oidc-issuer", ISSUER, "--type", "slsaprovenance1")

    said = desk.policyd("verify", desk.image, *common, "--cert-identity", IDENTITY, "--format", "json")
    another = desk.policyd("verify", desk.image, *common, "--cert-identity", f"{IDENTITY}x")

    assert said.code == 0, said.err
    assert said.json["bundles"][0]["signer"]["identity"] == IDENTITY
    assert another.code == 1
    assert "check 10 failed" in another.out


def test_a_signature_of_the_manifests_bytes_is_one_of_the_image(desk: Desk) -> None:
    (desk.folder / "managed.pub").write_text(public_pem(private_key("p256", "managed")))
    for content, code in ((b"another", 1), (desk.manifest, 0)):
        bundle = Instance().bundle(content, managed="managed")
        bundle["verificationMaterial"]["tlogEntries"] = []
        desk.push(bundle)

        assert desk.verify(key="managed.pub").code == code
    asked = desk.verify("--type", "spdx", "--format", "json", key="managed.pub")
    assert {one["predicate_type"] for one in asked.json["left_out"]} == {"message-signature"}


def test_a_bundle_that_was_changed_holds_nothing(desk: Desk) -> None:
    assert desk.attest("--bundle", "b.json").code == 0
    bundle = json.loads((desk.folder / "b.json").read_text())
    payload = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["x"] = 1
    bundle["dsseEnvelope"]["payload"] = b64encode(json.dumps(payload).encode()).decode()
    desk.push(bundle)

    refused = desk.verify("--type", "slsaprovenance1")

    assert refused.code == 1
    assert "check 4 failed" in refused.out


def test_an_index_of_platforms_is_signed_as_a_whole(desk: Desk) -> None:
    digest = desk.image.partition("@")[2]
    manifest = desk.registry.get(f"acme/app/manifests/{digest}", MANIFEST)
    platform = {"architecture": "amd64", "os": "linux"}
    entry = {"mediaType": MANIFEST, "digest": digest, "size": len(manifest), "platform": platform}
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    pushed = desk.registry.push("acme/app", index, media_type=INDEX)
    whole = Desk(desk.folder, desk.registry, f"oci://{desk.registry.host}/acme/app@{pushed}")

    assert whole.sign().code == 0

    assert whole.verify().code == 0
    assert desk.verify().code == 1, "what is signed is the index, and no platform in it"


def test_a_bundle_at_hand_needs_no_registry(desk: Desk) -> None:
    assert desk.attest("--bundle", "b.json").code == 0
    elsewhere = Desk(desk.folder, desk.registry, desk.image.replace(desk.registry.host, "registry.invalid"))

    bundle = ("--type", "slsaprovenance1", "--bundle", "b.json")
    assert elsewhere.verify(*bundle).code == 0
    assert elsewhere.verify("--type", "slsaprovenance1").code == 3
    assert json.loads((desk.folder / "b.json").read_text())["mediaType"] == BUNDLE
    assert desk.verify("--type", "slsaprovenance1").code == 1, "it was written and not pushed"


def test_a_file_with_the_digest_for_its_name_is_not_taken_for_the_image(desk: Desk) -> None:
    assert desk.attest("--bundle", "b.json").code == 0
    (desk.folder / desk.image.partition("@")[2]).write_text("something else that was signed")

    refused = desk.verify("--type", "slsaprovenance1", "--bundle", "b.json")

    assert refused.code == 2
    assert "a file has the digest for its name" in refused.err


def test_two_who_push_are_both_found(desk: Desk) -> None:
    assert desk.sign().code == 0
    assert desk.attest("--push").code == 0
    again = desk.attest("--push", kind="https://example.com/other")

    assert again.code == 0
    assert len(json.loads(desk.registry.get(desk.tag, INDEX))["manifests"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("verify", "oci://ghcr.io/acme/app:v1", "--key", "k.pub"), 2, "a tag ('v1')"),
        (("verify", "oci://ghcr.io/acme/app", "--key", "k.pub"), 2, "not named by its digest"),
        (("sign", "oci://ghcr.io/acme/app:v1", "--key", "k.key", "--push"), 2, "a tag ('v1')"),
        (("sign", "p.json", "--key", "k.key", "--push"), 2, "only the bundle of an image is pushed"),
        (("sign", "p.json", "--key", "k.key"), 2, "--bundle"),
        (("sign", "p.json", "--key", "k.key", "--bundle", "b", "--allow-http-registry"), 2, "no registry"),
        (("verify", "p.json", "--key", "k.pub", "--allow-http-registry"), 2, "no registry"),
        (("sign", f"oci://127.0.0.1:1/app@sha256:{'a' * 64}", "--key", "k.key"), 2, "would go nowhere"),
        (("sign", f"oci://127.0.0.1:1/app@sha256:{'a' * 64}", "--key", "k.key", "--push"), 3, "can't be asked"),
        (("verify", f"oci://127.0.0.1:1/app@sha256:{'a' * 64}", "--key", "k.pub"), 3, "can't be asked"),
    ],
    ids=range(10),
)
def test_a_request_that_cannot_be_used_is_said_so(desk: Desk, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = desk.policyd(*arguments)

    assert answer.code == code
    assert said in answer.err


def test_a_registry_that_lies_is_said_so_and_nothing_is_verified(desk: Desk) -> None:
    lying = LyingRegistry(lambda _asked: Answer(200, b"<html>\x1b[31mverified</html>", "text/html"))
    with lying.running() as registry:
        there = desk.image.replace(desk.registry.host, registry.host)
        for arguments in (("verify", there, "--key", "k.pub"), ("sign", there, "--key", "k.key", "--push")):
            said = desk.policyd(*arguments)

            assert (said.code, said.out) == (3, "")
            assert "not what its digest says" in said.err
        assert not any(asked.method in ("POST", "PUT") for asked in registry.asked)


def test_a_bundle_is_not_written_over_and_then_not_pushed(desk: Desk) -> None:
    (desk.folder / "b.json").write_text("mine")

    refused = desk.attest("--push", "--bundle", "b.json")

    assert refused.code == 2
    assert (desk.folder / "b.json").read_text() == "mine"
    assert desk.verify("--type", "slsaprovenance1").code == 1


def test_an_image_that_is_not_there_is_neither_signed_nor_verified(desk: Desk) -> None:
    absent = Desk(desk.folder, desk.registry, f"{desk.image.partition('@')[0]}@sha256:{'a' * 64}")

    assert absent.sign().code == 3
    assert absent.verify().code == 3
    assert "no such image" in absent.verify().err


def test_cosign_finds_and_verifies_what_policyd_pushes(desk: Desk, cosign: Path) -> None:
    assert desk.sign().code == 0
    assert desk.attest("--push").code == 0
    common = ("--allow-http-registry", "--insecure-ignore-tlog", desk.at_cosign)
    attested = ("verify-attestation", "--type", "slsaprovenance1")

    for command in (("verify",), attested):
        accepted = desk.cosign(cosign, *command, "--key", "k.pub", *common)
        refused = desk.cosign(cosign, *command, "--key", "other.pub", *common)

        assert accepted.code == 0, accepted.err
        assert refused.code != 0


def test_what_cosign_pushes_verifies_and_both_add_to_one_list(desk: Desk, cosign: Path) -> None:
    (desk.folder / "config.json").write_text(json.dumps(SIGNING_CONFIG))
    assert desk.sign("other.key").code == 0
    common = ("--key", "c.key", "--signing-config", "config.json", "--allow-http-registry", "--yes", desk.at_cosign)
    for command in (
        ("import-key-pair", "--key", "k.key", "--output-key-prefix", "c"),
        ("sign", *common),
        ("attest", "--type", "custom", "--predicate", "p.json", *common),
    ):
        done = desk.cosign(cosign, *command)
        assert done.code == 0, done.err

    assert desk.verify().code == 0
    assert desk.verify("--type", CUSTOM).code == 0
    assert desk.verify(key="other.pub").code == 0
    assert desk.verify("--type", CUSTOM, key="other.pub").code == 1


def test_a_registry_with_a_password_lets_policyd_in_with_dockers(
    docker_registry: Path, desk: Desk, tmp_path: Path
) -> None:
    passwords = tmp_path / "htpasswd"
    passwords.write_text("ann:$2b$04$BYivkNfym7XoT7wbdPMzHu9YO718RKwrlDtPFtylQH0acaorE/xyK\n")
    folder = tmp_path / "closed"
    folder.mkdir()
    with running_registry(docker_registry, folder) as still_open:
        image = still_open.push_image()
    with running_registry(docker_registry, folder, password_file=passwords) as closed:
        here = Desk(desk.folder, closed, image.replace(still_open.host, closed.host))
        assert "does not let us in (401)" in here.verify().err

        (tmp_path / ".docker").mkdir()
        secret = {"auths": {closed.host: {"auth": "YW5uOmNvcnJlY3QgaG9yc2U="}}}
        (tmp_path / ".docker" / "config.json").write_text(json.dumps(secret))
        said = [here.sign(), here.verify()]

        assert [one.code for one in said] == [0, 0], said
        assert "YW5u" not in "".join(one.out + one.err for one in said)
