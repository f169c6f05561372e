from __future__ import annotations

import pytest

from policyd.errors import DocumentError, InputTooLarge
from policyd.models.facts import Facts, StageFact
from policyd.pipeline.reading import ReadPipeline, read_pipeline

STEP = """\
on: {on}
jobs:
  job:
    runs-on: ubuntu-latest
    steps:
"""


def _read(text: str) -> ReadPipeline:
    return read_pipeline(".github/workflows/ci.yml", text.encode())


def _facts(text: str) -> Facts:
    return _read(text).facts


def _steps(*lines: str, on: str = "push") -> Facts:
    return _facts(STEP.format(on=on) + "".join(f"      {line}\n" for line in lines))


def _job(*lines: str, top: str = "", on: str = "push") -> Facts:
    body = "".join(f"    {line}\n" for line in lines)
    return _facts(f"on: {on}\n{top}jobs:\n  job:\n    runs-on: ubuntu-latest\n    steps: []\n{body}")


def _stage(facts: Facts) -> StageFact:
    (stage,) = facts.stages
    return stage


# Triggers.


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("push", [("push", "internal", False)]),
        ("[schedule, pull_request]", [("schedule", "trusted", False), ("pull_request", "untrusted", False)]),
        ("{pull_request_target: {types: [opened]}}", [("pull_request_target", "untrusted", True)]),
        ("{issue_comment: }", [("issue_comment", "untrusted", True)]),
        ("workflow_run", [("workflow_run", "untrusted", True)]),
        ("workflow_call", [("workflow_call", "unknown", False)]),
        ("some_new_event", [("some_new_event", "unknown", False)]),
    ],
)
def test_triggers_say_who_can_cause_them(on: str, expected: list[tuple[str, str, bool]]) -> None:
    facts = _steps("- run: make", on=on)

    assert [(trigger.event, trigger.trust, trigger.privileged) for trigger in facts.triggers] == expected
    assert _stage(facts).untrusted is any(trust == "untrusted" for _, trust, _ in expected)
    assert _stage(facts).privileged is any(privileged for _, _, privileged in expected)


def test_triggers_say_what_they_are_limited_to_and_what_can_be_set() -> None:
    facts = _facts(
        "on:\n  push: {branches: [main, 'r/*'], tags-ignore: ['v*'], paths: [src]}\n"
        "  pull_request_target: {types: [opened, labeled], branches-ignore: x}\n"
        "  workflow_dispatch: {inputs: {target: {type: string}, debug: {}}}\n"
        "  schedule: [{cron: '1 2 * * *'}]\n  repository_dispatch: {types: go}\njobs: {a: {runs-on: x, steps: []}}\n"
    )

    assert [(one.event, one.types, one.branches, one.parameters) for one in facts.triggers] == [
        ("push", [], ["main", "r/*", "!refs/tags/v*"], []),
        ("pull_request_target", ["opened", "labeled"], ["!x"], []),
        ("workflow_dispatch", [], [], ["target", "debug"]),
        ("schedule", [], [], []),
        ("repository_dispatch", ["go"], [], ["client_payload"]),
    ]


# Stages.


def test_a_job_is_a_stage() -> None:
    facts = _facts(
        "on: push\njobs:\n  a:\n    runs-on: [self-hosted, linux]\n    needs: [b, c]\n    timeout-minutes: 7\n"
        "    environment: {name: prod}\n    outputs: {x: '1'}\n    steps:\n      - uses: actions/checkout@v4\n"
    )
    stage = _stage(facts)

    assert (stage.name, stage.kind, stage.needs) == ("a", "", ["b", "c"])
    assert (stage.runner, stage.self_hosted) == (["self-hosted", "linux"], True)
    assert (stage.timeout_seconds, stage.explicit_timeout) == (420, True)
    assert (stage.environment, stage.outputs, stage.has_source) == ("prod", ["x"], True)


def test_a_missing_timeout_is_the_one_that_takes_effect() -> None:
    assert (_stage(_job()).timeout_seconds, _stage(_job()).explicit_timeout) == (21_600, False)
    computed = _stage(_job("timeout-minutes: ${{ fromJSON('5') }}"))
    assert (computed.timeout_seconds, computed.explicit_timeout) == (None, True)


def test_runners_of_a_matrix_are_looked_up() -> None:
    facts = _facts(
        "on: push\njobs:\n  a:\n    runs-on: ${{ matrix.os }}\n    strategy:\n      matrix:\n"
        "        os: [ubuntu-24.04]\n        include: [{os: self-hosted}]\n    steps: []\n"
    )

    assert _stage(facts).runner == ["ubuntu-24.04", "self-hosted"]
    assert _stage(facts).self_hosted


# Permissions.


def _permissions(facts: Facts) -> list[tuple[str, str, bool, str]]:
    return [(grant.scope, grant.access, grant.explicit, grant.level) for grant in facts.permissions]


def test_without_permissions_the_token_counts_as_one_that_writes() -> None:
    assert _permissions(_job()) == [("contents", "write", False, "pipeline")]
    assert _permissions(_job(top="permissions:\n")) == [("contents", "write", False, "pipeline")]


def test_a_jobs_permissions_replace_the_workflows() -> None:
    facts = _job("permissions: {issues: write}", top="permissions: write-all\n")

    assert _permissions(facts) == [("issues", "write", True, "stage")]


def test_empty_permissions_grant_nothing() -> None:
    assert _permissions(_job(top="permissions: {}\n")) == []


def test_write_all_is_every_scope() -> None:
    granted = _permissions(_job(top="permissions: write-all\n"))

    assert ("contents", "write", True, "pipeline") in granted
    assert ("id-token", "write", True, "pipeline") in granted
    assert len(granted) > 10


def test_read_all_writes_nothing() -> None:
    assert {access for _, access, _, _ in _permissions(_job(top="permissions: read-all\n"))} == {"read"}


def test_a_grant_of_the_workflow_stands_in_one_place_for_all_jobs() -> None:
    read = _read(
        "on: push\npermissions: {contents: write}\njobs:\n  a: {runs-on: x, steps: []}\n  b: {runs-on: x, steps: []}\n"
    )
    first, second = read.facts.permissions

    assert (first.stage, second.stage) == ("a", "b")
    assert first.at == second.at == ("permissions", 0)
    place = read.source_map.place(first.at)
    assert place is not None
    assert (place.line, place.column) == (2, 25)


# References.


def test_references_are_all_that_comes_from_elsewhere() -> None:
    facts = _facts(
        "on: push\njobs:\n  a:\n    runs-on: x\n    container: node:18\n    services: {db: {image: 'postgres:16'}}\n"
        "    steps:\n      - uses: actions/checkout@v4\n      - uses: ./here\n      - uses: docker://alpine\n"
        "  b: {uses: o/r/.github/workflows/w.yml@v1}\n"
    )

    assert [(one.kind, one.text, one.local, one.pinned) for one in facts.references] == [
        ("image", "node:18", False, False),
        ("image", "postgres:16", False, False),
        ("action", "actions/checkout@v4", False, False),
        ("action", "./here", True, False),
        ("image", "docker://alpine", False, False),
        ("workflow", "o/r/.github/workflows/w.yml@v1", False, False),
    ]


# Expressions.


@pytest.mark.parametrize(
    ("lines", "sink", "untrusted"),
    [
        (['- run: echo "${{ github.head_ref }}"'], "script", True),
        (["- run: echo ${{ github.sha }}"], "script", False),
        (["- run: echo ${{ contains(github.head_ref, 'x') }}"], "script", False),
        (["- run: echo ${{ github.head_ref ??? }}"], "script", True),
        (["- run: echo ${{ ??? }}"], "script", True),
        (["- {run: make, env: {A: '${{ github.head_ref }}'}}"], "environment", True),
        (["- {uses: a/b@v1, with: {x: '${{ github.head_ref }}'}}"], "input", True),
        (["- {uses: actions/github-script@v7, with: {script: 'x(${{ github.head_ref }})'}}"], "script", True),
        (["- {uses: Actions/GitHub-Script@v7, with: {Script: 'x(${{ github.head_ref }})'}}"], "script", True),
        (["- {run: make, working-directory: '${{ github.head_ref }}'}"], "other", True),
    ],
)
def test_expressions_say_where_they_land_and_whether_an_outsider_writes_them(
    lines: list[str], sink: str, untrusted: bool
) -> None:
    (expression,) = _steps(*lines, on="pull_request_target").expressions

    assert (expression.sink, expression.untrusted) == (sink, untrusted)


@pytest.mark.parametrize(
    ("on", "context", "untrusted"),
    [
        ("push", "github.head_ref", False),
        ("pull_request", "github.head_ref", True),
        ("[push, pull_request]", "github.head_ref", True),
        ("push", "github.event.head_commit.message", True),
        ("push", "github.event.issue.title", False),
        ("push", "github.ref_name", False),
        ("issues", "github.event.issue.title", True),
        ("issues", "toJSON(github.event)", True),
        ("schedule", "toJSON(github.event)", False),
        ("workflow_dispatch", "github.event.inputs.x", False),
        ("workflow_dispatch", "inputs.x", False),
        ("workflow_call", "github.event.issue.title", True),
        ("workflow_call", "inputs.x", False),
        ("brand_new_event", "github.event.issue.title", True),
        ("workflow_run", "github.event.workflow_run.head_branch", True),
        ("discussion_comment", "github.event.comment.body", True),
    ],
)
def test_a_context_is_an_outsiders_text_where_an_event_carries_it(on: str, context: str, untrusted: bool) -> None:
    (expression,) = _steps(f"- run: x ${{{{ {context} }}}}", on=on).expressions

    assert expression.untrusted is untrusted


def test_a_condition_that_only_another_event_meets_makes_a_context_empty() -> None:
    facts = _steps(
        "- {if: github.event_name == 'push', run: 'x ${{ github.head_ref }}'}",
        "- {if: github.event_name != 'push', run: 'x ${{ github.head_ref }}'}",
        on="[push, pull_request]",
    )

    assert [one.untrusted for one in facts.expressions if one.sink == "script"] == [False, True]


def test_an_outsiders_text_stays_one_by_way_of_the_environment() -> None:
    facts = _job(
        "env: {B: '${{ env.A }}', C: fixed}",
        top="env: {A: '${{ github.event.issue.title }}', C: '${{ github.head_ref }}'}\n",
        on="issues",
    )
    untrusted = {expression.text: expression.untrusted for expression in facts.expressions}
    assert untrusted["${{ env.A }}"]

    step = "- run: echo ${{ env.A }} ${{ env.B }} ${{ env.C }}"
    text = STEP.format(on="pull_request") + f"      {step}\n"
    text = text.replace("jobs:", "env: {A: '${{ github.head_ref }}', B: x, C: y}\njobs:")
    script = [one for one in _facts(text).expressions if one.sink == "script"]
    assert [one.untrusted for one in script] == [True, False, False]


def test_outputs_of_actions_that_hand_on_an_outsiders_text_are_untrusted() -> None:
    facts = _steps(
        "- {id: files, uses: tj-actions/changed-files@v45}",
        "- run: echo ${{ steps.files.outputs.all_changed_files }} ${{ steps.files.outputs.any_changed }}",
        on="pull_request",
    )

    assert [one.untrusted for one in facts.expressions] == [True, False]


def test_outputs_of_a_job_hand_an_outsiders_text_on() -> None:
    facts = _facts(
        "on: pull_request\njobs:\n  a:\n    runs-on: x\n"
        "    outputs: {t: '${{ github.head_ref }}', n: '${{ github.sha }}'}\n    steps: []\n"
        "  b:\n    runs-on: x\n    needs: a\n    steps:\n"
        "      - run: x ${{ needs.a.outputs.t }} ${{ needs.a.outputs.n }}\n"
    )

    assert [one.untrusted for one in facts.expressions if one.sink == "script"] == [True, False]


def test_expressions_have_their_own_place_in_a_script() -> None:
    read = _read(STEP.format(on="push") + "      - run: |\n          make\n          x ${{ github.sha }}\n")
    place = read.source_map.place(read.facts.expressions[0].at)

    assert place is not None
    assert (place.line, place.column, place.end_column) == (8, 13, 30)


# Conditions.


@pytest.mark.parametrize(
    ("condition", "always"),
    [
        ("if: ${{ x }}", False),
        ("if: x == 'y'", False),
        ("if: '${{ x }} '", True),
        ("if: ${{ x }} && ${{ y }}", True),
        ("if: x == 'y' || 'z'", True),
        ("if: always()", False),
        ("if: true", False),
    ],
)
def test_conditions_that_are_always_true_are_seen(condition: str, always: bool) -> None:
    facts = _job(condition)

    assert any(one.always_true for one in facts.conditions) is always


def test_a_line_end_beside_the_marks_makes_a_condition_always_true() -> None:
    (condition,) = _job("if: |", "  ${{ github.ref == 'refs/heads/main' }}").conditions

    assert condition.always_true


def test_a_folded_condition_without_marks_is_fine() -> None:
    (condition,) = _job("if: >", "  github.ref == 'refs/heads/main'").conditions

    assert not condition.always_true


def test_checks_of_a_bots_name_are_seen() -> None:
    (condition,) = _steps("- {if: \"github.actor == 'dependabot[bot]'\", run: make}").conditions

    assert condition.spoofable_actor


# Secrets.


@pytest.mark.parametrize(
    ("line", "name", "everything", "sink"),
    [
        ("- run: x ${{ secrets.A }}", "A", False, "script"),
        ("- {run: x, env: {T: '${{ secrets.A }}'}}", "A", False, "environment"),
        ("- {uses: a/b@v1, with: {t: '${{ secrets.A }}'}}", "A", False, "input"),
        ("- {if: secrets.A != '', run: x}", "A", False, "condition"),
        ("- run: x ${{ toJSON(secrets) }}", "*", True, "script"),
        ("- run: x ${{ secrets[matrix.x] }}", "*", True, "script"),
        ("- run: x ${{ fromJSON(secrets.A).b }}", "A", False, "script"),
    ],
)
def test_secrets_say_what_they_reach(line: str, name: str, everything: bool, sink: str) -> None:
    (secret,) = _steps(line).secrets

    assert (secret.name, secret.all, secret.sink, secret.inherited) == (name, everything, sink, False)


def test_inherited_secrets_are_all_of_them() -> None:
    (secret,) = _facts("on: push\njobs:\n  a: {uses: o/r/.github/workflows/w.yml@v1, secrets: inherit}\n").secrets

    assert (secret.name, secret.all, secret.inherited) == ("*", True, True)


# Checkouts.


@pytest.mark.parametrize(
    ("on", "options", "untrusted"),
    [
        ("pull_request_target", "{ref: '${{ github.event.pull_request.head.sha }}'}", True),
        ("pull_request_target", "{ref: '${{ github.head_ref }}'}", True),
        ("pull_request_target", "{ref: 'refs/pull/${{ github.event.number }}/merge'}", True),
        ("pull_request_target", "{repository: '${{ github.event.pull_request.head.repo.full_name }}'}", True),
        ("workflow_run", "{ref: '${{ github.event.workflow_run.head_sha }}'}", True),
        ("issue_comment", "{ref: '${{ steps.pr.outputs.head_sha }}'}", True),
        ("pull_request_target", "{ref: main}", False),
        ("pull_request_target", "{fetch-depth: 0}", False),
        ("pull_request", "{ref: '${{ github.event.pull_request.head.sha }}'}", True),
        ("pull_request", "{}", True),
        ("[push, pull_request]", "{}", True),
        ("push", "{}", False),
        ("push", "{ref: '${{ github.event.pull_request.head.sha }}'}", False),
        ("pull_request_target", "{ref: '${{ github.sha }}'}", False),
        ("pull_request", "{ref: '${{ github.sha }}'}", True),
        ("workflow_dispatch", "{ref: 'refs/pull/${{ inputs.number }}/head'}", True),
        ("workflow_dispatch", "{ref: '${{ inputs.ref }}'}", False),
    ],
)
def test_a_checkout_that_can_bring_in_an_outsiders_code_is_untrusted(on: str, options: str, untrusted: bool) -> None:
    (checkout,) = _steps(f"- {{uses: actions/checkout@v4, with: {options}}}", on=on).checkouts

    assert checkout.untrusted is untrusted


@pytest.mark.parametrize(
    ("option", "persists"),
    [("{}", True), ("{persist-credentials: false}", False), ("{Persist-Credentials: 'False'}", False)],
)
def test_a_checkout_keeps_its_credentials_unless_told_otherwise(option: str, persists: bool) -> None:
    (checkout,) = _steps(f"- {{uses: actions/checkout@v4, with: {option}}}").checkouts

    assert checkout.persists_credentials is persists


@pytest.mark.parametrize(
    ("script", "untrusted"),
    [
        ("gh pr checkout 3", [True]),
        ("git fetch origin pull/3/head:pr", []),
        ("git fetch origin pull/3/head:pr; git checkout pr", [True]),
        ("git fetch origin pull/3/head && git checkout FETCH_HEAD", [True]),
        ("git fetch origin pull/3/head && git checkout -b new FETCH_HEAD", [True]),
        ("git fetch origin pull/3/head:pr; git diff main pr", []),
        ("git remote add fork $HEAD; git fetch fork; git merge fork/main", [True]),
        ("git pull origin pull/3/merge", [True]),
        ("git clone $HEAD x", [True]),
        ("git clone https://github.com/o/r", []),
        ("gh pr diff 3 | git apply", [True]),
        ("gh pr diff 3", []),
        ("git checkout ${{ github.event.pull_request.base.sha }}", []),
        ("git checkout ${{ github.event.pull_request.head.sha }}", [True]),
        ("git checkout $HEAD", [True]),
        ('git -C x checkout "${HEAD}"', [True]),
        ("git checkout main", []),
    ],
)
def test_a_checkout_by_command_is_seen(script: str, untrusted: list[bool]) -> None:
    step = f"- {{run: '{script}', env: {{HEAD: '${{{{ github.head_ref }}}}'}}}}"

    checkouts = _steps(step, on="pull_request_target").checkouts

    assert [checkout.untrusted for checkout in checkouts] == untrusted


# Variables and containers.


def test_variables_say_whether_they_are_literal() -> None:
    facts = _steps("- {uses: a/b@v1, with: {n: 1.10, t: '${{ secrets.A }}'}, env: {D: true}}")

    assert [(one.name, one.value, one.literal, one.origin) for one in facts.variables] == [
        ("D", "true", True, "environment"),
        ("n", "1.10", True, "input"),
        ("t", "${{ secrets.A }}", False, "input"),
    ]


def test_containers_are_seen_with_options_volumes_and_credentials() -> None:
    facts = _job(
        "container:",
        "  image: ghcr.io/o/i:1",
        "  options: --cpus 1 --privileged",
        "  volumes: ['/var/run/docker.sock:/s']",
        "  credentials: {username: u, password: hunter2}",
        "services: {db: postgres}",
    )

    first, second = facts.containers
    assert (first.image, first.privileged, first.volumes) == ("ghcr.io/o/i:1", True, ["/var/run/docker.sock:/s"])
    assert (second.image, second.privileged, second.options, second.volumes) == ("postgres", False, "", [])
    assert ("password", "hunter2", True, "credentials") in [
        (one.name, one.value, one.literal, one.origin) for one in facts.variables
    ]


# Commands.


@pytest.mark.parametrize(
    ("step", "top", "shell", "argv"),
    [
        ("{run: a 'b c'}", "", "bash", ["a", "b c"]),
        ("{run: a b, shell: 'bash -e {0}'}", "", "bash", ["a", "b"]),
        ("{run: a b}", "defaults: {run: {shell: sh}}\n", "sh", ["a", "b"]),
        ("{run: print(1), shell: python}", "", "python", ["python"]),
        ("{run: a b, shell: pwsh}", "", "pwsh", ["a", "b"]),
    ],
)
def test_scripts_are_read_by_the_shell_that_runs_them(step: str, top: str, shell: str, argv: list[str]) -> None:
    text = STEP.format(on="push").replace("jobs:", f"{top}jobs:") + f"      - {step}\n"

    (command,) = _facts(text).commands

    assert (command.shell, command.argv) == (shell, argv)


def test_windows_runs_powershell_unless_told_otherwise() -> None:
    text = STEP.format(on="push").replace("ubuntu", "windows") + "      - run: a\n"

    assert _facts(text).commands[0].shell == "pwsh"


# What can't be judged.


@pytest.mark.parametrize(
    "text",
    [
        "jobs: {a: {runs-on: x, steps: []}}",
        "on: push\njobs: []",
        "on: push\njobs: {a: [1]}",
        "on: push\njobs: {a: {runs-on: x}}",
        "on: push\njobs: {a: {runs-on: x, steps: {run: x}}}",
        "on: push\njobs: {a: {runs-on: x, steps: [x]}}",
        "on: push\njobs: {a: {runs-on: x, steps: [{uses: [x]}]}}",
        "on: push\njobs: {a: {runs-on: x, steps: [{uses: }]}}",
        "on: push\njobs: {a: {runs-on: x, steps: [{run: {x: y}}]}}",
        "on: push\npermissions: all\njobs: {a: {runs-on: x, steps: []}}",
        "on: push\npermissions: {contents: admin}\njobs: {a: {runs-on: x, steps: []}}",
        "on: push\nenv: [x]\njobs: {a: {runs-on: x, steps: []}}",
        "on: {push: [x]}\njobs: {a: {runs-on: x, steps: []}}",
        "on: {push: {branches: {x: y}}}\njobs: {a: {runs-on: x, steps: []}}",
        "on: {workflow_dispatch: {inputs: [x]}}\njobs: {a: {runs-on: x, steps: []}}",
        "on: push\njobs: {a: {runs-on: x, needs: [[x]], steps: []}}",
        "on: push\njobs: {a: {runs-on: x, steps: [{run: x, with: x}, {uses: a/b@c, with: [x]}]}}",
        "on: push\njobs: {a: {uses: '', with: {}}}",
        "on: []\njobs: {a: {runs-on: x, steps: []}}",
        "[]",
    ],
)
def test_a_workflow_of_another_shape_is_refused_and_not_passed_over(text: str) -> None:
    with pytest.raises(DocumentError) as caught:
        _facts(text)

    assert caught.value.where.startswith(".github/workflows/ci.yml:")


def test_jobs_that_need_each_other_in_a_circle_are_judged_all_the_same() -> None:
    facts = _facts(
        "on: push\njobs:\n  a: {needs: b, runs-on: x, steps: [{run: x}]}\n  b: {needs: [a, z], runs-on: x, steps: []}\n"
    )

    assert sorted(stage.name for stage in facts.stages) == ["a", "b"]


def test_unknown_fields_are_somebody_elses_and_left_alone() -> None:
    assert _job("brand-new: {x: y}").stages


def test_more_facts_than_can_be_weighed_are_refused() -> None:
    with pytest.raises(InputTooLarge, match="more than 20000 commands"):
        _steps("- run: " + "a;" * 20_001)


def test_every_fact_has_a_place_in_the_file() -> None:
    read = _read(
        "on: [pull_request]\nenv: {A: '${{ github.head_ref }}'}\njobs:\n  a:\n    runs-on: x\n    if: x\n"
        "    container: i\n    outputs: {t: '${{ github.head_ref }}'}\n"
        "    steps:\n      - uses: actions/checkout@v4\n        with: {t: '${{ secrets.X }}'}\n      - run: make\n"
        "      - uses: actions/upload-artifact@v4\n      - uses: actions/cache@v4\n"
        "  b: {needs: a, runs-on: x, steps: [{run: 'x ${{ needs.a.outputs.t }}'}]}\n"
    )
    for kind in Facts.model_fields:
        facts = getattr(read.facts, kind)
        assert facts or kind == "effects", kind
        for fact in facts:
            assert read.source_map.place(fact.at) is not None
