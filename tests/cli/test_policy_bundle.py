"""`policyd policy bundle` and `sign`, and gates that judge with what they made; with the real OPA and cosign."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.library import library_files
from policyd.adapters.signers.keyfile import generate_key
from policyd.policy.bundle_archive import read_archive, write_archive
from policyd.policy.bundle_files import SIGNATURES
from policyd.policy.policy_set import read_policy_set
from tests.cli.workshop import Said, Workshop
from tests.policy.made_bundle import FOLDER, SETTINGS

LATER = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")


class Author:
    """Somebody with a policy folder, and the keys of a workshop."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.bundle_file = folder / "ours.tar.gz"
        self.attestation = folder / "ours.tar.gz.sigstore.json"
        for path, content in {**FOLDER, "settings/naming.json": SETTINGS.encode()}.items():
            self.write(path, content)

    def write(self, path: str, content: bytes) -> None:
        file = self.folder / "ours" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    @property
    def key(self) -> Path:
        return self.shop.places.config / "keys/policy-author.key"

    def says(self, *args: object) -> Said:
        return self.shop.call("policy", *args, cwd=self.folder)

    def bundle(self, version: int = 1, *more: object) -> None:
        """Write the bundle anew, as somebody does who hands on one file after the other."""
        self.attestation.unlink(missing_ok=True)
        given = ["--out", self.bundle_file, "--version", version, "--expires", LATER]
        self.says("bundle", "ours", *given, *more).require(0)

    def sign(self, key: Path | None = None) -> Said:
        return self.says("sign", self.bundle_file, "--key", key or self.key)

    def release(self, version: int = 1) -> None:
        self.bundle(version)
        self.sign().require(0)

    def judge(self) -> Said:
        """Return what the gate `check` says with the bundle as the organisation's policy set."""
        return self.shop.call("check", "pipeline.yaml", "--format", "json")

    def repack(self, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
        files = change(read_archive(self.bundle_file.read_bytes(), where="bundle"))
        self.bundle_file.write_bytes(write_archive(files, where="bundle"))


@pytest.fixture
def author(fresh: Workshop, tmp_path: Path) -> Author:
    """An author whose bundle the operator has named as the policy set."""
    made = Author(fresh, tmp_path)
    fresh.change_settings("store:", f'policy_set: "{made.bundle_file}"\nstore:')
    return made


@pytest.fixture
def writer(shop: Workshop, tmp_path: Path) -> Author:
    """An author in the shared workshop, whose settings stay as they are."""
    return Author(shop, tmp_path)


def test_the_same_folder_gives_the_same_bytes_whatever_its_times_and_order(writer: Author) -> None:
    writer.bundle()
    first = writer.bundle_file.read_bytes()
    for file in (writer.folder / "ours").rglob("*"):
        file.touch()
        if file.is_file():
            file.chmod(0o600)
    again = writer.folder / "again.tar.gz"
    writer.says("bundle", "ours", "--out", again, "--version", 1, "--expires", LATER).require(0)

    assert again.read_bytes() == first


def test_the_library_is_bundled_where_no_folder_is_named(writer: Author) -> None:
    said = writer.says("bundle", "--out", "library.tar.gz").require(0)

    library = read_policy_set(library_files(), "policyd-library")
    assert f"policyd-library, {len(library.catalogue)} rules" in said.out
    assert library.sha256 in said.out


def test_a_bundle_of_a_bundle_is_the_same_set(writer: Author) -> None:
    writer.bundle()

    said = writer.says("bundle", "ours.tar.gz", "--out", "more.tar.gz", "--version", 1, "--expires", LATER).require(0)

    assert (writer.folder / "more.tar.gz").read_bytes() == writer.bundle_file.read_bytes(), str(said)


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (("ours", "--out", "ours.zip"), 2, "use ours.tar.gz"),
        (("ours", "--out", "ours.tar"), 2, "use ours.tar.gz"),
        (("ours", "--out", "ours-1.0"), 2, "use ours-1.0.tar.gz"),
        (("ours", "--out", "a.tar.gz", "--name", "Our Rules"), 2, "can't be the name"),
        (("ours/naming", "--out", "a.tar.gz"), 2, "a part of a policy set"),
        (("nowhere", "--out", "a.tar.gz"), 2, "no such path"),
        (("ours", "--out", "a.tar.gz", "--version", str(2**60)), 2, "can't be the version"),
    ],
)
def test_what_can_not_be_bundled_is_one_clear_error(
    writer: Author, args: tuple[str, ...], code: int, reason: str
) -> None:
    writer.says("bundle", *args).require_one_error(code, reason)
    assert not (writer.folder / "a.tar.gz").exists()


def test_a_set_of_another_layer_is_bundled_for_that_layer(writer: Author) -> None:
    for path in FOLDER:
        file = writer.folder / "ours" / path
        file.write_bytes(file.read_bytes().replace(b"policyd.", b"team_blue."))

    writer.says("bundle", "ours", "--out", "a.tar.gz").require(0)

    files = read_archive((writer.folder / "a.tar.gz").read_bytes(), where="bundle")
    assert json.loads(files[".manifest"])["roots"] == ["team_blue"]
    assert list(json.loads(files["data.json"])) == ["team_blue"]
    writer.says("check", "a.tar.gz").require(0)


def test_a_set_that_can_not_be_used_is_not_bundled(writer: Author) -> None:
    writer.write("naming/broken/broken.rego", b"package elsewhere\n")

    writer.says("bundle", "ours", "--out", "a.tar.gz").require_one_error(3, "not below 'policyd'", "broken.rego")


def test_a_folder_with_a_100_mb_data_file_is_refused_and_not_parsed(writer: Author) -> None:
    with (writer.folder / "ours/settings/naming.json").open("wb") as file:
        file.truncate(100_000_000)

    writer.says("bundle", "ours", "--out", "a.tar.gz").require_one_error(3, "16777216 bytes")
    writer.says("check", "ours").require_one_error(3, "16777216 bytes")


def test_an_author_looks_at_an_unsigned_bundle(writer: Author) -> None:
    writer.bundle()

    checked = writer.says("check", "ours.tar.gz").require(0)
    assert "holds no tests" in checked.out
    assert "1 rule, nothing wrong" in checked.out
    writer.says("test", "ours.tar.gz").require(4)
    writer.says("docs", "ours.tar.gz", "--out", "pages").require(0)
    assert (writer.folder / "pages/naming.long_name.md").exists()


def test_an_author_does_not_look_at_a_signed_bundle_that_was_changed(writer: Author) -> None:
    writer.release()
    writer.repack(lambda files: files | {"lib/naming.rego": files["lib/naming.rego"] + b"\n"})

    for command in ("check", "test", "docs"):
        writer.says(command, "ours.tar.gz").require_one_error(1, "another file")


@pytest.mark.parametrize(
    ("role", "reason"),
    [("decider", "has the role decider"), ("builder", "has the role builder"), (None, "does not list this key")],
)
def test_only_an_authors_key_signs_policies(writer: Author, role: str | None, reason: str) -> None:
    writer.bundle()
    key = writer.shop.places.config / f"keys/{role}.key"
    if role is None:
        key = generate_key(writer.folder / "own.key").private_key
    before = writer.bundle_file.read_bytes()

    writer.sign(key).require_one_error(2, reason)

    assert writer.bundle_file.read_bytes() == before
    assert not writer.attestation.exists()


def test_an_authors_key_signs_nothing_else(writer: Author) -> None:
    (writer.folder / "file").write_text("x")

    said = writer.shop.call("sign", "file", "--key", writer.key, "--bundle", "b.json", cwd=writer.folder)

    said.require_one_error(2, "has the role policy-author")


def test_a_bundle_without_version_or_expiry_is_not_signed(writer: Author) -> None:
    for given in ((), ("--version", 1), ("--expires", LATER)):
        writer.says("bundle", "ours", "--out", writer.bundle_file, *given).require(0)
        writer.sign().require_one_error(2, "no version or no expiry")
    writer.says("bundle", "ours", "--out", writer.bundle_file, "--version", 1, "--expires", "2020-01-01").require(0)
    writer.sign().require_one_error(2, "expired")


def test_a_signed_bundle_is_not_overwritten_by_another(writer: Author) -> None:
    writer.release()

    said = writer.says("bundle", "ours", "--out", writer.bundle_file, "--version", 2, "--expires", LATER)

    said.require_one_error(2, "another bundle lies beside it")


def test_the_same_key_signs_once(writer: Author) -> None:
    writer.release()

    writer.sign().require_one_error(2, "has signed the bundle already")


def test_a_bundle_changed_after_it_was_signed_is_not_signed_again(writer: Author) -> None:
    """Else an author would lend their name to what somebody slipped in under another's."""
    writer.release()
    writer.repack(lambda files: files | {"collections/other.json": b'["naming.long_name"]'})

    assert writer.sign().code in (1, 3)


def test_what_a_cut_short_signing_left_is_mended_by_signing_again(writer: Author) -> None:
    writer.release()
    writer.attestation.unlink()

    writer.sign().require(0)

    writer.says("check", "ours.tar.gz").require(0)


def test_gates_judge_with_a_signed_bundle_as_with_its_folder(author: Author) -> None:
    author.release()

    decision = author.judge().require(0).json["decisions"][0]["decision"]

    digest = read_policy_set({**FOLDER, "settings/naming.json": SETTINGS.encode()}, "ours").sha256
    assert decision["policy_set"] == {"name": "ours", "sha256": digest}
    author.shop.change_settings("ours.tar.gz", "ours")
    assert author.judge().json["decisions"][0]["decision"]["policy_set"]["sha256"] == digest


def test_gates_refuse_an_unsigned_bundle(author: Author) -> None:
    author.bundle()

    author.judge().require_one_error(1, "is not signed")
    author.shop.call("plan", "pipeline.yaml").require_error("is not signed")


def test_gates_refuse_a_bundle_without_its_attestation(author: Author) -> None:
    author.release()
    author.attestation.unlink()

    author.judge().require_one_error(1, "no attestation lies beside it")


def test_gates_refuse_a_version_older_than_one_used_before(author: Author) -> None:
    author.release(2)
    kept = author.bundle_file.read_bytes(), author.attestation.read_bytes()
    author.judge().require(0)
    author.release(3)
    author.judge().require(0)

    author.bundle_file.write_bytes(kept[0])
    author.attestation.write_bytes(kept[1])

    author.judge().require_one_error(1, "version 2", "older than version 3")


def test_putting_the_store_back_does_not_put_the_version_back(author: Author) -> None:
    author.release(2)
    author.judge().require(0)
    remembered = author.shop.places.state / "policy-sets/ours"

    assert json.loads(remembered.read_bytes())["version"] == 2
    assert not remembered.is_relative_to(author.shop.store)


def test_gates_refuse_an_expired_bundle_whatever_date_a_check_is_for(author: Author) -> None:
    """The bundle is signed in time and met too late: the clock of the process is ahead."""
    author.release()
    # `--effective-time` judges as of a date on which the set still was in force.
    ahead = (
        "from datetime import UTC, datetime\n"
        "import policyd.adapters.clock as clock\n"
        "clock.now = lambda: datetime(2099, 1, 1, tzinfo=UTC)\n"
    )

    for more in ((), ("--effective-time", LATER)):
        said = author.shop.policyd("check", "pipeline.yaml", *more, script=ahead)
        said.require_error("expired at")
        assert said.code == 1


def test_gates_refuse_a_key_that_was_revoked_since(author: Author) -> None:
    author.release()
    author.judge().require(0)
    public_key = author.key.with_suffix(".pub").read_text().strip().splitlines()[1]
    trust = (author.shop.places.config / "trust.yaml").read_text()
    entry = trust[: trust.index(public_key)].rpartition("- person:")[2].partition("public_key")[0]
    whole = trust[: trust.index(public_key)]
    place = whole.rindex(f"- person:{entry}")
    changed = trust[:place] + "- revoked_at: 2020-01-01T00:00:00Z\n        person:" + trust[place + len("- person:") :]

    author.shop.change_trust(trust, changed)

    author.judge().require_one_error(1, "was revoked")


def _tar(*entries: tuple[str, bytes, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content)
            info.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(made.getvalue())


HOSTILE = {
    "a path that leads out": (_tar(("../../evil.rego", tarfile.REGTYPE, b"x")), "leads out of the bundle"),
    "an absolute path": (_tar(("/evil.rego", tarfile.REGTYPE, b"x")), "is absolute"),
    "a link": (_tar(("a.rego", tarfile.SYMTYPE, b"")), "is a link"),
    "a hard link": (_tar(("a.rego", tarfile.LNKTYPE, b"")), "is a link"),
    "a device": (_tar(("a.rego", tarfile.CHRTYPE, b"")), "is a device"),
    "a file twice": (_tar(("a.rego", tarfile.REGTYPE, b"x"), ("a.rego", tarfile.REGTYPE, b"y")), "is there twice"),
    "a bomb": (_tar(("data.json", tarfile.REGTYPE, bytes(100_000_000))), "has 100000000 bytes"),
    "no archive": (b"<html>", "no gzip file"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_bundle_is_refused_by_authors_commands_and_by_signing(
    writer: Author, content: bytes, reason: str
) -> None:
    writer.bundle_file.write_bytes(content)

    for said in (writer.says("check", "ours.tar.gz"), writer.says("test", "ours.tar.gz"), writer.sign()):
        said.require_one_error(3, reason)


@pytest.mark.parametrize("content", [content for content, _ in HOSTILE.values()], ids=HOSTILE)
def test_a_hostile_bundle_is_refused_by_gates_before_it_is_unpacked(author: Author, content: bytes) -> None:
    author.release()
    author.bundle_file.write_bytes(content)

    author.judge().require_one_error(1, "for another file")


def test_a_bundle_of_100_mb_is_refused_before_it_is_read(author: Author) -> None:
    author.release()
    with author.bundle_file.open("wb") as file:
        file.truncate(100_000_000)

    author.judge().require_one_error(3, "larger than")


def test_the_attestation_of_another_version_is_refused(author: Author) -> None:
    author.release(1)
    other = author.attestation.read_bytes()
    author.release(2)
    author.attestation.write_bytes(other)

    author.judge().require_one_error(1, "for another file")


def test_a_bundle_signed_by_somebody_else_is_refused(author: Author) -> None:
    """Another operator's author: the same role, the same command, another trust policy."""
    own = author.key.read_bytes()
    author.bundle()
    stranger = generate_key(author.folder / "stranger.key")
    with_stranger = stranger.public_key_pem
    trust = (author.shop.places.config / "trust.yaml").read_text()
    mine = author.key.with_suffix(".pub").read_text()
    theirs = trust.replace(mine.strip().splitlines()[1], with_stranger.strip().splitlines()[1]).replace(
        mine.strip().splitlines()[2], with_stranger.strip().splitlines()[2]
    )
    author.shop.change_trust(trust, theirs)
    author.sign(stranger.private_key).require(0)
    author.shop.change_trust(theirs, trust)

    assert author.key.read_bytes() == own
    author.judge().require_one_error(1, "no signature by a key of the role policy-author")


@pytest.fixture
def second(author: Author) -> Path:
    """The key of a second author, in a trust policy that from now on asks for two."""
    made = generate_key(author.folder / "second.key")
    trust = (author.shop.places.config / "trust.yaml").read_text()
    start = trust.index("  policy-author:\n") + len("  policy-author:\n")
    keys = trust.index("    keys:\n", start) + len("    keys:\n")
    indented = "".join(f"          {line}\n" for line in made.public_key_pem.strip().splitlines())
    listed = f"      - person: ben@example.com\n        public_key: |\n{indented}"
    author.shop.change_trust(trust, trust[:start] + "    threshold: 2\n" + trust[start:keys] + listed + trust[keys:])
    return made.private_key


def test_where_two_authors_have_to_sign_one_is_not_enough(author: Author, second: Path) -> None:
    author.bundle()
    first = author.sign().require(0)
    assert "1 of the 2 required persons signed" in first.err
    author.judge().require_one_error(1, "1 of the 2")
    before = author.bundle_file.read_bytes()
    assert author.sign(second).require(0).err == ""

    assert author.bundle_file.read_bytes() == before
    author.judge().require(0)


def test_a_second_author_does_not_sign_what_was_changed_after_the_first(author: Author, second: Path) -> None:
    """The data for OPA is not in the digest of the set, so only the first signature tells."""
    author.release()
    author.repack(lambda files: files | {SIGNATURES: files[SIGNATURES].replace(b"eyJ", b"eyK", 1)})

    author.sign(second).require_one_error(1)
    assert author.judge().code == 1


def test_data_that_the_settings_do_not_make_is_not_signed(writer: Author) -> None:
    writer.bundle()
    writer.repack(lambda files: files | {"data.json": files["data.json"].replace(b"12", b"99")})

    writer.sign().require_one_error(3, "OPA would answer with other values")


def test_without_operator_settings_nobody_signs_and_no_bundle_counts(writer: Author) -> None:
    nobody = {"POLICYD_SETTINGS": None, "HOME": str(writer.folder), "XDG_CONFIG_HOME": str(writer.folder)}
    writer.bundle()

    said = writer.shop.call("policy", "sign", writer.bundle_file, "--key", writer.key, env=nobody)

    said.require_one_error(2, "there are no operator settings")


def test_cosign_accepts_the_attestation(writer: Author, cosign: Path) -> None:
    writer.release()

    def verify(file: Path) -> subprocess.CompletedProcess[bytes]:
        command = [
            str(cosign),
            "verify-blob-attestation",
            f"--key={writer.key.with_suffix('.pub')}",
            f"--bundle={writer.attestation}",
            "--type=https://policyd.dev/attestation/policy-set/v1",
            "--insecure-ignore-tlog",
            str(file),
        ]
        return subprocess.run(command, capture_output=True, check=False, env={"HOME": str(writer.folder)}, timeout=60)

    done = verify(writer.bundle_file)
    assert done.returncode == 0, done.stderr.decode()
    (writer.folder / "other").write_bytes(b"other")
    assert verify(writer.folder / "other").returncode != 0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket: no port that somebody else could take first."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


@contextmanager
def stock_opa(opa: Path, folder: Path, *args: object) -> Iterator[Callable[[str, Any], Any]]:
    """Run a plain OPA server and give what asks it: a path below `data` and an input."""
    address = folder / "opa.sock"
    command = [str(opa), "run", "--server", f"--addr=unix://{address}", "--log-level=error", "--skip-version-check"]
    with (folder / "opa.log").open("wb") as log:
        process = subprocess.Popen([*command, *map(str, args)], cwd=folder, stdout=log, stderr=log)

    def ask(path: str, document: Any) -> Any:
        connection = _UnixConnection(address)
        try:
            connection.request("POST", f"/v1/data/{path}", json.dumps({"input": document}))
            return json.loads(connection.getresponse().read()).get("result")
        finally:
            connection.close()

    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask("policyd", {})
                break
            except OSError:
                said = (folder / "opa.log").read_text()
                assert process.poll() is None, f"OPA ended: {said}"
                assert time.monotonic() < deadline, f"OPA did not start: {said}"
                time.sleep(0.05)
        yield ask
    finally:
        process.kill()
        process.wait()


def test_a_stock_opa_server_answers_from_a_signed_bundle(writer: Author, opa: Path) -> None:
    writer.release()
    given = ("--verification-key", writer.key.with_suffix(".pub"), "--signing-alg", "ES256")

    with stock_opa(opa, writer.folder, "--bundle", writer.bundle_file, *given) as ask:
        found = ask("policyd/naming/long_name/deny", {"flows": ["short", "thirteen-long"]})
        settings = ask("policyd/settings", {})

    assert found == [{"at": ["flows", 1], "message": "thirteen-long is long"}]
    own = read_policy_set({**FOLDER, "settings/naming.json": SETTINGS.encode()}, "ours")
    assert {"policyd": {"settings": settings}} == own.data


def test_a_stock_opa_server_refuses_a_signed_bundle_that_was_changed(writer: Author, opa: Path) -> None:
    writer.release()
    changes: dict[str, Callable[[Mapping[str, bytes]], dict[str, bytes]]] = {
        "a rule": lambda files: {**files, "lib/naming.rego": files["lib/naming.rego"] + b" "},
        "data": lambda files: {**files, "data.json": files["data.json"].replace(b"12", b"99")},
        "the manifest": lambda files: {
            **files,
            ".manifest": files[".manifest"].replace(b'"version":1', b'"version":2'),
        },
        "a file more": lambda files: {**files, "lib/more.rego": b"package policyd.lib.more\n"},
        "a file less": lambda files: {path: files[path] for path in files if path != "collections/baseline.json"},
        "no signature": lambda files: {path: files[path] for path in files if path != SIGNATURES},
    }
    whole = read_archive(writer.bundle_file.read_bytes(), where="bundle")

    for name, change in changes.items():
        writer.bundle_file.write_bytes(write_archive(change(whole), where="bundle"))
        given = ["--verification-key", str(writer.key.with_suffix(".pub")), "--verification-key-id", "default"]
        command = [str(opa), "build", "--bundle", str(writer.bundle_file), *given, "--signing-alg", "ES256"]
        done = subprocess.run([*command, "-o", "out.tar.gz"], cwd=writer.folder, capture_output=True, check=False)
        assert done.returncode != 0, name


def test_a_stock_opa_server_answers_every_rule_of_the_library(writer: Author, opa: Path) -> None:
    writer.says("bundle", "--out", "library.tar.gz").require(0)
    library = read_policy_set(library_files(), "policyd-library")

    with stock_opa(opa, writer.folder, "--bundle", writer.folder / "library.tar.gz") as ask:
        answers = {rule.id: ask(rule.entrypoint.replace(".", "/"), {}) for rule in library.catalogue.values()}

    assert {rule_id for rule_id, answer in answers.items() if not isinstance(answer, list)} == set()
