"""The "cloud" of this sample: a folder with one file a resource.

    infra.py validate REPORT   check the documents, write a JUnit report
    infra.py apply             make the target hold what the documents say
    infra.py watch             fail when the target is not what the documents say
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

INPUTS = Path(os.environ["INPUTS"]) / "plan"


def wanted():
    """Return file name → content for every resource the documents ask for."""
    plan = json.loads((INPUTS / "terraform" / "plan.json").read_text())
    files = {}
    for change in plan["resource_changes"]:
        if change["change"]["after"] is not None:
            text = json.dumps(change["change"]["after"], indent=2, sort_keys=True)
            files[f"terraform/{change['address']}.json"] = text + "\n"
    documents = (INPUTS / "kubernetes" / "reports.yaml").read_text().split("\n---\n")
    for document in documents:
        kind = re.search(r"^kind: (\w+)$", document, re.MULTILINE)
        name = re.search(r"^  name: ([\w-]+)$", document, re.MULTILINE)
        files[f"kubernetes/{kind[1].lower()}-{name[1]}.yaml"] = document.strip() + "\n"
    return files


def validate(report):
    cases = []
    for name, check in {
        "every resource has a place": lambda: all(wanted()),
        "no resource is declared twice": lambda: len({name.lower() for name in wanted()}) == len(wanted()),
        "there is something to apply": lambda: len(wanted()) > 0,
    }.items():
        try:
            problem = "" if check() else "does not hold"
        except (KeyError, TypeError, ValueError) as error:
            problem = repr(error)
        body = f"<failure message={quoteattr(problem)}/>" if problem else ""
        cases.append((problem, f"<testcase classname='infra' name={quoteattr(name)}>{body}</testcase>"))
    Path(report).write_text("<testsuite name='infra'>" + "".join(case for _, case in cases) + "</testsuite>\n")
    return any(problem for problem, _ in cases)


def apply():
    target = Path(os.environ["TARGET"])
    for name, content in wanted().items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print("applied", name)
    return 0


def watch():
    target = Path(os.environ["TARGET"])
    drifted = 0
    for name, content in wanted().items():
        path = target / name
        found = path.read_text() if path.is_file() else None
        state = "as approved" if found == content else "MISSING" if found is None else "DRIFTED"
        drifted += state != "as approved"
        print(f"{name}: {state} ({hashlib.sha256(content.encode()).hexdigest()[:12]})")
    return int(drifted > 0)


if __name__ == "__main__":
    commands = {"validate": validate, "apply": apply, "watch": watch}
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
