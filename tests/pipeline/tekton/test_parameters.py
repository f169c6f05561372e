"""What parameters tell tasks to do, by name and value alone."""

from __future__ import annotations

import pytest

from policyd.pipeline.tekton.parameters import find_parameter_effects
from tests.pipeline.tekton.said import effects, line, read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sslVerify", "false"),
        ("SSL_VERIFY", "0"),
        ("TLSVERIFY", "false"),
        ("destTLSverify", "no"),
        ("verify-tls", "false"),
        ("INSECURE", "true"),
        ("insecure-registry", "true"),
        ("skipTLSVerify", "true"),
        ("tls_skip_verify", "1"),
        ("EXTRA_ARGS", "--cache=true --skip-tls-verify"),
        ("BUILD_EXTRA_ARGS", "--build-arg=V=1 --tls-verify=false"),
        ("ARGS", "--insecure-registry=registry.example.com:5000"),
    ],
)
def test_a_parameter_can_turn_verification_off(name: str, value: str) -> None:
    assert [effect.kind for effect in find_parameter_effects(name, value)] == ["tls-off"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sslVerify", "true"),
        ("sslVerify", ""),
        ("sslVerify", "$(params.sslVerify)"),
        ("verify", "false"),
        ("INSECURE", "false"),
        ("EXTRA_ARGS", "--tls-verify=true --insecure-policy-file=x"),
        ("message", "never use --tls-verify"),
        ("depth", "0"),
    ],
)
def test_other_parameters_do_not(name: str, value: str) -> None:
    assert list(find_parameter_effects(name, value)) == []


def test_each_item_of_a_list_stands_in_its_line_and_a_default_counts_once() -> None:
    pipeline = read(
        "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n"
        "  tasks:\n    - name: build\n      taskRef: {name: kaniko}\n      params:\n        - name: EXTRA_ARGS\n"
        "          value:\n            - --cache=true\n            - --skip-tls-verify\n"
        "    - name: fetch\n      taskRef: {name: own}\n---\n"
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: own}\nspec:\n"
        '  params:\n    - name: TLSVERIFY\n      default: "false"\n  steps: [{image: a, script: make}]\n'
    )
    found = effects(pipeline.facts, "tls-off")

    assert [line(pipeline, one.at) for one in found] == [12, 22]
