"""What one step leaves to the next: outputs, variables, code, files and what a check found out."""

from __future__ import annotations

import pytest

from policyd.models.facts import ArtifactUse, Cache, Checkout, Facts
from policyd.pipeline.reading import read_pipeline

TARGET = "pull_request_target"


def _facts(text: str) -> Facts:
    return read_pipeline(".github/workflows/ci.yml", text.encode()).facts


def _steps(*steps: str, on: str = TARGET, job: str = "", top: str = "") -> Facts:
    body = "".join(f"      - {step}\n" for step in steps)
    job = f"    {job}\n" if job else ""
    return _facts(f"on: {on}\n{top}jobs:\n  job:\n    runs-on: ubuntu-latest\n{job}    steps:\n{body}")


def _in_scripts(facts: Facts) -> list[bool]:
    return [one.untrusted for one in facts.expressions if one.sink == "script"]


def _checkout(facts: Facts) -> Checkout:
    (checkout,) = facts.checkouts
    return checkout


# Outputs and variables.


@pytest.mark.parametrize(
    ("script", "untrusted"),
    [
        ('echo "x=$TITLE" >> "$GITHUB_OUTPUT"', True),
        ('echo "x=${TITLE}" >> $GITHUB_OUTPUT', True),
        ('echo "x=fixed" >> $GITHUB_OUTPUT', False),
        ('echo "y=$TITLE" >> $GITHUB_OUTPUT', False),
        ("printf 'x=%s' \"$TITLE\" >> $GITHUB_OUTPUT", True),
        ("echo ::set-output name=x::$TITLE", True),
        ('A=$TITLE; echo "x=$A" >> $GITHUB_OUTPUT', True),
        ('A=$(echo "$TITLE" | cut -c 1-5); echo "x=$A" >> $GITHUB_OUTPUT', True),
        ('A=$(echo "$TITLE" | tr -cd a-z); echo "x=$A" >> $GITHUB_OUTPUT', False),
        ('echo "x=$(echo $TITLE | sha256sum)" >> $GITHUB_OUTPUT', False),
        ('echo "x=${TITLE//[^a-z]/}" >> $GITHUB_OUTPUT', False),
        ('{ echo "x=$TITLE"; } >> "$GITHUB_OUTPUT"', True),
        ("echo 'x<<EOF' >> $GITHUB_OUTPUT\necho \"$TITLE\" >> $GITHUB_OUTPUT\necho EOF >> $GITHUB_OUTPUT", True),
        ('echo "x=$(jq -r .pull_request.title $GITHUB_EVENT_PATH)" >> $GITHUB_OUTPUT', True),
        ('echo "x=$(jq -r .pull_request.number $GITHUB_EVENT_PATH)" >> $GITHUB_OUTPUT', False),
        ('echo "x=$(gh pr view 1 --json headRefName -q .headRefName)" >> $GITHUB_OUTPUT', True),
        ('echo "x=$GITHUB_HEAD_REF" >> $GITHUB_OUTPUT', True),
        ('echo "x=${{ github.event.pull_request.title }}" >> $GITHUB_OUTPUT', True),
        ('echo "x=${{ github.sha }}" >> $GITHUB_OUTPUT', False),
        ('"x=$env:TITLE" >> $env:GITHUB_OUTPUT', True),
    ],
)
def test_an_output_made_of_an_outsiders_text_is_one(script: str, untrusted: bool) -> None:
    lines = "\n".join(f"            {line}" for line in script.splitlines())
    facts = _steps(
        "id: a\n        env: {TITLE: '${{ github.event.pull_request.title }}'}\n        run: |\n" + lines,
        "run: y ${{ steps.a.outputs.x }}",
    )

    assert _in_scripts(facts)[-1] is untrusted


def test_a_variable_set_for_later_steps_carries_an_outsiders_text() -> None:
    facts = _steps(
        "{env: {T: '${{ github.head_ref }}'}, run: 'echo \"REF=$T\" >> $GITHUB_ENV'}",
        "run: y ${{ env.REF }} ${{ env.OTHER }}",
        'run: z "$REF"',
    )

    assert _in_scripts(facts) == [True, False]
    assert [command.reads_untrusted for command in facts.commands if command.program == "z"] == [["REF"]]


@pytest.mark.parametrize(
    ("code", "untrusted"),
    [
        ("core.setOutput('x', context.payload.pull_request.title)", True),
        ("const t = context.payload.comment.body; core.setOutput('x', t)", True),
        ("core.setOutput('x', context.issue.number)", False),
        ("core.setOutput('x', pr.data.head.ref)", True),
        ("core.setOutput('y', pr.data.head.ref)", False),
    ],
)
def test_outputs_of_github_script_are_read_from_its_code(code: str, untrusted: bool) -> None:
    facts = _steps(
        f'{{id: a, uses: actions/github-script@v7, with: {{script: "{code}"}}}}', "run: y ${{ steps.a.outputs.x }}"
    )

    assert _in_scripts(facts) == [untrusted]


def test_what_github_script_returns_is_its_result() -> None:
    facts = _steps(
        "{id: a, uses: actions/github-script@v7, with: {script: 'return context.payload.pull_request.body'}}",
        "run: y ${{ steps.a.outputs.result }}",
    )

    assert _in_scripts(facts) == [True]


def test_an_output_that_passes_to_another_job_is_a_flow() -> None:
    facts = _facts(
        f"on: {TARGET}\njobs:\n  b:\n    needs: a\n    runs-on: x\n    steps:\n"
        "      - run: z ${{ needs.a.outputs.t }}\n"
        "  a:\n    runs-on: x\n    outputs: {t: '${{ steps.s.outputs.t }}', n: '${{ steps.s.outputs.n }}'}\n"
        "    steps:\n"
        "      - id: s\n        env: {T: '${{ github.head_ref }}'}\n        run: |\n"
        '          echo "t=$T" >> $GITHUB_OUTPUT\n          echo n=1 >> $GITHUB_OUTPUT\n'
    )
    (flow,) = facts.flows

    assert (flow.kind, flow.stage, flow.into, flow.sink) == ("output", "a", "b", "script")
    assert (flow.value, flow.name) == ("github.head_ref", "needs.a.outputs.t")
    assert flow.place == ".github/workflows/ci.yml:7"


def test_values_of_a_matrix_carry_what_they_are_made_of() -> None:
    facts = _steps(
        "run: y ${{ matrix.a }} ${{ matrix.b }}",
        job="strategy: {matrix: {a: ['${{ github.head_ref }}'], b: [x]}}",
    )
    assert _in_scripts(facts) == [True, False]

    facts = _facts(
        f"on: {TARGET}\njobs:\n  a:\n    runs-on: x\n    outputs: {{m: '${{{{ github.head_ref }}}}'}}\n    steps: []\n"
        "  b:\n    needs: a\n    runs-on: x\n    strategy: {matrix: '${{ fromJSON(needs.a.outputs.m) }}'}\n"
        "    steps:\n      - run: y ${{ matrix.a }}\n"
    )
    assert _in_scripts(facts) == [True]


def test_secrets_in_variables_are_known_to_commands() -> None:
    facts = _steps("{env: {T: '${{ secrets.A }}', G: '${{ github.token }}', N: x}, run: 'y $T $G $N'}")

    assert [command.reads_secrets for command in facts.commands] == [["G", "T"]]
    assert [one.secret for one in facts.variables] == [True, True, False]


def test_secrets_expanded_in_a_script_are_known_to_the_command() -> None:
    facts = _steps(
        "{env: {T: '${{ secrets.B }}'}, run: 'y ${{ secrets.A }} ${{ github.token }} ${{ env.T }} ${{ github.sha }}'}"
    )

    assert [sorted(command.reads_secrets) for command in facts.commands] == [["A", "env.T", "github.token"]]


def test_code_given_to_an_action_is_read_as_a_script() -> None:
    facts = _steps("{uses: nick-fields/retry@v3, with: {command: 'make ${{ github.head_ref }}'}}")

    assert _in_scripts(facts) == [True]
    assert [command.program for command in facts.commands] == ["make"]


# Checks.

CHECK = "{id: check, uses: prince-chrismc/check-actor-permissions-action@v3, with: {permission: write}}"
READ = "{id: check, uses: prince-chrismc/check-actor-permissions-action@v3, with: {permission: read}}"
ASK = "{id: check, uses: actions-cool/check-user-permission@v2, with: {require: write}}"
SCRIPT = (
    "{uses: actions/github-script@v7, with: {script: 'const r = await"
    " github.rest.repos.getCollaboratorPermissionLevel(q); if (r.bad) core.setFailed(1)'}}"
)
GH = "run: gh api repos/o/r/collaborators/$A/permission -q .permission | grep -q admin || exit 1"
FETCH = "{uses: actions/checkout@v4, with: {ref: '${{ github.event.pull_request.head.sha }}'}}"


@pytest.mark.parametrize(
    ("steps", "guards"),
    [
        ([CHECK, FETCH], ["permission"]),
        ([FETCH, CHECK], []),
        ([READ, FETCH], []),
        ([ASK, FETCH], []),
        ([ASK, "{if: steps.check.outputs.require-result == 'true', " + FETCH[1:]], ["permission"]),
        ([SCRIPT, FETCH], ["permission"]),
        ([GH, FETCH], ["permission"]),
        ([CHECK, "{if: always(), " + FETCH[1:]], []),
        (["{continue-on-error: true, " + CHECK[1:], FETCH], []),
        (["{if: github.event.action == 'opened', " + CHECK[1:], FETCH], ["permission"]),
        (["{if: github.actor == 'x', " + CHECK[1:], FETCH], []),
        (["{if: github.actor == 'x', " + FETCH[1:]], ["actor"]),
        (["{if: '${{ github.actor == ''x'' }} ', " + FETCH[1:]], []),
        ([FETCH], []),
    ],
)
def test_a_check_guards_what_comes_after_it(steps: list[str], guards: list[str]) -> None:
    assert _checkout(_steps(*steps)).guards == guards


def _jobs(first: str, second: str) -> Facts:
    return _facts(
        f"on: {TARGET}\njobs:\n  check:\n    runs-on: x\n    {first}\n"
        f"  build:\n    needs: check\n    runs-on: x\n    {second}\n    steps:\n      - {FETCH}\n"
    )


@pytest.mark.parametrize(
    ("first", "second", "guards"),
    [
        ("if: github.actor == 'x'\n    steps: []", "", ["actor"]),
        ("if: github.actor == 'x'\n    steps: []", "if: always()", []),
        ("if: github.actor == 'x'\n    steps: []", "if: always() && needs.check.result == 'success'", ["actor"]),
        (f"steps:\n      - {CHECK}", "", ["permission"]),
        ("environment: protected\n    steps: []", "", ["approval"]),
        (
            f"outputs: {{ok: '${{{{ steps.check.outputs.require-result }}}}'}}\n    steps:\n      - {ASK}",
            "if: needs.check.outputs.ok == 'true'",
            ["permission"],
        ),
        (f"steps:\n      - {ASK}", "", []),
        ("steps: []", "environment: protected", ["approval"]),
    ],
)
def test_a_check_in_a_job_guards_those_that_need_it(first: str, second: str, guards: list[str]) -> None:
    assert _checkout(_jobs(first, second)).guards == guards


def test_a_job_is_skipped_with_what_it_needs() -> None:
    facts = _jobs("if: github.event_name == 'push'\n    steps: []", "")

    assert not any(stage.untrusted for stage in facts.stages)
    assert not _checkout(facts).untrusted


def test_a_run_that_a_members_push_began_is_a_members() -> None:
    facts = _steps(
        "{uses: actions/checkout@v4, with: {ref: '${{ github.event.workflow_run.head_sha }}'}}",
        "run: x ${{ github.event.workflow_run.head_branch }}",
        on="workflow_run",
        job="if: github.event.workflow_run.event == 'push'",
    )
    (stage,) = facts.stages

    assert (stage.untrusted, stage.privileged, stage.guards) == (False, False, ["event"])
    assert not _checkout(facts).untrusted
    assert _in_scripts(facts) == [False]


def test_a_stage_says_what_its_steps_ask_for() -> None:
    check = "run: gh api repos/o/r/collaborators/$WHO/permission | grep -q admin || exit 1"

    (stage,) = _steps(check, "run: make", on="issue_comment").stages

    assert (stage.guards, stage.asks) == ([], ["permission"])


def test_a_check_in_a_job_that_may_fail_guards_nothing() -> None:
    assert _checkout(_jobs(f"continue-on-error: true\n    steps:\n      - {CHECK}", "")).guards == []


def test_a_stage_that_strangers_events_cannot_reach_says_so() -> None:
    facts = _steps("run: make", on="[push, pull_request_target]", job="if: github.event_name == 'push'")
    (stage,) = facts.stages

    assert (stage.untrusted, stage.privileged, stage.guards) == (False, False, ["event"])


# Who can start a stage, and what it can do.


@pytest.mark.parametrize(
    ("on", "permissions", "step", "privileged", "has_secrets", "writes"),
    [
        (TARGET, "{}", "run: make", False, False, False),
        (TARGET, "{contents: read}", "run: make", False, False, False),
        (TARGET, "{contents: write}", "run: make", True, False, True),
        (TARGET, "{id-token: write}", "run: make", True, False, True),
        (TARGET, "", "run: make", True, False, True),
        (TARGET, "{}", "run: make ${{ secrets.A }}", True, True, False),
        (TARGET, "{}", "run: make ${{ secrets.GITHUB_TOKEN }}", False, False, False),
        (TARGET, "{}", "run: make ${{ toJSON(secrets) }}", True, True, False),
        ("pull_request", "write-all", "run: make ${{ secrets.A }}", False, True, True),
        ("push", "write-all", "run: make", False, False, True),
        ("workflow_call", "write-all", "run: make", False, False, True),
    ],
)
def test_powers_are_secrets_or_a_token_that_writes(
    on: str, permissions: str, step: str, privileged: bool, has_secrets: bool, writes: bool
) -> None:
    (stage,) = _steps(step, on=on, job=f"permissions: {permissions}").stages

    assert (stage.privileged, stage.has_secrets, stage.writes) == (privileged, has_secrets, writes)


def test_secrets_of_the_whole_workflow_reach_every_job() -> None:
    (stage,) = _steps("run: x", top="env: {T: '${{ secrets.A }}'}\npermissions: {}\n").stages

    assert stage.has_secrets
    assert stage.privileged


# Checkouts.


@pytest.mark.parametrize(
    ("on", "ref", "mutable"),
    [
        (TARGET, "${{ github.event.pull_request.head.sha }}", False),
        (TARGET, "${{ github.event.pull_request.head.ref }}", True),
        (TARGET, "${{ github.head_ref }}", True),
        (TARGET, "refs/pull/${{ github.event.number }}/merge", True),
        (TARGET, "${{ steps.pr.outputs.head_sha }}", True),
        (TARGET, "${{ github.event.pull_request.merge_commit_sha }}", False),
        ("workflow_run", "${{ github.event.workflow_run.head_sha }}", False),
        ("workflow_run", "${{ github.event.workflow_run.head_branch }}", True),
        ("issue_comment", "${{ steps.pr.outputs.sha }}", True),
        ("issue_comment", "refs/pull/${{ github.event.issue.number }}/head", True),
        (
            TARGET,
            "${{ github.event_name == 'pull_request_target' && github.event.pull_request.head.sha || github.sha }}",
            False,
        ),
    ],
)
def test_a_ref_that_can_move_is_told_from_a_commit(on: str, ref: str, mutable: bool) -> None:
    checkout = _checkout(_steps(f'{{uses: actions/checkout@v4, with: {{ref: "{ref}"}}}}', on=on))

    assert (checkout.untrusted, checkout.mutable) == (True, mutable)


def test_a_fork_without_a_ref_is_a_branch_that_moves() -> None:
    repository = "'${{ github.event.pull_request.head.repo.full_name }}'"

    assert _checkout(_steps(f"{{uses: actions/checkout@v4, with: {{repository: {repository}}}}}")).mutable


@pytest.mark.parametrize(
    ("types", "condition", "mutable"),
    [
        ("[labeled]", "", False),
        ("[labeled, synchronize]", "contains(github.event.pull_request.labels.*.name, 'safe')", True),
        ("[labeled, synchronize]", "github.event.label.name == 'safe'", False),
    ],
)
def test_code_can_change_behind_a_label_that_stays_on(types: str, condition: str, mutable: bool) -> None:
    step = FETCH if not condition else f'{{if: "{condition}", ' + FETCH[1:]
    checkout = _checkout(_steps(step, on=f"{{pull_request_target: {{types: {types}}}}}"))

    assert (checkout.guards, checkout.mutable) == (["label"], mutable)


@pytest.mark.parametrize(
    "steps",
    [
        [
            "{id: pr, run: 'echo \"sha=$(gh pr view $N --json headRefOid -q .headRefOid)\" >> $GITHUB_OUTPUT'}",
            "{uses: actions/checkout@v4, with: {ref: '${{ steps.pr.outputs.sha }}'}}",
        ],
        [
            "{id: pr, uses: xt0rted/pull-request-comment-branch@v2}",
            "{uses: actions/checkout@v4, with: {ref: '${{ steps.pr.outputs.head_ref }}'}}",
        ],
        [
            "{id: pr, uses: octokit/request-action@v2, with: {route: 'GET /repos/o/r/pulls/1'}}",
            "{uses: actions/checkout@v4, with: {ref: '${{ fromJSON(steps.pr.outputs.data).head.sha }}'}}",
        ],
        ["run: git fetch origin pull/${{ github.event.issue.number }}/head && git checkout FETCH_HEAD"],
        [
            "run: echo 'R=refs/pull/${{ github.event.issue.number }}/head' >> $GITHUB_ENV",
            "{uses: actions/checkout@v4, with: {ref: '${{ env.R }}'}}",
        ],
        ["run: gh pr diff $N > change.patch && git apply change.patch"],
        ['run: git fetch origin "pull/$N/head:pr"', "run: git checkout pr"],
        ['run: gh pr checkout "$N"'],
    ],
)
def test_comments_that_check_out_a_pull_request_bring_in_an_outsiders_code(steps: list[str]) -> None:
    checkout = _checkout(_steps(*steps, on="issue_comment"))

    assert (checkout.untrusted, checkout.mutable) == (True, True)


def test_a_branch_that_a_script_has_asked_for_is_an_outsiders() -> None:
    ask = "b=$(gh pr view 1 --json headRefName --jq .headRefName)"
    facts = _steps(f'{{run: \'{ask}; git fetch fork "$b"; git checkout "fork/$b"\'}}', on="issue_comment")

    assert _checkout(facts).untrusted
    assert [one.kind for one in facts.effects if one.untrusted] == ["argument"]


def test_a_whole_answer_is_not_taken_for_a_field_of_it() -> None:
    script = 'p=$(gh pr view 1 --json number,title); echo "n=$(jq .number <<< "$p")" >> $GITHUB_OUTPUT'
    facts = _steps(f"{{run: '{script}'}}", on="issue_comment")

    assert not any(one.untrusted for one in facts.effects)


def test_an_output_that_is_known_to_be_fixed_brings_nothing_in() -> None:
    facts = _steps(
        "{id: pr, run: 'echo \"ref=main\" >> $GITHUB_OUTPUT'}",
        "{uses: actions/checkout@v4, with: {ref: '${{ steps.pr.outputs.ref }}'}}",
        on="issue_comment",
    )

    assert not _checkout(facts).untrusted


def test_a_clone_with_a_token_in_its_address_leaves_it_behind() -> None:
    checkout = _checkout(_steps("run: git clone https://x:$TOKEN@github.com/o/r"))

    assert (checkout.untrusted, checkout.persists_credentials) == (False, True)


def test_the_comment_behind_a_pin_is_kept() -> None:
    sha = "0123456789012345678901234567890123456789"
    facts = _steps(f"uses: a/b@{sha} # v1.2.3", "uses: a/b@v1", f"{{uses: a/b@{sha}}} # v4")

    assert [(one.pinned, one.comment) for one in facts.references] == [(True, "v1.2.3"), (False, ""), (True, "v4")]


def test_references_carry_their_inputs() -> None:
    (reference,) = _steps("{uses: a/b@v1, with: {n: 1.10, t: '${{ github.sha }}'}}").references

    assert reference.inputs == {"n": "1.10", "t": "${{ github.sha }}"}


# Caches.


def _cache(facts: Facts) -> Cache:
    (cache,) = facts.caches
    return cache


@pytest.mark.parametrize(
    ("step", "restores", "saves"),
    [
        ("{uses: actions/cache@v4, with: {path: 'a', key: k}}", True, True),
        ("{uses: actions/cache/restore@v4, with: {path: a, key: k}}", True, False),
        ("{uses: actions/cache/save@v4, with: {path: a, key: k}}", False, True),
        ("{uses: actions/setup-node@v4, with: {cache: npm}}", True, True),
        ("{uses: actions/setup-go@v5}", True, True),
        ("{uses: docker/build-push-action@v6, with: {cache-from: type=gha}}", True, False),
        ("{uses: gradle/actions/setup-gradle@v4, with: {cache-read-only: true}}", True, False),
    ],
)
def test_caches_are_seen(step: str, restores: bool, saves: bool) -> None:
    cache = _cache(_steps(step, on="push"))

    assert (cache.restores, cache.saves, cache.untrusted) == (restores, saves, False)


@pytest.mark.parametrize(
    "step",
    [
        "{uses: actions/setup-node@v4}",
        "{uses: actions/setup-go@v5, with: {cache: false}}",
        "{uses: docker/build-push-action@v6, with: {cache-from: type=registry}}",
        "{uses: a/b@v1}",
    ],
)
def test_what_does_not_cache_is_no_cache(step: str) -> None:
    assert _steps(step).caches == []


@pytest.mark.parametrize(
    ("on", "steps", "untrusted"),
    [
        (TARGET, [FETCH, "{uses: actions/cache@v4, with: {path: a, key: k}}"], True),
        (TARGET, ["{uses: actions/cache@v4, with: {path: a, key: k}}", FETCH], True),
        (TARGET, ["{uses: actions/cache@v4, with: {path: a, key: k}}"], False),
        (TARGET, [FETCH, "{uses: actions/cache/restore@v4, with: {path: a, key: k}}"], False),
        ("pull_request", [FETCH, "{uses: actions/cache@v4, with: {path: a, key: k}}"], False),
    ],
)
def test_a_cache_is_poisoned_where_outsiders_code_saves_in_the_default_branch(
    on: str, steps: list[str], untrusted: bool
) -> None:
    assert _cache(_steps(*steps, on=on)).untrusted is untrusted


@pytest.mark.parametrize(("on", "publishes"), [("release", True), ("{push: {tags: ['v*']}}", True), ("push", False)])
def test_a_cache_of_a_release_is_told(on: str, publishes: bool) -> None:
    assert _cache(_steps("{uses: actions/cache@v4, with: {path: a, key: k}}", on=on)).publishes is publishes


# Artifacts.


def _artifact(facts: Facts) -> ArtifactUse:
    (artifact,) = facts.artifacts
    return artifact


@pytest.mark.parametrize(
    ("version", "options", "whole"),
    [
        ("v4", "path: .", False),
        ("v4", "path: ., include-hidden-files: true", True),
        ("v4.3.6", "path: .", True),
        ("v4.4.0", "path: .", False),
        ("v3", "path: ./", False),
        ("v3.1.3", "path: ./", True),
        ("v2", "path: '${{ github.workspace }}'", True),
        ("v2", "path: dist", False),
        ("v4", "path: .git, include-hidden-files: true", True),
    ],
)
def test_an_upload_of_the_whole_tree_is_told(version: str, options: str, whole: bool) -> None:
    artifact = _artifact(_steps(f"{{uses: actions/upload-artifact@{version}, with: {{{options}}}}}"))

    assert (artifact.direction, artifact.whole_workspace) == ("upload", whole)


@pytest.mark.parametrize(
    ("on", "step", "foreign", "untrusted", "into"),
    [
        ("workflow_run", "{uses: actions/download-artifact@v4, with: {name: a}}", False, False, True),
        (
            "workflow_run",
            "{uses: actions/download-artifact@v4, with: {name: a, run-id: '${{ github.event.workflow_run.id }}'}}",
            True,
            True,
            True,
        ),
        (
            "workflow_run",
            "{uses: actions/download-artifact@v4, with: {run-id: '${{ github.event.workflow_run.id }}', path: /tmp/a}}",
            True,
            True,
            False,
        ),
        ("workflow_run", "{uses: dawidd6/action-download-artifact@v6, with: {workflow: a.yml}}", True, True, True),
        (
            "push",
            "{uses: dawidd6/action-download-artifact@v6, with: {workflow: a.yml, branch: main}}",
            True,
            False,
            True,
        ),
        ("workflow_run", "run: gh run download $ID -n a -D out", True, True, False),
        ("workflow_run", "run: gh run download $ID", True, True, True),
        ("push", "run: gh run download $ID", True, False, True),
        (
            "workflow_run",
            "{if: github.event.workflow_run.event == 'push', run: gh run download 1}",
            True,
            False,
            True,
        ),
        (
            "workflow_run",
            "{uses: actions/github-script@v7, with: {script: 'await github.rest.actions.downloadArtifact(x)'}}",
            True,
            True,
            True,
        ),
    ],
)
def test_an_artifact_of_another_run_is_foreign(on: str, step: str, foreign: bool, untrusted: bool, into: bool) -> None:
    artifact = _artifact(_steps(step, on=on))

    assert artifact.direction == "download"
    assert (artifact.foreign, artifact.untrusted, artifact.into_workspace) == (foreign, untrusted, into)


def test_an_artifact_that_outsiders_code_made_in_the_same_run_is_untrusted() -> None:
    facts = _facts(
        f"on: {TARGET}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - {FETCH}\n"
        "      - {uses: actions/upload-artifact@v4, with: {name: n, path: dist}}\n"
        "  b:\n    needs: a\n    runs-on: x\n    steps:\n"
        "      - {uses: actions/download-artifact@v4, with: {name: n}}\n"
        "      - {uses: actions/download-artifact@v4, with: {name: other}}\n"
    )

    assert [(one.direction, one.untrusted) for one in facts.artifacts] == [
        ("upload", True),
        ("download", True),
        ("download", False),
    ]


FROM_RUN = (
    "{uses: actions/download-artifact@v4, with: {name: n, path: '%s', run-id: '${{ github.event.workflow_run.id }}'}}"
)


@pytest.mark.parametrize(
    ("path", "script", "runs"),
    [
        ("art", "bash art/post.sh", "bash art/post.sh"),
        ("art", "art/cli --version", "art/cli --version"),
        ("art", "source ./art/env", "source ./art/env"),
        ("art", "cp -r art/. . && npm run x", "npm run x"),
        ("art", "pip install art/*.whl", "pip install art/*.whl"),
        ("art", "cd art && make", "make"),
        ("${{ runner.temp }}/art", 'bash "$RUNNER_TEMP/art/x.sh"', 'bash "$RUNNER_TEMP/art/x.sh"'),
        ("art", "make", ""),
        ("art", "cat art/number && ./scripts/post.sh", ""),
        ("art", "cp art/README.md . && make", ""),
    ],
)
def test_of_an_artifact_in_its_own_folder_runs_what_is_run_from_there(path: str, script: str, runs: str) -> None:
    assert _artifact(_steps(FROM_RUN % path, f"run: {script}", on="workflow_run")).runs == runs


@pytest.mark.parametrize(
    ("unpack", "path", "into"),
    [
        ("unzip -o pr.zip", ".", True),
        ("unzip pr.zip -d /tmp/x", "/tmp/x", False),
        ("tar -C out -xf a.tar", "out", False),
    ],
)
def test_an_archive_lies_where_a_later_step_unpacks_it(unpack: str, path: str, into: bool) -> None:
    artifact = _artifact(
        _steps(
            "{uses: actions/github-script@v7, with: {script: 'await github.rest.actions.downloadArtifact(x)'}}",
            f"run: {unpack}",
            on="workflow_run",
        )
    )

    assert (artifact.paths, artifact.into_workspace) == ([path], into)


def test_a_strangers_file_that_sets_variables_is_told() -> None:
    facts = _steps("run: gh run download $ID", "run: cat vars.txt >> $GITHUB_ENV", on="workflow_run")

    assert [one.untrusted for one in facts.effects if one.kind == "environment-write"] == [True]


def test_a_ref_that_only_other_events_carry_moves_nothing() -> None:
    ref = "${{ github.event.pull_request.head.sha || github.ref }}"

    assert not _checkout(_steps(f"{{uses: actions/checkout@v4, with: {{ref: '{ref}'}}}}")).mutable


def test_what_is_read_from_a_strangers_file_is_a_strangers_text() -> None:
    facts = _steps(
        "{uses: dawidd6/action-download-artifact@v6, with: {run_id: '${{ github.event.workflow_run.id }}'}}",
        "{id: a, run: 'echo \"n=$(cat pr/number)\" >> $GITHUB_OUTPUT'}",
        "run: y ${{ steps.a.outputs.n }}",
        on="workflow_run",
    )

    assert _in_scripts(facts) == [True]


# Runners.


@pytest.mark.parametrize(
    ("runs_on", "labels", "own"),
    [
        ("ubuntu-latest", ["ubuntu-latest"], False),
        ("macos-14-xlarge", ["macos-14-xlarge"], False),
        ("windows-2022", ["windows-2022"], False),
        ("[self-hosted, linux]", ["self-hosted", "linux"], True),
        ("gpu", ["gpu"], True),
        ("{group: big}", ["group: big"], True),
        ("${{ inputs.runner }}", ["${{ inputs.runner }}"], False),
        ("${{ x && 'self-hosted' || 'ubuntu-latest' }}", ["self-hosted", "ubuntu-latest"], True),
        ('${{ fromJSON(\'["self-hosted", "x64"]\') }}', ["self-hosted", "x64"], True),
        ("depot-ubuntu-24.04", ["depot-ubuntu-24.04"], False),
    ],
)
def test_runners_of_ones_own_are_told_by_their_labels(runs_on: str, labels: list[str], own: bool) -> None:
    (stage,) = _facts(f"on: push\njobs:\n  a:\n    runs-on: {runs_on}\n    steps: []\n").stages

    assert (stage.runner, stage.self_hosted) == (labels, own)


# Steps that end the job, and folders.

_OF_HEAD = "{uses: actions/checkout@v4, with: {ref: '${{ github.event.pull_request.head.sha }}'}}"


@pytest.mark.parametrize(
    ("step", "guards"),
    [
        ("{if: github.event.pull_request.head.repo.fork, run: 'exit 1'}", ["same-repository"]),
        ('{if: github.event.pull_request.head.repo.fork, run: "echo no\\nexit 1"}', ["same-repository"]),
        ("{if: '${{ github.event.pull_request.head.repo.fork }}', run: 'exit 1'}", ["same-repository"]),
        (
            "{if: github.event.pull_request.head.repo.fork, uses: actions/github-script@v7, "
            "with: {script: core.setFailed('no')}}",
            ["same-repository"],
        ),
        ("{if: github.event.pull_request.head.repo.fork, run: 'exit 0'}", []),
        ("{if: github.event.pull_request.head.repo.fork, run: 'false || exit 1'}", []),
        ("{if: github.event.pull_request.head.repo.fork, run: 'exit 1', continue-on-error: true}", []),
        ("{if: '${{ github.event.pull_request.head.repo.fork }} ', run: 'exit 1'}", []),
        ("{if: '!github.event.pull_request.head.repo.fork', run: 'exit 1'}", []),
        ("{if: failure(), run: 'exit 1'}", []),
    ],
)
def test_what_ends_the_job_guards_later_steps_from_what_it_refuses(step: str, guards: list[str]) -> None:
    assert _checkout(_steps(step, _OF_HEAD)).guards == guards


def test_what_ends_the_job_guards_nothing_before_it() -> None:
    facts = _steps(_OF_HEAD, "{if: github.event.pull_request.head.repo.fork, run: 'exit 1'}")

    assert _checkout(facts).guards == []


def test_an_event_that_always_ends_the_job_reaches_no_later_step() -> None:
    facts = _steps("{if: \"github.event_name == 'pull_request_target'\", run: 'exit 1'}", _OF_HEAD)

    assert not _checkout(facts).untrusted


@pytest.mark.parametrize(
    ("step", "runs"),
    [
        ("{run: make}", ""),
        ("{run: python tools/lint.py change/}", ""),
        ("{run: make other-change}", ""),
        ("{run: make -C change}", "make"),
        ("{run: ./change/run.sh}", "./change/run.sh"),
        ("{run: pytest change/tests}", "pytest change/tests"),
        ("{run: cd change && make}", "make"),
        ("{run: make, working-directory: change}", "make"),
        ("{run: make, working-directory: ./change/src}", "make"),
        ("{uses: ./change/.github/actions/build}", "./change/.github/actions/build"),
        ("{uses: ./.github/actions/build}", ""),
        ("{uses: pre-commit/action@v3}", "pre-commit/action"),
    ],
)
def test_of_a_checkout_in_a_folder_only_what_lies_there_runs(step: str, runs: str) -> None:
    with_path = _OF_HEAD.replace("with: {", "with: {path: change, ")

    checkout = _checkout(_steps(with_path, step))

    assert (checkout.path, checkout.runs) == ("change", runs)


@pytest.mark.parametrize(
    ("used", "caches"),
    [
        ("actions/setup-go@v3", False),
        ("actions/setup-go@v4", True),
        ("actions/setup-go@v5.1.0", True),
        ("actions/setup-go@4a3601121dd01d1626a1e23e37211e3254c1c06c", True),
        ("astral-sh/setup-uv@v4", False),
        ("astral-sh/setup-uv@v6", True),
    ],
)
def test_older_versions_cache_only_when_asked_to(used: str, caches: bool) -> None:
    assert bool(_steps(f"{{uses: {used}}}").caches) is caches


# Inputs.


def test_each_input_has_its_own_place() -> None:
    step = 'uses: o/a@v1\n        with:\n          x: "1"\n          y: "2"'
    read = read_pipeline(
        ".github/workflows/ci.yml", f"on: push\njobs:\n  j:\n    runs-on: u\n    steps:\n      - {step}\n".encode()
    )
    (reference,) = read.facts.references
    lines = {name: read.source_map.place(at) for name, at in reference.inputs_at.items()}
    assert {name: place.line for name, place in lines.items() if place} == {"x": 8, "y": 9}


@pytest.mark.parametrize(
    ("given", "is_script"),
    [
        ('          entrypoint: /bin/sh\n          args: -c "echo ${{ github.head_ref }}"', True),
        ("          args: sh -c 'echo ${{ github.head_ref }}'", True),
        ('          entrypoint: /lint\n          args: -c "${{ github.head_ref }}"', False),
        ("          args: --title ${{ github.head_ref }}", False),
    ],
)
def test_the_words_of_an_image_are_a_script_where_a_shell_takes_them(given: str, is_script: bool) -> None:
    facts = _steps(f"uses: docker://alpine:3\n        with:\n{given}")
    assert _in_scripts(facts) == ([True] if is_script else [])


def test_a_checked_value_is_handed_on_as_plain() -> None:
    script = '[[ "$T" =~ ^[a-z]+$ ]] || exit 1; echo "x=$T" >> "$GITHUB_OUTPUT"'
    step = f"id: a\n        env: {{T: '${{{{ github.head_ref }}}}'}}\n        run: |\n          {script}"
    assert _in_scripts(_steps(step, "run: echo ${{ steps.a.outputs.x }}")) == [False]
    assert _in_scripts(_steps(step.replace("+$", "+"), "run: echo ${{ steps.a.outputs.x }}")) == [True]


def test_the_shell_cmd_is_written_down_where_it_is_chosen() -> None:
    found = [one.detail for one in _steps("shell: cmd\n        run: a.bat", "shell: pwsh\n        run: a").effects]
    assert found.count("cmd") == 1
