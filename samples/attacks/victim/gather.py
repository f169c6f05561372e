"""Collect everything about one run, as anybody can who reads the store.

    gather.py RUN.json STORE FOLDER

RUN.json is what `policyd run --format json` printed. FOLDER gets the manifest and all it lists (*.bundle, plan.json),
the summaries (*.vsa) and the products.
"""

import base64
import json
import shutil
import sys
from pathlib import Path

run = json.loads(Path(sys.argv[1]).read_text())
store, folder = Path(sys.argv[2]), Path(sys.argv[3])
manifest = run["manifest"]
(folder / "products").mkdir(parents=True)


def take(sha256, name):
    shutil.copyfile(store / "content" / "sha256" / sha256[:2] / sha256, folder / name)


def kind_of(sha256):
    bundle = json.loads((store / "content" / "sha256" / sha256[:2] / sha256).read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    return statement["predicateType"].split("/")[-2]


take(run["manifest_sha256"], "manifest.bundle")
take(manifest["plan_sha256"], "plan.json")
take(manifest["decisions"][0], "check.bundle")
for stage in manifest["stages"]:
    if "decision" in stage:
        take(stage["decision"], f"{stage['name']}.admit.bundle")
    for sha256 in stage["attestations"]:
        take(sha256, f"{stage['name']}.{kind_of(sha256)}.bundle")
    for product in stage["products"]:
        take(product["sha256"], "products/" + product["path"])
for released in run["released"]:
    take(released["summary_sha256"], f"{released['name']}.vsa")
