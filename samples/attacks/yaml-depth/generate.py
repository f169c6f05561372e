"""Write pipelines that are nested 100,000 deep, each in another way: generate.py FOLDER"""

import sys
from pathlib import Path

DEPTH = 100_000
HEAD = "policyd: pipeline/v1\nname: deep\nstages:"

folder = Path(sys.argv[1])
nested = {
    "lists": "[" * DEPTH + "]" * DEPTH,
    "maps": "{a: " * DEPTH + "1" + "}" * DEPTH,
    "open": "[" * DEPTH,
    "blocks": "\n  " + "- " * DEPTH + "1",
    "keys": "\n  " + "? " * DEPTH + "1",
}
for name, text in nested.items():
    (folder / f"{name}.pipeline.yaml").write_text(f"{HEAD} {text}\n")
workflows = folder / ".github" / "workflows"
workflows.mkdir(parents=True)
(workflows / "deep.yml").write_text("on: push\njobs: " + nested["lists"] + "\n")
