"""Put the distributions of this release into the package index at $TARGET (PEP 503, "simple repository")."""

import hashlib
import html
import os
import shutil
import sys
from pathlib import Path

project = sys.argv[1]
folder = Path(os.environ["TARGET"]) / "simple" / project
folder.mkdir(parents=True, exist_ok=True)
for distribution in sorted(Path(os.environ["INPUTS"]).glob("build/*/*")):
    shutil.copyfile(distribution, folder / distribution.name)
    print("published", distribution.name)

links = []
for distribution in sorted(folder.iterdir()):
    if distribution.suffix in {".whl", ".gz"}:
        digest = hashlib.sha256(distribution.read_bytes()).hexdigest()
        name = html.escape(distribution.name)
        links.append(f'<a href="{name}#sha256={digest}">{name}</a><br>')
page = "<!DOCTYPE html><html><body>\n" + "\n".join(links) + "\n</body></html>\n"
(folder / "index.html").write_text(page)
