"""`policyd check`: judges what is named or found, and says for the whole what is true of the worst."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop, one_stage, open_workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-check")

GOOD = one_stage("'true'", kind="scan")
WARNED = one_stage("'true'")  # flow.build_without_output, severity low, warns
DENIED = one_stage("curl -k https://example.com/x | bash")
LIFT = "policyd: ignore[dependencies.unverified_script, integrity.tls_verification_disabled]"
WORKFLOW = """\
on: pull_request_target
permissions: {}
jobs:
  a:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
"""


@pytest.fixture
def project(shop: Workshop, tmp_path: Path) -> Path:
    """An empty repository."""
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def quiet() -> Iterator[Workshop]:
    with open_workshop() as made:
        made.write(GOOD)
        yield made


def write(project: Path, **files: str) -> None:
    for name, text in files.items():
        path = project / name.replace("__", "/").replace("_yaml", ".yaml").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_good_pipeline_is_allowed(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=GOOD)

    said = shop.call("check", "a.yaml", cwd=project).require(0)

    assert said.out.startswith("allow")
    assert said.err == ""


def test_a_bad_one_is_denied_with_place_reason_and_remedy(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=DENIED)

    said = shop.call("check", "a.yaml", cwd=project).require(1)

    assert "deny  dependencies.unverified_script" in said.out
    assert "a.yaml:6:10" in said.out
    for label in ("why", "to do"):
        assert f"\n    {label}" in said.out
    assert said.out.splitlines()[-2].startswith("deny  1 pipeline may not run.")


def test_a_workflow_is_judged_with_the_same_words(shop: Workshop, project: Path) -> None:
    write(project, **{"_github__workflows__ci_yml": ""})
    file = project / ".github" / "workflows" / "ci.yml"
    file.parent.mkdir(parents=True)
    file.write_text(WORKFLOW)

    said = shop.call("check", cwd=project).require(1)

    assert "injection.untrusted_expression" in said.out
    assert ".github/workflows/ci.yml:8:" in said.out


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_stdout_holds_the_document_and_nothing_else(shop: Workshop, project: Path, form: str) -> None:
    write(project, a_yaml=DENIED, b_yaml=GOOD, c_yaml="policyd: pipeline/v1\nname: [\n")

    said = shop.policyd("check", "--format", form, cwd=project).require(3)

    document = said.json
    assert said.err == ""
    if form == "json":
        assert document["schema"] == "policyd.check/v1"
        assert document["verdict"] == "undecided"
        verdicts = {one["path"]: one["decision"]["verdict"] for one in document["decisions"]}
        assert verdicts == {"a.yaml": "deny", "b.yaml": "allow"}
        assert [one["path"] for one in document["unreadable"]] == ["c.yaml"]
    else:
        assert document["version"] == "2.1.0"
        (run,) = document["runs"]
        assert any(result["ruleId"] == "dependencies.unverified_script" for result in run["results"])


def test_the_format_may_come_from_the_environment(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=GOOD)

    assert shop.call("check", cwd=project, env={"POLICYD_FORMAT": "json"}).require(0).json["verdict"] == "allow"


def test_a_broken_file_that_is_named_can_not_be_used(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=GOOD, b_yaml="policyd: pipeline/v1\nname: [\n")

    shop.call("check", "a.yaml", "b.yaml", cwd=project).require_one_error(2, "b.yaml:3:1")


def test_a_broken_file_that_is_found_is_undecided_and_the_others_are_judged(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=DENIED, b_yaml="policyd: pipeline/v1\nname: [\n")

    said = shop.call("check", ".", cwd=project).require(3)

    assert "unreadable  b.yaml:3:1" in said.out
    assert "deny  dependencies.unverified_script" in said.out
    assert "1 of 2 pipelines could not be judged, which is never a pass. 1 denied." in " ".join(said.out.split())


def test_a_folder_without_a_pipeline_is_not_evaluated(shop: Workshop, project: Path) -> None:
    write(project, notes_yaml="a: 1\n")

    for form in ("text", "json", "sarif"):
        said = shop.call("check", "--format", form, cwd=project).require(4)
        assert said.out
    assert shop.call("check", "--format", "json", cwd=project).json["verdict"] == "not_evaluated"


def test_a_pipeline_hidden_from_listing_is_not_passed_over(shop: Workshop, project: Path) -> None:
    """A link might lead to what a CI system runs; policyd does not follow it, and says so (docs/threats.md, T45)."""
    (project / ".github" / "workflows").mkdir(parents=True)
    (project / ".github" / "workflows" / "ci.yml").symlink_to("/etc/passwd")

    said = shop.call("check", cwd=project)

    assert said.code == 3, said
    assert "ci.yml" in said.out
    assert "root:" not in said.out


@pytest.mark.parametrize(
    ("fail_on", "code"), [(None, 0), ("critical", 0), ("medium", 0), ("low", 1), ("info", 1)], ids=str
)
def test_fail_on_only_makes_stricter(shop: Workshop, project: Path, fail_on: str | None, code: int) -> None:
    write(project, a_yaml=WARNED, b_yaml=DENIED)
    option = ["--fail-on", fail_on] if fail_on else []

    said = shop.call("check", *option, "a.yaml", cwd=project).require(code)

    assert f"{'deny' if code else 'warn'}  flow.build_without_output  low" in said.out
    shop.call("check", *option, "b.yaml", cwd=project).require(1)


def test_a_project_can_raise_a_level_and_so_deny(quiet: Workshop) -> None:
    quiet.write(WARNED)
    quiet.call("check").require(0)
    with put_back(quiet.project / "policyd.yaml") as file:
        file.write_text("policyd: project/v1\nfail_on: info\n")
        quiet.call("check").require(1)
        file.write_text("policyd: project/v1\nlevels: {flow.build_without_output: hard}\n")
        raised = quiet.call("check", "--format", "json").require(1)

    assert [one["level"] for one in raised.json["decisions"][0]["decision"]["violations"]] == ["hard"]


def test_a_comment_or_a_baseline_of_the_repository_makes_no_verdict(shop: Workshop, project: Path) -> None:
    """docs/threats.md, T42."""
    write(project, a_yaml="# policyd: ignore all\n# nosec\n" + DENIED)
    for name in (".policyd", ".policyd-cache"):
        (project / name).mkdir()
        (project / name / "a.yaml.json").write_text('{"verdict": "allow"}')

    shop.call("check", "a.yaml", cwd=project).require(1)


def test_checking_writes_nothing_into_the_repository_or_the_store(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=GOOD)
    before = sorted(project.rglob("*")), sorted(shop.store.rglob("*"))

    shop.call("check", cwd=project).require(0)

    assert (sorted(project.rglob("*")), sorted(shop.store.rglob("*"))) == before


def test_both_engines_say_the_same(shop: Workshop, project: Path, opa: Path) -> None:
    write(project, a_yaml=DENIED, b_yaml=GOOD)
    with put_back(shop.settings) as file:
        file.write_text(file.read_text() + f'helpers: {{opa: "{opa}"}}\n')

        one = shop.call("check", "--format", "json", "--engine", "embedded", cwd=project).require(1).json
        other = shop.call("check", "--format", "json", "--engine", "opa", cwd=project).require(1).json

    for document in (one, other):
        for judged in document["decisions"]:
            assert judged["decision"].pop("engine")
            assert [layer.pop("engine")["name"] for layer in judged["decision"]["layers"]]
            judged["decision"].pop("decided_at")
            judged["decision"].pop("input_sha256")  # holds the time
    assert one == other


def test_a_comment_with_its_reason_lifts_a_finding_in_check_alone(shop: Workshop, project: Path) -> None:
    lifted = DENIED.replace("bash", f"bash  # {LIFT} lab")
    write(project, a_yaml=lifted)

    said = shop.call("check", "a.yaml", cwd=project).require(0)

    assert "ignored" in said.out
    assert "lab" in said.out
    assert shop.call("plan", "a.yaml", cwd=project).code == 1


def test_a_comment_without_reason_lifts_nothing(shop: Workshop, project: Path) -> None:
    write(project, a_yaml=DENIED.replace("bash", "bash  # policyd: ignore[dependencies.unverified_script]"))

    said = shop.call("check", "a.yaml", cwd=project).require(1)

    assert "gives no reason" in " ".join(said.out.split())


def test_the_project_can_forbid_comments(shop: Workshop, project: Path) -> None:
    write(
        project,
        a_yaml=DENIED.replace(
            "bash",
            f"bash  # {LIFT} lab",
        ),
        policyd_yaml="policyd: project/v1\ncomments: false\n",
    )

    assert "forbid" in " ".join(shop.call("check", "a.yaml", cwd=project).require(1).out.split())


@pytest.mark.parametrize("form", ["junit", "gitlab", "markdown", "github"])
def test_other_formats_stand_alone_on_stdout(shop: Workshop, project: Path, form: str) -> None:
    write(project, a_yaml=DENIED)

    said = shop.call("check", "a.yaml", "--format", form, cwd=project).require(1)

    assert "dependencies.unverified_script" in said.out.replace("\\_", "_").replace("\\.", ".")
    assert said.err == ""
