"""What rules see of GitLab pipelines."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.errors import DocumentError
from policyd.models.facts import Facts, StageFact
from policyd.pipeline.gitlab.files import takes_git
from policyd.pipeline.gitlab.jobs import is_hosted_runner, read_duration
from policyd.pipeline.gitlab.trust import is_secret_name, variables_in
from policyd.pipeline.reading import ReadPipeline, read_pipeline

MERGE_REQUEST = "  rules:\n    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'\n"


def _read(text: str, path: str = ".gitlab-ci.yml") -> ReadPipeline:
    return read_pipeline(path, text.encode())


def _facts(text: str, path: str = ".gitlab-ci.yml") -> Facts:
    return _read(text, path).facts


def _job(*lines: str, top: str = "") -> Facts:
    return _facts(f"{top}job:\n  script: [make]\n" + "".join(f"  {line}\n" for line in lines))


def _stage(facts: Facts) -> StageFact:
    (stage,) = facts.stages
    return stage


def _rules(*rules: str, top: str = "") -> StageFact:
    return _stage(_job("rules:", *(f"  - {rule}" for rule in rules), top=top))


# Stages.


def test_a_job_is_a_stage() -> None:
    facts = _facts(
        "stages: [one, two]\na:\n  stage: one\n  script: [make]\n"
        "b:\n  stage: two\n  script: [make]\n  tags: [docker, lab-rack-3]\n  timeout: 1h 30m\n"
        "c:\n  stage: two\n  needs: [b, {job: a, artifacts: false}]\n  script: [make]\n"
        "  variables: {GIT_STRATEGY: none}\n  artifacts: {reports: {junit: x.xml, dotenv: y.env}}\n"
    )
    a, b, c = facts.stages

    assert (a.group, a.needs, a.runner, a.self_hosted) == ("one", [], [], False)
    assert (a.timeout_seconds, a.explicit_timeout, a.has_source) == (3600, False, True)
    assert (b.needs, b.runner, b.self_hosted, b.timeout_seconds, b.explicit_timeout) == (
        ["a"],
        ["docker", "lab-rack-3"],
        True,
        5400,
        True,
    )
    assert (c.needs, c.has_source, c.results) == (["b", "a"], False, ["dotenv", "junit"])


def test_stages_that_nobody_uses_do_not_cut_the_order() -> None:
    facts = _facts(
        "stages: [one, two, three]\nlast: {stage: three, script: x}\nfirst: {stage: one, script: x}\n"
        "end: {stage: .post, script: x}\nfree: {stage: three, needs: [], script: x}\n"
    )

    assert {stage.name: stage.needs for stage in facts.stages} == {
        "first": [],
        "last": ["first"],
        "end": ["last", "free"],
        "free": [],
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600),
        ("10m", 600),
        ("1h30m", 5400),
        ("1 hour 30 minutes", 5400),
        ("2 weeks", 1_209_600),
        ("3 hours and 5 seconds", 10_805),
        ("soon", None),
        ("", None),
        ("99999999999999h", None),
    ],
)
def test_durations(text: str, seconds: int | None) -> None:
    assert read_duration(text) == seconds


def test_hosted_runners_are_known_by_their_tags() -> None:
    assert is_hosted_runner("saas-linux-small-amd64")
    assert not is_hosted_runner("docker")
    assert not _stage(_job("tags: [saas-linux-large-amd64]")).self_hosted
    assert _stage(_job("tags: [deploy-box]")).self_hosted
    assert not _stage(_job("tags: [$RUNNER]")).self_hosted


# Who can start it.


def test_a_job_without_rules_is_for_branches_and_tags() -> None:
    facts = _job()

    assert [(trigger.event, trigger.trust) for trigger in facts.triggers] == [("push", "internal")]
    assert not _stage(facts).untrusted


@pytest.mark.parametrize(
    "rule",
    [
        "if: $CI_PIPELINE_SOURCE == 'merge_request_event'",
        "if: $CI_MERGE_REQUEST_IID",
        "changes: [src/*]",
        "when: on_success",
        "if: $CI_COMMIT_BRANCH != 'main'",
        "if: $CI_PIPELINE_SOURCE =~ /^(merge_request_event|push)$/",
    ],
)
def test_jobs_of_merge_request_pipelines_hold_an_outsiders_code(rule: str) -> None:
    stage = _rules(rule)

    assert stage.untrusted
    assert not stage.privileged


@pytest.mark.parametrize(
    "rules",
    [
        ["if: $CI_COMMIT_BRANCH"],
        ["if: $CI_COMMIT_TAG"],
        ["if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"],
        ["if: $CI_PIPELINE_SOURCE == 'schedule'"],
        ["{if: $CI_PIPELINE_SOURCE == 'merge_request_event', when: never}", "when: on_success"],
        ["{if: $CI_MERGE_REQUEST_ID, when: never}", "when: manual"],
        ["if: $CI_COMMIT_REF_PROTECTED == 'true'"],
        ["if: $DEPLOY == 'yes'"],
    ],
)
def test_jobs_of_other_pipelines_do_not(rules: list[str]) -> None:
    assert not _rules(*rules).untrusted


def test_a_workflow_with_rules_says_it_for_jobs_without() -> None:
    top = "workflow:\n  rules:\n    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'\n"

    assert _stage(_job(top=top)).untrusted
    assert not _stage(_job("only: [main]", top=top)).untrusted
    assert [trigger.event for trigger in _job(top=top).triggers] == ["merge_request_event"]


def test_a_workflow_that_keeps_merge_requests_out_does_so_for_all() -> None:
    top = "workflow:\n  rules:\n    - {if: $CI_MERGE_REQUEST_IID, when: never}\n    - when: always\n"
    facts = _job("rules: [{when: always}]", top=top)

    assert not _stage(facts).untrusted
    assert [trigger.event for trigger in facts.triggers] == ["push"]


@pytest.mark.parametrize(
    ("lines", "untrusted"),
    [
        (["only: [merge_requests]"], True),
        (["only: {refs: [merge_requests, main]}"], True),
        (["only: [main]"], False),
        (["only: [tags]"], False),
        (["only: ['/^release/']"], False),
        (["except: [main]"], False),
        (["only: [merge_requests]", "except: [merge_requests]"], False),
        (["only: [external_pull_requests]"], True),
        (["only: {refs: [merge_requests], variables: [$CI_COMMIT_TAG]}"], False),
        (["only: {variables: [$CI_MERGE_REQUEST_IID]}"], False),
    ],
)
def test_only_and_except(lines: list[str], untrusted: bool) -> None:
    assert _stage(_job(*lines)).untrusted is untrusted


def test_events_are_listed_where_the_file_speaks_of_them() -> None:
    read = _read(
        "spec:\n  inputs:\n    version: {default: '1'}\n---\n"
        "variables:\n  LEVEL: {value: info, description: how much, options: [info, debug]}\n"
        "job:\n  script: make\n  rules:\n    - if: $CI_PIPELINE_SOURCE == 'schedule'\n"
        "    - if: $CI_PIPELINE_SOURCE == 'trigger'\n    - if: $CI_PIPELINE_SOURCE == 'web'\n"
    )

    assert [(trigger.event, trigger.trust, trigger.parameters) for trigger in read.facts.triggers] == [
        ("schedule", "trusted", []),
        ("web", "internal", ["version", "LEVEL"]),
        ("trigger", "internal", ["version", "LEVEL"]),
    ]
    place = read.source_map.place(read.facts.triggers[0].at)
    assert place is not None
    assert place.line == 10


# Guards and powers.


@pytest.mark.parametrize(
    ("rules", "guards"),
    [
        (["if: $CI_MERGE_REQUEST_IID"], []),
        (["{if: $CI_MERGE_REQUEST_IID, when: manual}"], ["approval"]),
        (["if: $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID"], ["same-repository"]),
        (["if: $CI_MERGE_REQUEST_SOURCE_PROJECT_PATH == 'group/project'"], ["same-repository"]),
        (["if: $CI_MERGE_REQUEST_LABELS =~ /safe/"], ["label"]),
        (["if: $CI_MERGE_REQUEST_IID && $GITLAB_USER_LOGIN == 'ann'"], ["actor"]),
        (["if: $CI_MERGE_REQUEST_IID && $GITLAB_USER_LOGIN != 'bot'"], []),
        (["if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"], ["protected"]),
        (["if: $CI_COMMIT_BRANCH == 'main'"], ["protected"]),
        (["if: $CI_COMMIT_BRANCH =~ /^(main|master)$/"], ["protected"]),
        (["if: $CI_COMMIT_BRANCH =~ /main/"], []),
        (["if: $CI_COMMIT_BRANCH == 'feature'"], []),
        (["if: $CI_COMMIT_REF_PROTECTED == 'true'"], ["protected"]),
        (["if: $CI_COMMIT_TAG"], []),
        (["{if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH, when: manual}"], ["approval", "protected"]),
        (["{if: $CI_COMMIT_TAG, when: manual}", "if: $CI_COMMIT_BRANCH"], []),
    ],
)
def test_guards_of_a_job(rules: list[str], guards: list[str]) -> None:
    assert _rules(*rules).guards == guards


def test_a_job_that_outsiders_do_not_reach_in_a_pipeline_they_do() -> None:
    facts = _facts(f"a:\n  script: x\n{MERGE_REQUEST}b:\n  script: x\n  rules: [if: $CI_COMMIT_TAG]\n")

    assert [stage.guards for stage in facts.stages] == [[], ["event"]]


def test_approval_reaches_what_waits_for_it() -> None:
    gate = "gate:\n  stage: build\n  script: echo\n  when: manual\n"
    deploy = "deploy:\n  stage: deploy\n  script: ./deploy\n"

    assert [stage.guards for stage in _facts(gate + deploy).stages] == [["approval"], []]
    assert [stage.guards for stage in _facts(gate + "  allow_failure: false\n" + deploy).stages] == [["approval"]] * 2
    assert [stage.guards for stage in _facts(gate + deploy + "  needs: [gate]\n").stages] == [["approval"]] * 2
    # A gate that is not in every pipeline of the job is none.
    partly = gate + "  allow_failure: false\n  only: [tags]\n" + deploy
    assert [stage.guards for stage in _facts(partly).stages] == [["approval"], []]


@pytest.mark.parametrize(
    ("line", "privileged", "secret", "writes"),
    [
        ("after_script: ['curl -u $DEPLOY_TOKEN']", True, True, False),
        ("variables: {X: $NPM_TOKEN}", True, True, False),
        ("secrets: {DB: {vault: a/b@c}}", True, True, False),
        ("id_tokens: {TOKEN: {aud: x}}", True, True, True),
        ("after_script: ['docker login -p $CI_JOB_TOKEN']", True, False, True),
        ("after_script: ['docker login -p $CI_REGISTRY_PASSWORD']", True, False, True),
        ("environment: production", True, False, False),
        ("environment: {name: review/$CI_COMMIT_REF_SLUG, action: stop}", False, False, False),
        ("after_script: ['echo $CACHE_KEY']", False, False, False),
        ("image: alpine", False, False, False),
    ],
)
def test_what_a_merge_request_job_can_do(line: str, privileged: bool, secret: bool, writes: bool) -> None:
    stage = _stage(_facts(f"job:\n  script: [make]\n  {line}\n{MERGE_REQUEST}"))

    assert (stage.untrusted, stage.privileged, stage.has_secrets, stage.writes) == (True, privileged, secret, writes)


# Secrets and untrusted values.


@pytest.mark.parametrize(
    "name",
    [
        "DEPLOY_TOKEN",
        "DB_PASSWORD",
        "API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "CI_JOB_TOKEN",
        "KUBECONFIG",
        "CI_DEPLOY_PASSWORD",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["CACHE_KEY", "SSH_PUBLIC_KEY", "AWS_ACCESS_KEY_ID", "PWD", "KEYCLOAK_URL", "CI_PROJECT_ID", "TOKENIZER", "BYPASS"],
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


def test_variables_in_a_text() -> None:
    assert variables_in("$A ${B} ${C:-x} %D% $env:E ${#F} $$ $1 100%") == ["A", "B", "C", "D", "E", "F"]


def test_a_secret_that_the_file_sets_is_none_but_one_made_of_a_secret_is() -> None:
    facts = _facts(
        "variables: {DB_PASSWORD: test, LOGIN: 'user:$REAL_TOKEN'}\njob:\n  script:\n"
        "    - psql $DB_PASSWORD\n    - curl -u $LOGIN https://x\n    - curl -u $LOGIN https://y\n"
    )

    assert [(use.stage, use.name, use.sink) for use in facts.secrets] == [
        ("", "REAL_TOKEN", "environment"),
        ("job", "LOGIN", "script"),
    ]
    assert [command.reads_secrets for command in facts.commands] == [[], ["LOGIN"], ["LOGIN"]]


def test_an_outsiders_text_is_followed_through_variables() -> None:
    facts = _facts(
        "variables: {TITLE: $CI_MERGE_REQUEST_TITLE, SAFE: $CI_COMMIT_SHA}\n"
        "a:\n  variables: {AGAIN: 'x $TITLE', RAW: {value: $TITLE, expand: false}}\n"
        '  script: [eval "$AGAIN", echo $RAW, echo $SAFE]\n'
        "b:\n  variables: {TITLE: fixed}\n  script: [echo $TITLE]\n"
    )

    assert [command.reads_untrusted for command in facts.commands] == [["AGAIN"], [], [], []]
    assert {variable.name for variable in facts.variables if variable.untrusted} == {"TITLE", "AGAIN"}
    assert [one.text for one in facts.expressions if one.untrusted] == ["$CI_MERGE_REQUEST_TITLE", "$TITLE"]


def test_one_shell_reads_all_lines_of_a_script() -> None:
    read = _read(
        "job:\n  before_script:\n    - MESSAGE=$CI_COMMIT_MESSAGE\n    - cd src\n"
        '  script:\n    - |\n      make\n      eval "$MESSAGE"\n'
        "    - curl -o i.sh https://example.org/i.sh\n    - sh i.sh\n"
        '  after_script:\n    - eval "$MESSAGE"\n'
    )
    found = []
    for effect in read.facts.effects:
        place = read.source_map.place(effect.at)
        assert place is not None
        if effect.kind in ("evaluates", "download-run"):
            found.append((effect.kind, effect.untrusted, place.line))

    # `after_script` runs in a shell of its own, where the variable is not set.
    assert found == [("evaluates", True, 8), ("download-run", False, 9), ("evaluates", False, 12)]


def test_a_dotenv_report_hands_an_outsiders_text_on() -> None:
    text = (
        'make:\n  stage: build\n  script:\n    - echo "TITLE=$CI_COMMIT_TITLE" >> build.env\n'
        "    - echo VERSION=1 >> build.env\n  artifacts: {reports: {dotenv: build.env}}\n"
        'use:\n  stage: test\n  script:\n    - echo start\n    - eval "$TITLE"\n'
        "apart:\n  stage: test\n  needs: []\n  script: [echo $TITLE]\n"
        "refuses:\n  stage: test\n  needs: [{job: make, artifacts: false}]\n  script: [echo $TITLE]\n"
        "other:\n  stage: test\n  dependencies: []\n  script: [echo $TITLE]\n"
    )
    read = _read(text)
    (flow,) = read.facts.flows

    assert (flow.kind, flow.stage, flow.value, flow.name, flow.into) == (
        "variable",
        "make",
        "CI_COMMIT_TITLE",
        "TITLE",
        "use",
    )
    assert flow.place == ".gitlab-ci.yml:11"
    place = read.source_map.place(flow.at)
    assert place is not None
    assert place.line == 4
    tainted = {command.stage for command in read.facts.commands if "TITLE" in command.reads_untrusted}
    assert tainted == {"use"}


# Inputs.


@pytest.mark.parametrize(
    ("spec", "untrusted"),
    [
        ("name:", True),
        ("name: {default: x}", True),
        ("name: {type: string}", True),
        ("name: {type: array}", True),
        ("name: {options: [a, b]}", False),
        ("name: {regex: '^[a-z]+$'}", False),
        ("name: {type: number}", False),
        ("name: {type: boolean}", False),
        ("name: {rules: [{if: x, options: [a]}, {options: [b]}]}", False),
        ("name: {rules: [{if: x, options: [a]}, {default: null}]}", True),
        ("other:", True),
    ],
)
def test_an_input_in_a_script_is_code(spec: str, untrusted: bool) -> None:
    facts = _facts(
        f"spec:\n  inputs:\n    {spec}\n---\njob:\n  script:\n    - echo $[[ inputs.name ]]\n", "templates/x.yml"
    )

    (command,) = facts.commands
    (expression,) = facts.expressions
    assert command.untrusted is untrusted
    assert (expression.contexts, expression.untrusted, expression.sink) == (["inputs.name"], untrusted, "script")


def test_functions_of_inputs_are_named() -> None:
    facts = _facts(
        "spec: {inputs: {a: , b: {type: number}}}\n---\njob:\n"
        "  script: echo $[[ inputs.a | expand_vars | truncate(0,8) ]] $[[ inputs.b ]]\n  image: $[[ inputs.a ]]\n"
        "  variables: {X: '$[[ inputs.a ]]'}\n",
        "templates/x.yml",
    )

    assert [(one.contexts, one.functions, one.sink, one.untrusted) for one in facts.expressions] == [
        (["inputs.a"], [], "environment", True),
        (["inputs.a"], ["expand_vars", "truncate"], "script", True),
        (["inputs.b"], [], "script", False),
        (["inputs.a"], [], "reference", True),
    ]


@pytest.mark.parametrize(
    ("given", "use", "untrusted"),
    [
        ("fixed", "inputs.x", False),
        ("$CI_COMMIT_REF_NAME", "inputs.x", False),
        ("$CI_COMMIT_REF_NAME", "inputs.x | expand_vars", True),
        ("$CI_PROJECT_NAME", "inputs.x | expand_vars", False),
    ],
)
def test_an_input_is_what_the_including_file_gives(given: str, use: str, untrusted: bool) -> None:
    files = {"t.yml": f"spec: {{inputs: {{x: }}}}\n---\njob:\n  script: echo $[[ {use} ]]\n".encode()}
    text = f"include:\n  - local: t.yml\n    inputs: {{x: {given}}}\n"

    facts = read_pipeline(".gitlab-ci.yml", text.encode(), files.get).facts

    assert [command.untrusted for command in facts.commands] == [untrusted]


def test_an_open_input_handed_on_stays_open() -> None:
    files = {"t.yml": b"spec: {inputs: {x: }}\n---\njob:\n  script: echo $[[ inputs.x ]]\n"}
    text = "spec: {inputs: {y: }}\n---\ninclude:\n  - local: t.yml\n    inputs: {x: '$[[ inputs.y ]]'}\n"

    facts = read_pipeline(".gitlab-ci.yml", text.encode(), files.get).facts

    assert [command.untrusted for command in facts.commands] == [True]


def test_job_inputs_are_replaced_by_the_runner() -> None:
    facts = _job(
        "inputs: {a: {default: x}, b: {options: [c]}}",
        "after_script: ['x ${{ job.inputs.a }}', 'y ${{ job.inputs.b }}']",
    )

    assert [command.untrusted for command in facts.commands] == [False, True, False]


# References.


def test_references_of_all_kinds() -> None:
    read = _read(
        "include:\n  - project: group/project\n    ref: v1\n    file: [/a.yml, b.yml]\n"
        "  - component: $CI_SERVER_FQDN/g/p/c@1.0\n    inputs: {stage: test}\n"
        "  - remote: http://example.org/x.yml\n  - template: Jobs/SAST.gitlab-ci.yml\n  - ci/*.yml\n"
        "job:\n  image: {name: 'alpine:3', entrypoint: ['']} # why\n"
        "  services: [postgres:16, {name: 'docker:27-dind', alias: docker}]\n  script: x\n"
        "down:\n  trigger: {project: group/other, branch: main}\n"
        "child:\n  trigger: {include: [{local: child.yml}, {artifact: made.yml, job: job}]}\n"
    )

    assert [(one.kind, one.text, one.ref, one.local, one.pinned, one.computed) for one in read.facts.references] == [
        ("include", "group/project:a.yml@v1", "v1", False, False, False),
        ("include", "group/project:b.yml@v1", "v1", False, False, False),
        ("component", "$CI_SERVER_FQDN/g/p/c@1.0", "1.0", False, False, False),
        ("include", "http://example.org/x.yml", "", False, False, False),
        ("template", "Jobs/SAST.gitlab-ci.yml", "", True, False, False),
        ("include", "ci/*.yml", "", True, False, False),
        ("image", "alpine:3", "3", False, False, False),
        ("image", "postgres:16", "16", False, False, False),
        ("image", "docker:27-dind", "27-dind", False, False, False),
        ("repository", "group/other", "main", False, False, False),
        ("include", "child.yml", "", True, False, False),
        ("include", "made.yml", "", True, False, True),
    ]
    assert read.facts.references[2].inputs == {"stage": "test"}
    assert [container.privileged for container in read.facts.containers] == [False, False, True]
    assert [effect.kind for effect in read.facts.effects][:2] == ["insecure-url", "scan"]
    assert [call.callee for call in read.links.calls] == ["child.yml"]


def test_images_are_looked_up() -> None:
    facts = _facts(
        "variables: {NAME: 'python:$TAG', TAG: '3'}\na:\n  image: $NAME\n  script: x\n"
        "b:\n  image: python:${VERSION}-slim\n  parallel: {matrix: [{VERSION: ['3.11', '3.12']}]}\n  script: x\n"
        "c:\n  image: $UNKNOWN\n  script: x\n"
    )

    assert [(one.text, one.computed) for one in facts.references] == [
        ("python:3", False),
        ("python:3.11-slim", False),
        ("python:3.12-slim", False),
        ("$UNKNOWN", True),
    ]


def test_an_outsiders_text_in_a_reference_is_seen() -> None:
    facts = _job("image: registry.example.org/app:$CI_COMMIT_REF_NAME")

    assert [(one.text, one.sink, one.untrusted) for one in facts.expressions] == [
        ("$CI_COMMIT_REF_NAME", "reference", True)
    ]


# Checkouts, files, conditions, settings.


@pytest.mark.parametrize(
    ("command", "mutable"),
    [
        ("git fetch origin refs/merge-requests/$IID/head", True),
        ("git fetch origin $CI_MERGE_REQUEST_REF_PATH", True),
        ("git clone $CI_MERGE_REQUEST_SOURCE_PROJECT_URL fork", True),
        ("git checkout $CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", False),
        ("glab mr checkout 7", True),
    ],
)
def test_code_of_an_outsider_that_a_job_fetches(command: str, mutable: bool) -> None:
    (checkout,) = _facts(f"job:\n  script: ['{command}', 'git checkout FETCH_HEAD']\n").checkouts

    assert (checkout.untrusted, checkout.mutable, checkout.text) == (True, mutable, command)


def test_a_merge_request_job_has_that_code_anyway() -> None:
    fetch = "job:\n  script: ['git fetch $CI_MERGE_REQUEST_SOURCE_PROJECT_URL', 'git merge FETCH_HEAD']\n"

    assert [one.untrusted for one in _facts(fetch + MERGE_REQUEST).checkouts] == [False]
    assert [one.untrusted for one in _facts(fetch + "  environment: prod\n" + MERGE_REQUEST).checkouts] == [True]


def test_a_branch_of_the_project_itself_is_no_code_of_a_fork() -> None:
    fetch = "job:\n  environment: prod\n  script: ['git pull origin $CI_MERGE_REQUEST_SOURCE_BRANCH_NAME']\n"

    assert [one.untrusted for one in _facts(fetch + MERGE_REQUEST).checkouts] == [False]


def test_what_is_fetched_and_only_looked_at_is_no_checkout() -> None:
    facts = _facts("job:\n  script: ['git fetch origin merge-requests/$IID/head', 'git log -1 FETCH_HEAD']\n")

    assert facts.checkouts == []
    assert not facts.stages[0].privileged


def test_a_merge_request_that_another_pipeline_runs_may_read_the_projects_variables() -> None:
    facts = _facts(
        "job:\n  rules: [{if: $CI_PIPELINE_SOURCE == 'trigger'}]\n"
        "  script: ['git fetch origin merge-requests/$IID/head && git checkout FETCH_HEAD', 'make']\n"
    )

    assert facts.stages[0].privileged


def test_a_stage_says_where_its_runner_is_chosen() -> None:
    read = _read("default:\n  tags: [self-hosted]\nown: {script: make}\nother:\n  tags: [gpu]\n  script: make\n")
    places = [read.source_map.place(stage.runner_at) for stage in read.facts.stages]

    assert [place and place.line for place in places] == [2, 5]
    assert _stage(_job()).runner_at == ()


def test_a_variable_that_is_the_path_of_a_secrets_file_is_no_secret_in_the_log() -> None:
    def shown(secret: str, line: str) -> list[str]:
        facts = _facts(f"job:\n  secrets:\n    KEY: {secret}\n  script:\n    - {line}\n")
        return [effect.detail for effect in facts.effects if effect.kind == "secret-print"]

    assert shown("{vault: a/b@c}", "echo $KEY") == []
    assert shown("{vault: a/b@c, file: false}", "echo $KEY") == ["KEY"]
    assert shown("{vault: a/b@c}", "cat $KEY") == ["KEY"]
    assert shown("{vault: a/b@c}", "echo $(cat $KEY)") == ["KEY"]


def test_the_address_of_the_repository_holds_the_jobs_token() -> None:
    facts = _facts("job: {script: ['echo $CI_REPOSITORY_URL']}\n")

    assert [effect.detail for effect in facts.effects if effect.kind == "secret-print"] == ["CI_REPOSITORY_URL"]


def test_a_merge_request_fetched_by_another_pipeline_makes_its_secrets_matter() -> None:
    facts = _facts(
        "job:\n  rules: [{if: $CI_PIPELINE_SOURCE == 'schedule'}]\n"
        "  script: ['git fetch origin merge-requests/$IID/head && git checkout FETCH_HEAD', './say $BOT_TOKEN']\n"
    )

    assert [(one.untrusted, one.guards) for one in facts.checkouts] == [(True, [])]
    assert facts.stages[0].privileged


def test_a_tag_that_only_says_what_a_runner_can_do_is_no_own_runner() -> None:
    (stage,) = _job("tags: [docker, linux, amd64]").stages

    assert not stage.self_hosted


def test_other_fetches_are_no_checkouts_of_outsiders() -> None:
    assert not _job("after_script: [git fetch origin main, 'git clone https://example.org/x', git status]").checkouts


def test_submodules_by_branch_can_move() -> None:
    facts = _job("variables: {GIT_SUBMODULE_STRATEGY: recursive, GIT_SUBMODULE_UPDATE_FLAGS: --remote}")

    assert [checkout.mutable for checkout in facts.checkouts] == [True]


@pytest.mark.parametrize(
    ("paths", "excluded", "whole"),
    [
        (["."], [], True),
        (["./"], [], True),
        (["*"], [], True),
        (["**/*"], [], True),
        (["$CI_PROJECT_DIR"], [], True),
        ([".git/"], [], True),
        ([".git/config"], [], True),
        (["."], [".git/**/*"], False),
        (["dist/"], [], False),
        ([".github/"], [], False),
        (["dist/*"], [], False),
    ],
)
def test_artifacts_that_take_the_git_folder_along(paths: list[str], excluded: list[str], whole: bool) -> None:
    assert takes_git(paths, excluded) is whole


def test_artifacts_and_downloads() -> None:
    facts = _facts(
        "a:\n  stage: build\n  script: x\n  artifacts: {name: out, paths: [dist/, x], untracked: true}\n"
        "b:\n  stage: test\n  script: x\n  dependencies: [a]\n"
        "c:\n  stage: test\n  script: x\n  needs: [{project: g/p, job: build, ref: main, artifacts: true}, a]\n"
    )

    assert [(one.stage, one.name, one.direction, one.foreign, one.into_workspace) for one in facts.artifacts] == [
        ("a", "out", "upload", False, False),
        ("b", "a", "download", False, True),
        ("c", "build", "download", True, True),
    ]
    assert facts.artifacts[2].text == "g/p:build@main"


def test_caches() -> None:
    facts = _job(
        "cache:",
        "  - {key: {files: [a.lock], prefix: p}, paths: [x], policy: pull}",
        "  - {paths: [y], policy: push, unprotect: true}",
        "  - {key: $CI_COMMIT_REF_NAME, paths: [z]}",
        "  - {key: nothing}",
    )

    assert [(one.key, one.restores, one.saves, one.untrusted) for one in facts.caches] == [
        ("p a.lock", True, False, False),
        ("default", False, True, True),
        ("$CI_COMMIT_REF_NAME", True, True, False),
    ]


@pytest.mark.parametrize(
    ("rule", "always", "spoofable", "substring"),
    [
        ("if: $CI_COMMIT_BRANCH == 'main'", False, False, False),
        ("if: $CI_COMMIT_BRANCH != 'a' || $CI_COMMIT_BRANCH != 'b'", True, False, False),
        ("if: $GITLAB_USER_NAME == 'Renovate Bot'", False, True, False),
        ("if: $CI_COMMIT_AUTHOR =~ /bot/", False, True, False),
        ("if: $GITLAB_USER_LOGIN == 'renovate'", False, False, False),
        ("if: $GITLAB_USER_LOGIN =~ /renovate/", False, True, True),
        ("if: $CI_COMMIT_BRANCH =~ /main/", False, False, True),
        ("if: $CI_COMMIT_BRANCH =~ /^main$/", False, False, False),
        ("if: $CI_COMMIT_BRANCH =~ /.*/", False, False, False),
        ("if: $CI_COMMIT_MESSAGE =~ /release/", False, False, False),
        ("{if: $CI_COMMIT_BRANCH =~ /main/, when: never}", False, False, False),
        ("if: $A = 1", False, False, False),
    ],
)
def test_conditions(rule: str, always: bool, spoofable: bool, substring: bool) -> None:
    (condition,) = _job("rules:", f"  - {rule}").conditions

    assert (condition.always_true, condition.spoofable_actor, condition.substring) == (always, spoofable, substring)


def test_what_a_job_is_for_shows_in_its_keywords() -> None:
    facts = _facts(
        "scan:\n  script: x\n  artifacts: {reports: {sast: x.json}}\n  allow_failure: true\n"
        "deploy:\n  script: x\n  environment: {name: production, url: 'https://x'}\n"
        "pages:\n  script: x\nout:\n  script: x\n  release: {tag_name: v1, description: x}\n"
    )

    assert {stage.name: stage.purposes for stage in facts.stages} == {
        "scan": ["scan"],
        "deploy": ["deploy"],
        "pages": ["publish"],
        "out": ["publish"],
    }
    assert ("scan", "ignores-failure") in [(effect.stage, effect.kind) for effect in facts.effects]


def test_steps_of_run_are_read() -> None:
    facts = _facts(
        "job:\n  run:\n    - name: a\n      script: make\n    - name: b\n      step: gitlab.com/g/steps/x@v1\n"
        "      inputs: {a: b}\n    - name: c\n      step: ./local\n"
    )

    assert [command.text for command in facts.commands] == ["make"]
    assert [(one.text, one.ref, one.local) for one in facts.references] == [
        ("gitlab.com/g/steps/x@v1", "v1", False),
        ("./local", "", True),
    ]


def test_hooks_run_first() -> None:
    facts = _job("hooks: {pre_get_sources_script: [echo first]}", "before_script: [echo second]")

    assert [command.text for command in facts.commands] == ["echo first", "echo second", "make"]


# Bad input.

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from(
        ["x", "$CI_COMMIT_TITLE", "$[[ inputs.a ]]", "manual", "never", ".a", "job", "$A == 'x'", "build.env", "."]
    ),
)
_KEYS = st.sampled_from(
    [
        "script",
        "before_script",
        "after_script",
        "rules",
        "only",
        "except",
        "if",
        "when",
        "variables",
        "image",
        "services",
        "name",
        "artifacts",
        "paths",
        "reports",
        "dotenv",
        "cache",
        "key",
        "policy",
        "needs",
        "dependencies",
        "job",
        "project",
        "trigger",
        "include",
        "local",
        "component",
        "remote",
        "file",
        "ref",
        "inputs",
        "environment",
        "extends",
        "inherit",
        "default",
        "stage",
        "stages",
        "tags",
        "timeout",
        "parallel",
        "matrix",
        "run",
        "step",
        "secrets",
        "id_tokens",
        "hooks",
        "pages",
        "release",
        "workflow",
        "spec",
        "value",
        "expand",
        "refs",
        "changes",
        "allow_failure",
        ".a",
        "job",
        "a",
    ]
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)


def _write(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_write(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        tag = "!reference " if value and all(isinstance(item, str) for item in value) and len(value) == 2 else ""
        return tag + "[" + ", ".join(map(_write, value)) + "]"
    return (
        "null" if value is None else f"'{value}'".replace("'x'", "x") if isinstance(value, str) else str(value).lower()
    )


def _read_or_refuse(text: str, path: str) -> tuple[ReadPipeline | None, DocumentError | None]:
    files = {"x": text.encode(), "build.env": text.encode()}
    try:
        return read_pipeline(path, text.encode(), files.get), None
    except DocumentError as error:
        return None, error


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=6) | _VALUES, max_size=4), st.booleans())
def test_any_file_gives_facts_or_an_error_with_its_place(document: dict[str, object], whole: bool) -> None:
    text = "".join(f"{key}: {_write(value)}\n" for key, value in document.items())
    path = ".gitlab-ci.yml" if whole else ".gitlab/ci/x.yml"

    read, error = _read_or_refuse(text, path)
    if read is None:
        assert error is not None
        assert error.where.split(":")[0] in (path, "x", "build.env", ".gitlab/x")
        assert error.fix
        return

    for name in Facts.model_fields:
        for fact in getattr(read.facts, name):
            assert read.source_map.place(fact.at) is not None


# Started twice, and texts that whoever includes the file chooses.

PUSH_TOO = "if: $CI_PIPELINE_SOURCE == 'push'"
MERGE = "if: $CI_PIPELINE_SOURCE == 'merge_request_event'"
ONE_OF_BOTH = """workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH
"""


@pytest.mark.parametrize(
    ("rules", "top", "twice"),
    [
        ((MERGE, PUSH_TOO), "", True),
        ((MERGE, "if: $CI_COMMIT_BRANCH"), "", True),
        (("when: always",), "", True),
        ((MERGE, "if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"), "", False),
        ((MERGE, "{if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS, when: never}", "when: on_success"), "", False),
        ((MERGE,), "", False),
        ((PUSH_TOO,), "", False),
        ((MERGE, "{if: $CI_PIPELINE_SOURCE == 'push', when: manual}"), "", False),
        ((MERGE, PUSH_TOO), ONE_OF_BOTH, False),
    ],
)
def test_a_push_with_an_open_merge_request_starts_a_job_once_or_twice(
    rules: tuple[str, ...], top: str, twice: bool
) -> None:
    assert _rules(*rules, top=top).runs_twice is twice


def test_a_job_that_says_nothing_is_started_once() -> None:
    assert not _stage(_job()).runs_twice


def test_an_input_that_can_be_any_text_is_open_and_a_strangers_is_not() -> None:
    job = "job:\n  script: ['echo $[[ inputs.a ]] $[[ inputs.b ]]']\n"
    text = f"spec:\n  inputs:\n    a:\n    b: {{options: [x]}}\n---\n{job}"

    assert [one.open for one in _facts(text, "templates/x.yml").expressions] == [True, False]


def test_a_list_of_artifacts_is_shown_where_it_takes_along_what_it_should_not() -> None:
    pipeline = _read("job:\n  script: [make]\n  artifacts:\n    paths:\n      - dist/\n      - kubeconfig\n")
    (artifact,) = pipeline.facts.artifacts
    place = pipeline.source_map.place(artifact.at)

    assert (artifact.credentials, place and place.line) == ("kubeconfig", 6)


def test_a_file_that_a_credential_was_written_to_is_one_of_credentials() -> None:
    artifacts = "artifacts: {paths: [.env]}"
    (written,) = _job("before_script: ['echo \"T=$API_TOKEN\" > .env']", artifacts).artifacts
    (plain,) = _job(artifacts).artifacts

    assert (written.credentials, plain.credentials) == (".env", "")


def test_docker_in_docker_that_is_told_to_do_without_tls_is_seen() -> None:
    facts = _job("services: [{name: 'docker:27-dind', command: ['--tls=false']}]")

    assert [effect.detail for effect in facts.effects if effect.kind == "tls-off"] == ["--tls=false"]


def test_an_image_of_a_virtual_machine_has_no_digest() -> None:
    assert not _job("image: macos-14-xcode-15").references


def test_a_job_that_waits_for_a_person_may_fail() -> None:
    waits = _job("when: manual\n  allow_failure: true")

    assert not [effect for effect in waits.effects if effect.kind == "ignores-failure"]


def test_a_job_of_an_included_template_keeps_what_is_added_to_it() -> None:
    facts = _facts("include: [{template: Security/DAST.gitlab-ci.yml}]\ndast:\n  variables: {DAST_WEBSITE: x}\n")

    assert [stage.name for stage in facts.stages] == ["dast"]
    assert "DAST_WEBSITE" in [variable.name for variable in facts.variables]


def test_a_title_that_goes_through_a_variable_of_the_script_is_handed_on() -> None:
    facts = _facts(
        "a:\n  stage: build\n  script: ['T=$CI_COMMIT_TITLE', 'echo \"X=$T\" > v.env']\n"
        "  artifacts: {reports: {dotenv: v.env}}\n"
        "b:\n  stage: test\n  script: ['echo \"$X\"', 'eval \"say $X\"']\n"
    )

    assert [(flow.name, flow.into, flow.sink) for flow in facts.flows] == [("X", "b", "script")]
