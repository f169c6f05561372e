"""Every attack in samples/attacks is made for real, and stopped for the reason that its README gives.

Most tests have a control: the same thing without the attack passes, or the attack made outside policyd succeeds. A test
without one could pass because nothing happened at all.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policyd.attestation.release_chain import CHECKS
from policyd.models.canonical import sha256_hex
from tests.samples.workbench import ATTACKS, Account, Ended, Listener, Workbench, finish, open_workbench, own_account

ESCAPE = b"\x1b"


def test_every_attack_is_described_and_tested() -> None:
    source = Path(__file__).read_text()
    index = (ATTACKS / "README.md").read_text()
    folders = sorted(path.name for path in ATTACKS.iterdir() if path.is_dir())

    assert len(folders) > 20
    for name in folders:
        assert (ATTACKS / name / "README.md").is_file(), f"{name} has no README.md"
        assert f'"{name}"' in source, f"{name} has no test"
        assert f"]({name})" in index, f"{name} is not in samples/attacks/README.md"


# Workflows that are only checked


@pytest.mark.parametrize(
    ("name", "workflow", "rule", "line"),
    [
        ("unpinned-action", "build.yml", "dependencies.unpinned_component", 13),
        ("script-injection", "greet.yml", "injection.untrusted_expression", 13),
    ],
)
def test_a_dangerous_workflow_is_refused_and_the_repaired_one_is_not(
    shared_bench: Workbench, name: str, workflow: str, rule: str, line: int
) -> None:
    project = shared_bench.add(ATTACKS / name)
    path = f".github/workflows/{workflow}"

    refused = shared_bench.policyd(project, "check", path, "--format", "json").require(1)
    allowed = shared_bench.policyd(project, "check", f"repaired/{path}", "--format", "json").require(0)

    denials = {(found["rule"], found["place"]["line"]) for found in _violations(refused) if found["effect"] == "deny"}
    assert (rule, line) in denials
    assert rule not in {found["rule"] for found in _violations(allowed)}


def _violations(checked: Ended) -> list[dict[str, Any]]:
    return [found for judged in checked.json["decisions"] for found in judged["decision"]["violations"]]


# Between stages


@pytest.fixture(scope="module")
def swapped(bwrap: Path) -> Iterator[tuple[Workbench, Path]]:
    with open_workbench(own_account()) as bench:
        project = bench.add(ATTACKS / "artifact-swapped-between-stages", "swapped")
        (project / "pipeline.yaml").write_text((project / "pipeline.yaml").read_text().replace("sleep 3 ", "sleep 0 "))
        bench.policyd(project, "run", "pipeline.yaml").require(0)
        yield bench, project


@pytest.mark.xdist_group("attack-swapped")
def test_an_artifact_swapped_in_the_store_does_not_reach_the_next_stage(bench: Workbench) -> None:
    project = bench.add(ATTACKS / "artifact-swapped-between-stages")
    bench.policyd(project, "plan", "pipeline.yaml").require(0)

    attack = bench.start(project, sys.executable, "attack.py", bench.store)
    run = bench.policyd(project, "run", "pipeline.yaml")

    sha256 = finish(attack).require(0, "swapped").stdout.split()[1]
    # Whichever stage is the next to be given the product, it fails for that reason.
    run.require(3, f": the object sha256:{sha256} is damaged", "succeeded build")
    assert not re.search(r"^succeeded\s+deliver", run.said, re.MULTILINE)
    assert not list(bench.target.iterdir())


@pytest.mark.xdist_group("attack-swapped")
def test_a_stage_can_not_change_what_it_was_given(swapped: tuple[Workbench, Path]) -> None:
    bench, project = swapped
    before = (bench.target / "greet").read_bytes()

    run = bench.policyd(project, "run", "tampering.pipeline.yaml").require(5, "Read-only file system")

    assert "failed    test" in run.said
    assert (bench.target / "greet").read_bytes() == before


@pytest.mark.xdist_group("attack-swapped")
def test_an_artifact_swapped_at_the_target_is_not_verified(swapped: tuple[Workbench, Path], tmp_path: Path) -> None:
    bench, project = swapped
    evil = tmp_path / "greet"
    evil.write_bytes((bench.target / "greet").read_bytes().replace(b"hello", b"EVIL!"))

    bench.policyd(project, "verify", bench.target / "greet").require(0, "verified")
    bench.policyd(project, "verify", evil).require(1, "no run in the store made")


# What a stage leaves


def test_an_undeclared_product_fails_the_stage(shared_bench: Workbench) -> None:
    project = shared_bench.add(ATTACKS / "undeclared-product")
    pipeline = project / "pipeline.yaml"

    shared_bench.policyd(project, "run", "pipeline.yaml").require(5, "left what it does not declare: '.backdoor'")
    pipeline.write_text("\n".join(line for line in pipeline.read_text().splitlines() if ".backdoor" not in line))
    shared_bench.policyd(project, "run", "pipeline.yaml").require(0)


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("link", "left a link: 'product'"),
        ("folder", "left a link: 'product'"),
        ("hard-link", "left a file with 2 names (hard links): 'product."),
        ("fifo", "left a FIFO: 'product'"),
    ],
)
def test_a_product_that_leads_elsewhere_fails_the_stage(shared_bench: Workbench, pipeline: str, reason: str) -> None:
    project = shared_bench.add(ATTACKS / "link-out-of-workspace")

    shared_bench.policyd(project, "run", f"{pipeline}.pipeline.yaml").require(5, reason)


def test_a_product_path_outside_the_workspace_is_refused_while_it_is_read(shared_bench: Workbench) -> None:
    project = shared_bench.add(ATTACKS / "link-out-of-workspace")

    for command in ("check", "plan", "run"):
        shared_bench.policyd(project, command, "parent.pipeline.yaml").require(2, "outputs", "path")
    assert "../product" in (project / "parent.pipeline.yaml").read_text()


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_a_link_in_the_source_is_not_followed(account_bench: Workbench, kind: str) -> None:
    bench = account_bench
    project = bench.add(ATTACKS / "link-out-of-workspace")
    secret = _secret(bench)
    bench.call(project, "sh", "attack.sh", kind, secret).require(0)
    assert (project / "notes.txt").read_text() == secret.read_text()  # outside, it does lead there

    run = bench.policyd(project, "run", "pipeline.yaml").require(2, "a link of the source leads out of it")

    assert SECRET not in run.said
    assert not _in_store(bench, SECRET.encode())
    # The control: a link within the source is one the stage may read through.
    (project / "notes.txt").unlink()
    (project / "notes.txt").symlink_to("attack.sh")
    bench.policyd(project, "run", "pipeline.yaml").require(0)


def test_a_workflow_that_is_a_link_is_not_followed(shared_bench: Workbench) -> None:
    bench = shared_bench
    project = bench.add(ATTACKS / "link-out-of-workspace")
    bench.call(project, "sh", "attack.sh", "workflow", _secret(bench)).require(0)

    check = bench.policyd(project, "check", ".github").require(3, "build.yml", "link")

    assert SECRET not in check.said


SECRET = "the-secret-itself"


def _secret(bench: Workbench) -> Path:
    """Return a file outside any project, which would pass for a pipeline."""
    secret = bench.home / "secret.txt"
    secret.write_text(f"on: push\njobs: {{{SECRET}: {{runs-on: x, steps: []}}}}\n")
    bench.own(secret)
    return secret


def test_a_terminal_escape_in_a_name_reaches_no_output(shared_bench: Workbench) -> None:
    bench = shared_bench
    project = bench.add(ATTACKS / "terminal-escape-in-product-name")

    run = bench.policyd(project, "run", "pipeline.yaml").require(
        5, r"a file whose name is not plain printable ASCII: 'report\x1b]0;verified\x07\x1b[2K\rok.txt'"
    )
    (last, *_) = bench.policyd(project, "runs", "--format", "json").json["runs"]
    log = bench.policyd(project, "logs", last["run_id"], "build").require(0, r"\x1b[2J\x1b[H\x1b[32msucceeded")
    show = bench.policyd(project, "show", last["run_id"]).require(0)
    name = bench.policyd(project, "check", "name.pipeline.yaml").require(2)

    for ended in (run, log, show, name):
        assert ESCAPE not in ended.stdout_bytes + ended.stderr_bytes
        assert b"\x07" not in ended.stdout_bytes + ended.stderr_bytes
        # No line is one that an outer CI system takes for a command.
        assert not any(line.lstrip().startswith("::") for line in ended.said.splitlines())


def test_a_product_with_a_plain_name_is_taken(shared_bench: Workbench) -> None:
    """The control of the test above: the glob takes the file, and only the name was against it."""
    project = shared_bench.add(ATTACKS / "terminal-escape-in-product-name")
    pipeline = project / "pipeline.yaml"
    text = pipeline.read_text()
    pipeline.write_text(text.replace(r"\033]0;verified\007\033[2K\r", ""))
    assert pipeline.read_text() != text

    shared_bench.policyd(project, "run", "pipeline.yaml").require(0)


def test_tests_that_nobody_ran_do_not_count(shared_bench: Workbench) -> None:
    bench = shared_bench
    project = bench.add(ATTACKS / "claimed-tests")

    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(1)

    test, package = run.json["manifest"]["stages"]
    assert test["state"] == "succeeded"
    assert test["results"][0]["passed"] is False
    assert test["results"][0]["counts"] == {"tests": 2, "failures": 0, "errors": 0, "skipped": 0, "stale": 1}
    assert package["state"] == "denied"
    assert "evidence.failed_tests" in package["reason"]

    # The same report, written by tests that did run, counts.
    (project / "pipeline.yaml").write_text(
        (project / "pipeline.yaml").read_text().replace("cp junit.xml", "echo | cat junit.xml - >")
    )
    bench.policyd(project, "run", "pipeline.yaml").require(0)


# What a stage reaches for


def test_a_stage_does_not_reach_the_network(account_bench: Workbench) -> None:
    bench = account_bench
    listener = Listener(("127.0.0.1", 0), family=socket.AF_INET)
    try:
        project = bench.add(ATTACKS / "stage-reaches-network")
        host, port = listener.addresses[0]
        (project / "listener").write_text(f"{host} {port}\n")

        outside = bench.call(project, "/usr/bin/python3", "probe.py", "listener").require(0, "REACHED listener")
        assert listener.settled() == 1
        run = bench.policyd(project, "run", "pipeline.yaml").require(5)
    finally:
        listener.close()

    assert "the host answers" in outside.said
    assert listener.settled() == 1
    _require_nothing_reached(
        run, "listener", "metadata", "datagram", "datagram_v6", "name", "hypervisor", "packets", "interfaces"
    )


@pytest.fixture
def in_srv(account: Account, bwrap: Path) -> Iterator[Workbench]:
    """A home in /srv, which no list of sensitive folders names; where that can't be written, in /tmp."""
    below = Path("/srv") if os.access("/srv", os.W_OK) else None
    with open_workbench(account, below=below, password="open sesame") as bench:
        yield bench


def test_a_stage_does_not_reach_the_signing_key(in_srv: Workbench) -> None:
    bench = in_srv
    project = bench.add(ATTACKS / "stage-reaches-signing-key")
    keys = [bench.keys / f"{role}.key" for role in ("builder", "decider", "verifier", "log")]
    (project / "guesses").write_text("".join(f"{key}\n" for key in keys))
    outside = bench.call(project, "/usr/bin/python3", "probe.py", bench.home)

    run = bench.policyd(project, "run", "pipeline.yaml").require(5)

    for key in keys:
        assert f"REACHED {key}: a private key" in outside.said
        assert f"reach | tried {key}: No such file or directory" in run.said
    assert "open sesame" not in run.said
    _require_nothing_reached(run, "every file", "every process")
    if not bench.account.is_root:
        # Without a sandbox the same stage, told to look nowhere but here, finds the key; and the run says so.
        (project / "pipeline.yaml").write_text(
            (project / "pipeline.yaml").read_text().replace("[python3, probe.py]", f"[python3, probe.py, {bench.home}]")
        )
        naked = bench.policyd(project, "run", "pipeline.yaml", "--sandbox", "none")
        assert f"reach | REACHED {keys[0]}: a private key" in naked.said
        assert "open sesame" not in naked.said
        (last, *_) = bench.policyd(project, "runs", "--format", "json").json["runs"]
        shown = bench.policyd(project, "show", last["run_id"], "--format", "json").json
        assert shown["manifest"]["builder_id"].endswith("/local/unsandboxed")


def test_a_stage_does_not_read_shadow(account_bench: Workbench) -> None:
    bench = account_bench
    project = bench.add(ATTACKS / "stage-reads-shadow")

    run = bench.policyd(project, "run", "pipeline.yaml").require(5)

    if bench.account.is_root:
        bench.call(project, "/usr/bin/python3", "probe.py", "path").require(0, "REACHED path")
    assert "reach | tried path: No such file or directory" in run.said  # not there, and not only unreadable
    _require_nothing_reached(
        run, "path", "other_roots", "hard_link", "set_uid", "become_root", "mount", "namespace", "core_pattern", "disk"
    )


# One after the other: the probe outside tries every abstract socket of the machine, and would knock at the other's.
@pytest.mark.xdist_group("attack-socket")
def test_a_stage_does_not_reach_a_socket_of_the_host(account_bench: Workbench) -> None:
    bench = account_bench
    project = bench.add(ATTACKS / "stage-reaches-host-socket")
    mark = f"policyd-test-{os.getpid()}-{bench.home.name}"
    files = [str(bench.home / "agent.sock"), f"/tmp/{mark}.sock"]
    listener = Listener(*files, f"\0{mark}", family=socket.AF_UNIX)
    try:
        for file in files:
            Path(file).chmod(0o777)
        names = [*files, f"@{mark}"]
        (project / "sockets").write_text("".join(f"{name}\n" for name in names))

        outside = bench.call(project, "/usr/bin/python3", "probe.py", "listed").require(0)
        connections = listener.settled()
        run = bench.policyd(project, "run", "pipeline.yaml").require(5)
    finally:
        listener.close()
        Path(files[1]).unlink()

    for name in names:
        assert f"REACHED {name}: connected" in outside.said
    assert connections >= len(names)
    assert listener.settled() == connections
    _require_nothing_reached(run, *names)


def _require_nothing_reached(run: Ended, *tried: str) -> None:
    """The stage ran to its end, tried every one of these ways, and none led anywhere."""
    assert "REACHED" not in run.said, run.said
    assert "reach | nothing reached" in run.said, run.said
    assert "Traceback" not in run.said, run.said
    for way in tried:
        assert f"reach | tried {way}: " in run.said, f"{way} was not tried:\n{run.said}"


def test_a_process_that_outlives_its_stage_changes_no_product(account_bench: Workbench) -> None:
    bench = account_bench
    project = bench.add(ATTACKS / "process-outlives-stage")
    pipeline = project / "pipeline.yaml"
    mark = f"policyd-test-{project.name}-{bench.home.name}"  # a second argument, to know its processes by
    pipeline.write_text(re.sub(r'stage\.sh "\$(\w+)"', rf'stage.sh "$\1" {mark}', pipeline.read_text()))
    assert pipeline.read_text().count(mark) == 2

    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(0)

    (product,) = run.json["manifest"]["stages"][0]["products"]
    assert product["sha256"] == sha256_hex(b"good\n")
    for stage in ("build", "deliver"):
        assert f"{stage} | the rewriter is process" in run.said
    assert not _processes_with(mark)
    assert (bench.target / "product").read_bytes() == b"good\n"
    bench.policyd(project, "verify", bench.target / "product").require(0, "verified")


def test_outside_policyd_the_process_does_outlive_the_stage(shared_bench: Workbench, tmp_path: Path) -> None:
    """The control of the test above."""
    project = shared_bench.add(ATTACKS / "process-outlives-stage")
    ended = shared_bench.call(project, "setsid", "--wait", "sh", "stage.sh", tmp_path).require(0)
    pid = int(ended.stdout.split()[-1])
    try:
        deadline = time.monotonic() + 20
        while (tmp_path / "product").read_text() != "EVIL\n":
            assert time.monotonic() < deadline, "the product was not rewritten"
            time.sleep(0.01)
    finally:
        os.kill(pid, signal.SIGKILL)


def _processes_with(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in command and "stage.sh" in command:
                found.append(command)
    return found


# What a repository brings along


def test_a_hostile_git_configuration_runs_nothing(account_bench: Workbench) -> None:
    bench = account_bench
    project = bench.add(ATTACKS / "hostile-git-config")
    mark = bench.home / "mark"
    bench.call(project, "sh", "attack.sh", mark).require(0)
    assert not mark.exists()

    bench.policyd(project, "check").require(0)
    bench.policyd(project, "plan", "pipeline.yaml").require(0, "with changes")
    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(0)

    assert not mark.exists(), mark.read_text()
    (product,) = run.json["manifest"]["stages"][0]["products"]
    assert bench.object(product["sha256"]).read_bytes() == b"other data\n"  # what lies there, not what was committed
    bench.call(project, "git", "status")
    assert mark.exists(), "the trap does not work on plain git either"


def test_yaml_nested_100000_deep_is_refused_and_nothing_crashes(shared_bench: Workbench) -> None:
    bench = shared_bench
    project = bench.add(ATTACKS / "yaml-depth")
    bench.call(project, "/usr/bin/python3", "generate.py", project).require(0)
    files = sorted(project.glob("*.pipeline.yaml"))
    assert len(files) == 5

    for file in files:
        reason = "a key is a list or a mapping" if file.name == "keys.pipeline.yaml" else "deep"
        bench.policyd(project, "check", file.name).require(2, reason)
    bench.policyd(project, "check", ".github/workflows/deep.yml").require(2, "deep")
    found = bench.policyd(project, "check", ".").require(3)
    bench.policyd(project, "run", "lists.pipeline.yaml").require(2, "deep")

    for file in files:
        assert file.name in found.said


@pytest.fixture(scope="module")
def self_vouching(bwrap: Path) -> Iterator[tuple[Workbench, Path]]:
    """The victim's home, and a folder with what repository-brings-trust-policy makes."""
    with open_workbench(own_account()) as bench:
        folder = bench.home / "attack"
        folder.mkdir()
        script = ATTACKS / "repository-brings-trust-policy" / "attack.sh"
        bench.call(folder, "sh", script, ATTACKS / "victim", folder).require(0)
        yield bench, folder


@pytest.mark.xdist_group("attack-trust")
def test_evidence_signed_by_keys_the_download_brings_is_refused(self_vouching: tuple[Workbench, Path]) -> None:
    bench, folder = self_vouching
    download = folder / "download"
    argv: list[str | Path] = ["verify", "products/greet", *_bundles(download)]

    refused = bench.policyd(download, *argv).require(1)
    assert _failed_check(bench.policyd(download, *argv, "--format", "json")) == 1
    assert "signed" in refused.said
    # Where nobody says whose signatures count, nobody's do.
    bare = {"POLICYD_SETTINGS": None, "XDG_CONFIG_HOME": str(bench.home / "nobody")}
    bench.policyd(download, *argv, environment=bare).require(2, "there are no operator settings")
    # It is good evidence, by the attacker's own settings.
    theirs = folder / "attacker" / "config" / "policyd" / "settings.yaml"
    bench.policyd(download, *argv, environment={"POLICYD_SETTINGS": str(theirs)}).require(0, "verified")


@pytest.mark.xdist_group("attack-trust")
@pytest.mark.parametrize("settings", ["settings.yaml", ".policyd/settings.yaml"])
@pytest.mark.parametrize("command", ["run", "plan", "check"])
def test_settings_in_the_repository_are_refused(
    self_vouching: tuple[Workbench, Path], command: str, settings: str
) -> None:
    bench, folder = self_vouching
    reason = "operator settings must not come from the repository they judge"

    bench.policyd(folder / "repository", command, "pipeline.yaml", "--settings", settings).require(2, reason)


@pytest.mark.xdist_group("attack-trust")
def test_settings_that_lie_in_the_repository_are_not_read(self_vouching: tuple[Workbench, Path]) -> None:
    bench, folder = self_vouching

    plan = bench.policyd(folder / "repository", "plan", "pipeline.yaml", "--format", "json").require(0).json

    trust = (folder / "repository" / "trust.yaml").read_bytes()
    planned = plan["trust_policy_sha256"]
    assert planned == sha256_hex(bench.trust_policy.read_bytes())
    assert planned != sha256_hex(trust)


@pytest.mark.xdist_group("attack-trust")
def test_project_settings_can_not_name_a_trust_policy(self_vouching: tuple[Workbench, Path]) -> None:
    bench, folder = self_vouching
    project = bench.home / "names-trust"
    shutil.copytree(folder / "repository", project)
    shutil.copyfile(ATTACKS / "repository-brings-trust-policy" / "policyd.yaml.attack", project / "policyd.yaml")

    for command in ("run", "plan", "check"):
        bench.policyd(project, command, "pipeline.yaml").require(2, "policyd.yaml", "trust_policy")


def test_an_edited_policy_set_decides_nothing(bench: Workbench) -> None:
    project = bench.add(ATTACKS / "edited-policy-set")
    policies = bench.home / "policies"
    shutil.copytree(ATTACKS.parent.parent / "policies", policies)
    bench.settings.write_text(bench.settings.read_text() + f'policy_set: "{policies}"\n')
    victim = bench.add(ATTACKS / "victim", "victim")
    bench.policyd(victim, "run", "pipeline.yaml").require(0)
    bench.policyd(victim, "verify", bench.target / "greet").require(0)

    judged = bench.policyd(project, "run", "pipeline.yaml").require(1, "flow.deploy_without_tests")
    bench.call(project, "sh", "attack.sh", policies).require(0)
    edited = bench.policyd(project, "run", "pipeline.yaml").require(1, "is not one that the trust policy allows")
    verified = bench.policyd(victim, "verify", bench.target / "greet")

    assert "Nothing was run." in judged.said
    verified.require(1, "is not one that the trust policy allows")
    assert not (bench.target / "untested").exists()
    # The edit did take the rules' teeth out: once the operator lists the new set, the untested program is delivered.
    (sha256,) = re.findall(r"\(sha256:([0-9a-f]{64})\)", edited.said)
    before = bench.trust_policy.read_bytes()
    after = before.replace(b"policy_sets:\n", f"policy_sets:\n  - {sha256}\n".encode())
    bench.trust_policy.write_bytes(after)
    bench.settings.write_text(bench.settings.read_text().replace(sha256_hex(before), sha256_hex(after)))
    bench.policyd(project, "run", "pipeline.yaml").require(0)
    assert (bench.target / "untested").exists()


# Evidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run of the victim, as its attacker holds it: the evidence's folder and the artifact."""

    bench: Workbench
    folder: Path
    run: Ended

    @property
    def artifact(self) -> Path:
        return self.folder / "products" / "greet"

    def copy(self, folder: Path) -> Evidence:
        shutil.copytree(self.folder, folder)
        return Evidence(self.bench, folder, self.run)

    def verify(self, artifact: Path | None = None, *more: str | Path) -> Ended:
        """`policyd verify` over all evidence in the folder."""
        return self.bench.policyd(
            self.folder, "verify", artifact or self.artifact, *_bundles(self.folder), "--format", "json", *more
        )


@dataclass(frozen=True, slots=True)
class Runs:
    """Four runs of the victim in one store."""

    bench: Workbench
    good: Evidence  # pipeline.yaml, all well
    denied: Evidence  # pipeline.yaml, where the tests failed
    hasty_good: Evidence  # hasty.pipeline.yaml, released
    hasty_bad: Evidence  # hasty.pipeline.yaml, where the tests failed: all stages succeeded, the release was refused


@pytest.fixture(scope="module")
def runs(bwrap: Path) -> Iterator[Runs]:
    with open_workbench(own_account()) as bench:
        with bench.settings.open("a") as settings:
            settings.write(f'  production: {{uri: "policyd://production", folder: "{bench.home / "production"}"}}\n')
        good = bench.add(ATTACKS / "victim", "victim")
        bad = bench.add(ATTACKS / "victim", "broken")
        (bad / "greet.sh").write_text((bad / "greet.sh").read_text().replace("hello", "goodbye"))
        yield Runs(
            bench,
            good=_run_and_gather(bench, good, "pipeline.yaml", 0),
            denied=_run_and_gather(bench, bad, "pipeline.yaml", 1),
            hasty_good=_run_and_gather(bench, good, "hasty.pipeline.yaml", 0),
            hasty_bad=_run_and_gather(bench, bad, "hasty.pipeline.yaml", 1),
        )


def _run_and_gather(bench: Workbench, project: Path, pipeline: str, code: int) -> Evidence:
    run = bench.policyd(project, "run", pipeline, "--format", "json").require(code)
    name = f"{project.name}-{pipeline.removesuffix('.yaml')}"
    answer = bench.home / f"{name}.json"
    answer.write_bytes(run.stdout_bytes)
    folder = bench.home / f"evidence-{name}"
    bench.call(project, sys.executable, "gather.py", answer, bench.store, folder).require(0)
    return Evidence(bench, folder, run)


def _bundles(folder: Path) -> list[str]:
    """Return options that hand in every bundle and the plan in `folder`, as the READMEs type them."""
    files = [*sorted(folder.glob("*.bundle")), folder / "plan.json"]
    return [part for file in files for part in ("--bundle", str(file))]


def _failed_check(ended: Ended) -> int:
    """Return the number of the check that ended a verification; all before it held."""
    checks = ended.json["checks"]
    assert [check["passed"] for check in checks[:-1]] == [True] * (len(checks) - 1)
    assert not checks[-1]["passed"]
    return int(checks[-1]["number"])


@pytest.mark.xdist_group("attack-evidence")
def test_the_victim_is_verified(runs: Runs) -> None:
    """The control of all attacks on evidence."""
    for evidence in (runs.good, runs.hasty_good):
        evidence.verify(None, "--target", "local").require(0)
        summary = evidence.folder / "greet.vsa"
        runs.bench.policyd(evidence.folder, "verify", evidence.artifact, "--target", "local").require(0, "verified")
        runs.bench.policyd(
            evidence.folder, "verify", evidence.artifact, "--target", "local", "--bundle", summary
        ).require(0, "verified")


@pytest.mark.xdist_group("attack-evidence")
def test_an_attestation_that_is_left_out_leaves_the_release_undecided(runs: Runs, tmp_path: Path) -> None:
    name = "attestation-stripped"
    full = runs.hasty_bad.verify(None, "--target", "local").require(1)
    stripped = runs.hasty_bad.copy(tmp_path / name)
    (stripped.folder / "test.test-result.bundle").unlink()

    answer = stripped.verify(None, "--target", "local").require(3)

    assert "evidence.untested_release" in full.json["checks"][-1]["detail"]
    assert _failed_check(full) == len(CHECKS) + 1  # the chain holds, the release rules object
    assert _failed_check(answer) == 9
    assert "test" in answer.json["error"]["cause"]


@pytest.mark.xdist_group("attack-evidence")
@pytest.mark.parametrize(
    "kind", ["check", "build.admit", "test.admit", "build.provenance", "build.link", "test.test-result"]
)
def test_no_single_piece_of_good_evidence_can_be_left_out(runs: Runs, tmp_path: Path, kind: str) -> None:
    stripped = runs.good.copy(tmp_path / "stripped")
    (stripped.folder / f"{kind}.bundle").unlink()

    stripped.verify(None, "--target", "local").require(3)


@pytest.mark.xdist_group("attack-evidence")
def test_an_attestation_deleted_from_the_store_leaves_the_release_undecided(bench: Workbench) -> None:
    project = bench.add(ATTACKS / "victim", "victim")
    (project / "greet.sh").write_text((project / "greet.sh").read_text().replace("hello", "goodbye"))
    run = bench.policyd(project, "run", "hasty.pipeline.yaml", "--format", "json").require(1)
    build, test = run.json["manifest"]["stages"]
    artifact = bench.object(build["products"][0]["sha256"])
    bench.policyd(project, "verify", artifact).require(1, "evidence.untested_release")

    for sha256 in test["attestations"]:
        bench.object(sha256).unlink()

    bench.policyd(project, "verify", artifact).require(3)
    bench.policyd(project, "record", "verify").require(3, test["attestations"][0])


@pytest.mark.xdist_group("attack-evidence")
def test_a_manifest_that_no_longer_lists_it_is_not_signed(runs: Runs, tmp_path: Path) -> None:
    stripped = runs.hasty_bad.copy(tmp_path / "edited")
    script = ATTACKS / "attestation-stripped" / "edit_manifest.py"
    runs.bench.call(stripped.folder, sys.executable, script, "manifest.bundle", "test").require(0)

    answer = stripped.verify(None, "--target", "local").require(1)

    assert _failed_check(answer) == 1


@pytest.mark.xdist_group("attack-evidence")
def test_evidence_of_another_run_does_not_cover_the_artifact(runs: Runs) -> None:
    assert (ATTACKS / "evidence-of-another-run").is_dir()

    answer = runs.hasty_good.verify(runs.hasty_bad.artifact, "--target", "local").require(1)
    summary = runs.bench.policyd(
        runs.bench.home,
        "verify",
        runs.hasty_bad.artifact,
        "--target",
        "local",
        "--bundle",
        runs.hasty_good.folder / "greet.vsa",
    )

    assert _failed_check(answer) == 5
    assert "no stage of the run has an output" in answer.json["error"]["cause"]
    summary.require(1, "the summary is not about sha256:")


@pytest.mark.xdist_group("attack-evidence")
def test_an_attestation_of_another_run_does_not_stand_in_for_the_one_listed(runs: Runs, tmp_path: Path) -> None:
    mixed = runs.hasty_bad.copy(tmp_path / "mixed")
    shutil.copyfile(runs.hasty_good.folder / "test.test-result.bundle", mixed.folder / "test.test-result.bundle")

    answer = mixed.verify(None, "--target", "local").require(3)

    assert _failed_check(answer) == 9


@pytest.mark.xdist_group("attack-evidence")
def test_evidence_of_a_denied_run_releases_nothing(runs: Runs) -> None:
    assert (ATTACKS / "evidence-of-a-denied-run").is_dir()
    denied = runs.denied
    stages = {stage["name"]: stage for stage in denied.run.json["manifest"]["stages"]}

    over_files = denied.verify(None, "--target", "local").require(1)
    artifact = denied.folder / "products" / "greet"

    assert stages["build"]["state"] == "succeeded"
    assert "evidence.failed_tests" in stages["deliver"]["reason"]
    assert _failed_check(over_files) == 3
    assert over_files.json["error"]["cause"] == "the run did not succeed: deliver"
    # The hasty run made the same bytes, so ask the store about the denied run alone.
    assert artifact.read_bytes() == runs.hasty_bad.artifact.read_bytes()


@pytest.mark.xdist_group("attack-evidence")
def test_the_store_of_a_denied_run_releases_nothing_either(bench: Workbench) -> None:
    project = bench.add(ATTACKS / "victim", "victim")
    (project / "greet.sh").write_text((project / "greet.sh").read_text().replace("hello", "goodbye"))
    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(1)
    artifact = bench.object(run.json["manifest"]["stages"][0]["products"][0]["sha256"])

    bench.policyd(project, "verify", artifact).require(1, "the run did not succeed: deliver")
    assert not list(bench.target.iterdir())


@pytest.mark.xdist_group("attack-evidence")
def test_a_summary_that_says_failed_is_no_proof(runs: Runs) -> None:
    evidence = runs.hasty_bad
    argv: list[str | Path] = [
        "verify",
        evidence.artifact,
        "--target",
        "local",
        "--bundle",
        evidence.folder / "greet.vsa",
    ]

    runs.bench.policyd(evidence.folder, *argv).require(1, "the verification result is FAILED")


@pytest.mark.xdist_group("attack-evidence")
def test_cosign_accepts_the_provenance_of_the_denied_run(runs: Runs, cosign: Path, tmp_path: Path) -> None:
    """Why a signature is not enough: it is genuine, for an artifact that nobody may release."""
    import yaml

    key = tmp_path / "builder.pub"
    key.write_text(yaml.safe_load(runs.bench.trust_policy.read_text())["roles"]["builder"]["keys"][0]["public_key"])
    bundle = runs.denied.folder / "build.provenance.bundle"
    argv: list[str | Path] = [
        "--key",
        key,
        "--bundle",
        bundle,
        "--type",
        "slsaprovenance1",
        "--insecure-ignore-tlog",
        runs.denied.artifact,
    ]

    runs.bench.call(runs.bench.home, cosign, "verify-blob-attestation", *argv).require(0)


@pytest.mark.xdist_group("attack-evidence")
def test_evidence_for_one_target_does_not_open_another(runs: Runs) -> None:
    assert (ATTACKS / "evidence-for-another-target").is_dir()
    bench, good = runs.bench, runs.good
    argv: list[str | Path] = ["verify", good.artifact, "--target", "production", "--format", "json"]

    over_store = bench.policyd(good.folder, *argv).require(1)
    over_files = good.verify(None, "--target", "production").require(1)
    summary = bench.policyd(good.folder, *argv, "--bundle", good.folder / "greet.vsa").require(1)

    for answer in (over_store, over_files):
        assert _failed_check(answer) == 6
        assert answer.json["error"]["cause"] == "the plan does not send this artifact to production, but to local"
    assert summary.json["error"]["cause"] == (
        "the summary is for policyd://local/greet, not policyd://production/greet"
    )
    # And where two targets are known, none is guessed.
    bench.policyd(good.folder, "verify", good.artifact).require(2, "say for which target")


def _in_store(bench: Workbench, content: bytes) -> list[Path]:
    return [path for path in bench.store.rglob("*") if path.is_file() and content in path.read_bytes()]
