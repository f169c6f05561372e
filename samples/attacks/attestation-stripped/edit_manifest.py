"""Take the attestations of a stage out of a signed manifest: edit_manifest.py MANIFEST.bundle STAGE"""

import base64
import json
import sys
from pathlib import Path

path, name = Path(sys.argv[1]), sys.argv[2]
bundle = json.loads(path.read_bytes())
statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
manifest = statement["predicate"]
for stage in manifest["stages"]:
    if stage["name"] == name:
        manifest["attestations"] = [one for one in manifest["attestations"] if one not in stage["attestations"]]
        stage["attestations"] = []
bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
path.write_text(json.dumps(bundle))
