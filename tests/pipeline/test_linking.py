"""What passes between the files of a repository."""

from __future__ import annotations

from policyd.models.facts import Flow, StageFact
from policyd.pipeline.linking import MAX_FLOWS, link
from policyd.pipeline.reading import ReadPipeline, read_pipeline


def _repository(**files: str) -> dict[str, ReadPipeline]:
    """Read and link files; `a_b` is .github/workflows/a_b.yml, `action_x` is .github/actions/x/action.yml."""
    read = []
    for name, text in files.items():
        kind, _, rest = name.partition("_")
        path = f".github/actions/{rest}/action.yml" if kind == "action" else f".github/workflows/{name}.yml"
        read.append(read_pipeline(path, text.encode()))
    return dict(zip(files, link(read), strict=True))


def _flow(read: ReadPipeline) -> Flow:
    (flow,) = read.facts.flows
    return flow


def _stage(read: ReadPipeline) -> StageFact:
    (stage,) = read.facts.stages
    return stage


ACTION = """\
name: greet
inputs: {title: {required: true}, safe: {}}
runs:
  using: composite
  steps:
    - run: echo ${{ inputs.title }}
      shell: bash
    - run: echo "$TITLE"
      shell: bash
      env: {TITLE: '${{ inputs.safe }}'}
"""
CALLER = """\
on: {on}
jobs:
  job:
    runs-on: ubuntu-latest
    steps:
      - uses: ./.github/actions/greet
        with:
          {name}: {value}
"""


def _call(on: str, name: str, value: str) -> dict[str, ReadPipeline]:
    return _repository(ci=CALLER.format(on=on, name=name, value=value), action_greet=ACTION)


def test_a_strangers_value_that_lands_in_a_called_actions_script_is_a_flow_of_the_caller() -> None:
    repository = _call("issues", "Title", "${{ github.event.issue.title }}")
    flow = _flow(repository["ci"])
    place = repository["ci"].source_map.place(flow.at)

    assert (flow.kind, flow.value, flow.name, flow.sink) == ("call", "github.event.issue.title", "title", "script")
    assert (flow.stage, flow.into) == ("job", ".github/actions/greet/action.yml")
    assert flow.place == ".github/actions/greet/action.yml:6"
    assert place is not None
    assert (place.file, place.line) == (".github/workflows/ci.yml", 8)
    assert repository["action_greet"].facts.flows == []


def test_values_that_are_nobodys_and_parameters_used_safely_are_no_flow() -> None:
    assert _call("issues", "title", "${{ github.sha }}")["ci"].facts.flows == []
    assert _call("push", "title", "${{ github.event.issue.title }}")["ci"].facts.flows == []
    assert _call("issues", "safe", "${{ github.event.issue.title }}")["ci"].facts.flows == []
    assert _call("issues", "other", "${{ github.event.issue.title }}")["ci"].facts.flows == []


REUSABLE = """\
on:
  workflow_call:
    inputs: {ref: {type: string}}
permissions: {}
jobs:
  build:
    runs-on: x
    steps:
      - uses: actions/checkout@v4
        with: {ref: '${{ inputs.ref }}'}
      - run: make
        env: {T: '${{ secrets.TOKEN }}'}
"""
USER = """\
on: {on}
permissions: {{}}
jobs:
  call:
    if: {condition}
    uses: ./.github/workflows/reusable.yml
    with: {{ref: '{ref}'}}
    secrets: {secrets}
"""


def _use(
    on: str = "pull_request_target",
    ref: str = "${{ github.event.pull_request.head.sha }}",
    condition: str = "true",
    secrets: str = "inherit",
) -> dict[str, ReadPipeline]:
    user = USER.format(on=on, ref=ref, condition=condition, secrets=secrets)
    return _repository(user=user, reusable=REUSABLE)


def test_a_strangers_code_given_to_a_called_workflow_makes_its_checkout_untrusted() -> None:
    repository = _use()
    (checkout,) = repository["reusable"].facts.checkouts
    flow = _flow(repository["user"])

    assert checkout.untrusted
    assert (flow.sink, flow.name, flow.place) == ("reference", "ref", ".github/workflows/reusable.yml:10")


def test_a_called_workflow_runs_with_what_its_caller_hands_on() -> None:
    stage = _stage(_use()["reusable"])
    assert (stage.untrusted, stage.privileged) == (True, True)

    stage = _stage(_use(secrets="{}")["reusable"])
    assert (stage.untrusted, stage.privileged) == (True, False)

    stage = _stage(_use(on="push")["reusable"])
    assert (stage.untrusted, stage.privileged) == (False, False)

    stage = _stage(_use(on="pull_request")["reusable"])
    assert (stage.untrusted, stage.privileged) == (True, False)


def test_guards_of_the_caller_hold_in_the_called_workflow() -> None:
    assert _stage(_use(condition="github.actor == 'x'")["reusable"]).guards == ["actor"]


def test_only_guards_that_all_callers_ask_for_hold() -> None:
    user = USER.format(on="pull_request_target", ref="x", condition="github.actor == 'x'", secrets="inherit")
    other = USER.format(on="pull_request_target", ref="x", condition="true", secrets="inherit")

    assert _stage(_repository(a=user, b=other, reusable=REUSABLE)["reusable"]).guards == []


def test_a_value_handed_through_two_files_still_arrives() -> None:
    middle = (
        "on: {workflow_call: {inputs: {text: {type: string}}}}\njobs:\n  call:\n    runs-on: x\n    steps:\n"
        "      - uses: ./.github/actions/greet\n        with: {title: 'PR ${{ inputs.text }}'}\n"
    )
    first = (
        "on: issues\njobs:\n  call:\n    uses: ./.github/workflows/middle.yml\n"
        "    with: {text: '${{ github.event.issue.body }}'}\n"
    )
    repository = _repository(first=first, middle=middle, action_greet=ACTION)
    flow = _flow(repository["first"])

    assert (flow.value, flow.name) == ("github.event.issue.body", "text")
    assert flow.place == ".github/actions/greet/action.yml:6"
    assert repository["middle"].facts.flows == []
    assert _stage(repository["action_greet"]).untrusted


def test_files_that_call_each_other_in_a_circle_end() -> None:
    text = (
        "on: {{workflow_call: {{inputs: {{t: {{}}}}}}, issues: }}\njobs:\n  call:\n"
        "    uses: ./.github/workflows/{other}.yml\n"
        "    with: {{t: '${{{{ inputs.t || github.event.issue.title }}}}'}}\n"
    )
    repository = _repository(a=text.format(other="b"), b=text.format(other="a"))

    assert [stage.untrusted for read in repository.values() for stage in read.facts.stages] == [True, True]


def test_an_action_in_a_privileged_job_is_privileged() -> None:
    assert _stage(_call("pull_request_target", "safe", "x")["action_greet"]).privileged
    assert not _stage(_call("pull_request", "safe", "x")["action_greet"]).privileged
    assert not _stage(_call("push", "safe", "x")["action_greet"]).untrusted


MAKER = """\
name: Build
on: {on}
jobs:
  build:
    runs-on: x
    steps:
      - uses: actions/checkout@v4
      - uses: actions/upload-artifact@v4
        with: {{name: {name}, path: dist}}
"""
TAKER = """\
on: {workflow_run: {workflows: [Build]}}
jobs:
  publish:
    runs-on: x
    steps:
      - uses: actions/download-artifact@v4
        with: {name: result, run-id: '${{ github.event.workflow_run.id }}'}
"""


def test_an_artifact_of_a_pull_request_taken_with_powers_is_a_flow() -> None:
    flow = _flow(_repository(build=MAKER.format(on="pull_request", name="result"), publish=TAKER)["publish"])

    assert (flow.kind, flow.name, flow.stage, flow.into) == ("artifact", "result", "publish", "publish")
    assert flow.value == ".github/workflows/build.yml:8"
    assert flow.place == ".github/workflows/publish.yml:6"


def test_artifacts_of_other_names_or_without_strangers_are_no_flow() -> None:
    for on, name in (("push", "result"), ("pull_request", "other")):
        assert _repository(build=MAKER.format(on=on, name=name), publish=TAKER)["publish"].facts.flows == []


def test_a_repository_below_a_folder_is_linked_too() -> None:
    caller = CALLER.format(on="issues", name="title", value="${{ github.event.issue.title }}")
    read = [
        read_pipeline("some/where/.github/workflows/ci.yml", caller.encode()),
        read_pipeline("some/where/.github/actions/greet/action.yml", ACTION.encode()),
        read_pipeline("else/.github/workflows/ci.yml", caller.encode()),
    ]
    linked = link(read)

    assert [len(one.facts.flows) for one in linked] == [1, 0, 0]


def test_what_others_add_to_one_file_is_bounded() -> None:
    steps = "".join("    - {run: 'x ${{ inputs.title }}', shell: bash}\n" for _ in range(MAX_FLOWS + 5))
    action = f"inputs: {{title: {{}}}}\nruns:\n  using: composite\n  steps:\n{steps}"
    caller = CALLER.format(on="issues", name="title", value="${{ github.event.issue.title }}")

    assert len(_repository(ci=caller, action_greet=action)["ci"].facts.flows) == MAX_FLOWS
