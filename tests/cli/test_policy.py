"""`policyd policy new, check, test, explain, docs`: what an author of rules does, with files of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from policyd.adapters.library import library_files
from policyd.policy.policy_set import read_policy_set
from tests.cli.workshop import Said, Workshop, command

RULE = "policies/mine/curl/curl.rego"
TEST = "policies/mine/curl/curl_test.rego"
PROGRAMS = """#   settings:
#     programs:
#       type: strings
#       default: []
#       tighter: superset
#       description: Programs that may not run.
"""
TABLE = "policies/mine/curl/curl_test.yaml"
WORKFLOW = """\
on: push
jobs:
  build:
    runs-on: ubuntu-24.04
    steps:
      - run: |
          make
          forbidden-program -x
"""


@pytest.fixture
def author(shop: Workshop, tmp_path: Path) -> Author:
    return Author(shop, tmp_path)


class Author:
    """Somebody who writes a rule in a folder of their own."""

    def __init__(self, shop: Workshop, folder: Path) -> None:
        self.shop, self.folder = shop, folder

    def says(self, *args: object) -> Said:
        return self.shop.call("policy", *args, cwd=self.folder)

    def write(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def change(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))


@pytest.fixture
def written(author: Author) -> Author:
    """An author with one new rule."""
    author.says("new", "mine", "curl").require(0)
    return author


@pytest.mark.parametrize("gate", ["pipeline", "stage", "release"])
def test_a_new_rule_compiles_is_complete_and_its_tests_pass_on_both_engines(
    opa_shop: Workshop, tmp_path: Path, gate: str
) -> None:
    author = Author(opa_shop, tmp_path)
    author.says("new", "mine", "curl", "--gate", gate).require(0)

    checked = author.says("check", "policies").require(0)
    tested = author.says("test", "policies", "--engine", "both", "--coverage").require(0)

    assert checked.out == "pass  1 rule, nothing wrong\n"
    assert "on opa and regorus; 100.0 %" in tested.out


def test_nothing_is_overwritten(written: Author) -> None:
    before = (written.folder / RULE).read_bytes()
    (written.folder / TEST).unlink()

    written.says("new", "mine", "curl").require_one_error(2, "never overwrites", RULE)

    assert (written.folder / RULE).read_bytes() == before
    assert not (written.folder / TEST).exists()


def test_a_link_is_not_written_through(author: Author) -> None:
    target = author.folder / "target"
    (author.folder / RULE).parent.mkdir(parents=True)
    (author.folder / RULE).symlink_to(target)

    author.says("new", "mine", "curl").require_one_error(2, "never overwrites")

    assert not target.exists()


@pytest.mark.parametrize(("family", "rule"), [("..", "x"), ("mine", "../../x"), ("lib", "x"), ("Mine", "x")])
def test_a_rule_lands_only_in_its_folder(author: Author, family: str, rule: str) -> None:
    author.says("new", family, rule).require_one_error(2, "can't be the name")

    assert list(author.folder.iterdir()) == []


def test_the_library_passes(shop: Workshop) -> None:
    assert "nothing wrong" in shop.call("policy", "check").require(0).out
    assert "did not" not in shop.call("policy", "test").require(0).out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("command.program ==", "command.program = =", "does not compile"),
        ('"forbidden-program"\n', 'http.send({"url": "x", "method": "get"})\n', "http.send may not be called"),
        ('command.program == "forbidden-program"', "regex.match(`\\w`, command.program)", "differently"),
        ("#   severity: medium\n", "", "severity"),
        ("#   id: mine.curl", "#   id: mine.other", "does not fit the package"),
        ("# METADATA", "# METADATUM", "no METADATA"),
        ("package policyd.mine.curl", "package elsewhere.curl", "not below"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place_and_a_remedy(written: Author, old: str, new: str, words: str) -> None:
    written.change(RULE, old, new)

    said = written.says("check", "policies").require(1)

    [problem, *_] = [line for line in said.out.splitlines() if words in line]
    assert problem.startswith("mine/curl/curl.rego")
    assert "; to do: " in problem
    assert "fail  1 problem" in said.out


def test_a_rule_without_test_is_a_problem(written: Author) -> None:
    (written.folder / TEST).unlink()

    assert "the rule has no test" in written.says("check", "policies").require(1).out
    assert "no tests were found" in written.says("test", "policies").require(4).out


def test_an_empty_folder_is_no_pass(author: Author) -> None:
    (author.folder / "empty").mkdir()

    assert "there is no rule here" in author.says("check", "empty").require(4).out
    assert "no tests were found" in author.says("test", "empty").require(4).out
    author.says("test", "nowhere").require_one_error(2, "no such path")


def test_without_opa_check_says_what_was_not_looked_at(written: Author) -> None:
    said = written.says("check", "policies").require(0)

    if "OPA is not installed" not in said.out:
        pytest.skip("OPA is on the system path of this machine")


def test_opa_sees_unused_variables_and_facts_that_do_not_exist(opa_shop: Workshop, tmp_path: Path) -> None:
    author = Author(opa_shop, tmp_path)
    author.says("new", "mine", "curl").require(0)

    author.change(RULE, "some command in", "unused := 1\n\tsome command in")
    assert "curl.rego:16: OPA says: assigned var unused unused" in author.says("check", "policies").require(1).out

    author.change(RULE, "unused := 1\n\t", "")
    author.change(RULE, "command.program ==", "command.programme ==")
    assert "OPA says: undefined ref" in author.says("check", "policies").require(1).out


@pytest.mark.parametrize("engine", ["opa", "both"])
def test_an_engine_that_is_asked_for_has_to_be_there(shop: Workshop, tmp_path: Path, engine: str) -> None:
    nowhere = tmp_path / "settings.yaml"
    nowhere.write_text(shop.settings.read_text() + "helpers: {opa: /nowhere/opa}\n")
    nowhere.chmod(0o600)
    author = Author(shop, tmp_path)
    author.says("new", "mine", "curl").require(0)
    author.change(RULE, "command.program ==", "command.program = =")

    author.says("check", "policies", "--engine", engine, "--settings", nowhere).require_one_error(2, "/nowhere/opa")


def test_both_wants_what_the_embedded_engine_reads_alike(opa_shop: Workshop, tmp_path: Path) -> None:
    author = Author(opa_shop, tmp_path)
    author.says("new", "mine", "curl").require(0)
    author.change(RULE, 'command.program == "forbidden-program"', "regex.match(`\\w`, command.program)")

    author.says("check", "policies", "--engine", "opa").require(0)
    assert "differently" in author.says("check", "policies", "--engine", "both").require(1).out


def test_a_failing_test_says_where_it_stopped_and_what_was_there(written: Author) -> None:
    written.change(TEST, "forbidden-program runs", "something else")

    said = written.says("test", "policies").require(1)

    assert "stopped at mine/curl/curl_test.rego:9" in said.out
    assert 'found was [{"at": ["commands", 0], "message": "forbidden-program runs"}]' in said.out
    assert "2 tests passed, 1 did not" in said.out


def test_an_error_in_a_test_is_undecided_and_not_a_failure(written: Author) -> None:
    """`opa test` would pass it: a builtin that fails makes the rule undefined, and so no violation is found."""
    written.change(RULE, 'command.program == "forbidden-program"', "1 / count([]) > 0")

    said = written.says("test", "policies").require(3)

    assert "error: " in said.out


TABLE_TEXT = """\
policyd: rule-tests/v1
cases:
  - name: it is found
    pipeline: examples/bad.yml
    path: .github/workflows/ci.yml
    expect:
      - {place: "8:11", message: forbidden-program runs}
  - name: nothing is fine
    input: {commands: []}
    expect: []
"""


@pytest.fixture
def tabled(written: Author) -> Author:
    written.write("policies/mine/curl/examples/bad.yml", WORKFLOW)
    written.write(TABLE, TABLE_TEXT)
    return written


def test_a_table_is_run_beside_the_rego_tests(tabled: Author) -> None:
    assert "5 tests passed" in tabled.says("test", "policies").require(0).out
    tabled.says("check", "policies").require(0)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"8:11"', '"7:11"', "- expected, not found: mine.curl at 7:11"),
        ('"8:11"', '"7:11"', "+ found, not expected: mine.curl at 8:11"),
        ("forbidden-program runs}", "other}", "saying 'other'"),
        ('      - {place: "8:11", message: forbidden-program runs}\n', "      []\n", "+ found, not expected"),
    ],
)
def test_a_table_that_differs_fails_with_the_difference(tabled: Author, old: str, new: str, words: str) -> None:
    tabled.change(TABLE, old, new)

    assert words in tabled.says("test", "policies").require(1).out


@pytest.mark.parametrize(
    ("old", "new"),
    [("expect: []", "expects: []"), ("examples/bad.yml", "examples/none.yml"), ("policyd: rule-tests/v1", "a: b")],
)
def test_a_table_that_can_not_be_used_is_an_error(tabled: Author, old: str, new: str) -> None:
    tabled.change(TABLE, old, new)

    tabled.says("test", "policies").require_one_error(3, "curl_test.yaml")


def test_a_rule_that_fails_in_a_table_is_undecided(tabled: Author) -> None:
    (tabled.folder / TEST).unlink()
    tabled.change(RULE, 'command.program == "forbidden-program"', "1 / count([]) > 0")

    assert "could not be evaluated" in tabled.says("test", "policies").require(3).out


def test_settings_of_a_case_reach_the_rule(tabled: Author) -> None:
    tabled.change(RULE, '== "forbidden-program"', "in data.policyd.settings.mine.curl.programs")
    tabled.change(RULE, "#   remediation", f"{PROGRAMS}#   remediation")
    (tabled.folder / TEST).unlink()
    tabled.change(
        TABLE, "    path: .github", "    settings: {mine.curl: {programs: [forbidden-program]}}\n    path: .github"
    )

    tabled.says("test", "policies").require(0)
    tabled.change(TABLE, "[forbidden-program]", "[other]")
    tabled.says("test", "policies").require(1)


def test_a_table_beside_no_rule_is_refused_by_every_gate(tabled: Author) -> None:
    (tabled.folder / TABLE).rename(tabled.folder / "policies/mine/curl/other_test.yaml")

    assert "beside no rule" in tabled.says("check", "policies").require(1).out


def test_one_rule_of_a_set_is_tested_with_the_sets_libraries(shop: Workshop, tmp_path: Path) -> None:
    for path, content in library_files(tests=True).items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    for part in ("injection/reverse_shell", "injection/reverse_shell/reverse_shell.rego"):
        said = shop.call("policy", "test", tmp_path / part).require(0)
        assert "3 tests passed" in said.out


def test_junit_and_coverage_say_the_same(written: Author) -> None:
    written.change(TEST, "forbidden-program runs", "something else")
    written.change(
        RULE, "deny contains", "other contains 1 if {\n\tinput.gate == 1\n\tinput.gate == 2\n}\n\ndeny contains"
    )

    said = written.says("test", "policies", "--coverage", "--junit", "junit.xml").require(1)

    suites = ElementTree.fromstring((written.folder / "junit.xml").read_text())
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("3", "1", "0")
    assert "curl.rego  not reached: line 1" in said.out
    assert "%" in said.out.splitlines()[-1]


def test_coverage_needs_the_embedded_engine(written: Author) -> None:
    written.says("test", "policies", "--coverage", "--engine", "opa").require_error("embedded")


def test_watch_runs_again_after_a_change(written: Author) -> None:
    process = subprocess.Popen(
        [*command(), "policy", "test", "policies", "--watch"],
        cwd=written.folder,
        env=written.shop.environ({"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("pass")
        time.sleep(0.1)
        written.change(TEST, "forbidden-program runs", "something else")
        assert process.stdout.readline().startswith("fail")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_explain_says_what_a_rule_is_for(shop: Workshop) -> None:
    said = shop.call("policy", "explain", "injection.reverse_shell").require(0)

    for words in ("why ", "to do ", "critical; level ", "input.effects", "OWASP-CICD-SEC"):
        assert words in said.out


def test_explain_names_the_part_that_made_it_fire(shop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "ci.yml"
    file.parent.mkdir(parents=True)
    file.write_text(WORKFLOW.replace("forbidden-program -x", "curl https://x.example/i.sh | sh"))

    said = shop.call("policy", "explain", "dependencies.unverified_script", file).require(1)

    for words in ("ci.yml:8:11", 'input at ["effects", ', "], sha256:", "looked at input.effects ("):
        assert words in said.out


def test_explain_says_what_was_looked_at_in_vain(shop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "ci.yml"
    file.write_text(WORKFLOW)

    said = shop.call("policy", "explain", "injection.reverse_shell", file).require(0)

    assert "nothing found  in" in said.out
    assert "looked at input.effects (" in said.out


def test_explain_says_where_the_rule_would_not_be_asked(shop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "ci.yml"
    file.write_text(WORKFLOW)

    assert "does not ask it here" in shop.call("policy", "explain", "credentials.literal_secret_variable", file).out


def test_explain_takes_the_input_of_a_gate(shop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"gate": "pipeline"}))

    shop.call("policy", "explain", "injection.reverse_shell", "--input", file).require_one_error(3, "does not fit")


def test_explain_of_no_rule_says_which_is_near(shop: Workshop) -> None:
    shop.call("policy", "explain", "injection.reverse_shel").require_one_error(2, "injection.reverse_shell")


def test_a_rule_of_another_gate_is_not_asked_of_a_pipeline(shop: Workshop) -> None:
    shop.call("policy", "explain", "evidence.failed_tests", "pipeline.yaml").require_one_error(2, "gate stage")


def test_docs_writes_a_page_a_rule_and_removes_those_that_are_gone(written: Author) -> None:
    written.write("policies/mine/curl/examples/bad.yml", WORKFLOW)
    assert "wrote 2 pages" in written.says("docs", "policies", "--out", "pages").require(0).out
    page = (written.folder / "pages" / "mine.curl.md").read_text()
    assert "forbidden-program -x" in page

    written.write("pages/kept.md", "mine\n")
    written.says("new", "mine", "wget").require(0)
    for file in (written.folder / RULE).parent.rglob("*"):
        if file.is_file():
            file.unlink()
    assert "removed mine.curl.md" in written.says("docs", "policies", "--out", "pages").require(0).out
    assert sorted(file.name for file in (written.folder / "pages").iterdir()) == [
        "README.md",
        "kept.md",
        "mine.wget.md",
    ]


def test_docs_does_not_write_over_what_it_did_not_make(written: Author) -> None:
    file = written.write("pages/README.md", "mine\n")

    written.says("docs", "policies", "--out", "pages").require_one_error(2, "did not make")

    assert file.read_text() == "mine\n"


def test_the_reference_has_a_page_for_every_rule() -> None:
    catalogue = read_policy_set(library_files(), "library").catalogue
    pages = {file.stem for file in (Path(__file__).parents[2] / "docs" / "rules").glob("*.md")}

    assert pages == {*catalogue, "README"}
