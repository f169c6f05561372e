"""Look for private keys and passphrases wherever a process can look; end well only if one was found.

    probe.py [FOLDER…]     FOLDER is / unless given

Prints where a key is, never the key.
"""

import os
import stat
import sys
from pathlib import Path

MARK = b"PRIVATE" + b" KEY-----"  # in two parts, or this file would be a find
SYSTEM = ("/usr", "/proc", "/sys", "/dev", "/tools")  # the distribution's own test keys are nobody's secret
reached = 0


def found(what):
    global reached
    reached += 1
    print("REACHED", what)


def look(path, flags=os.O_RDONLY | os.O_NONBLOCK):
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return error.strerror
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "not a file"
        if MARK in os.read(descriptor, 1 << 20):
            found(f"{path}: a private key")
        return "no key in it"
    except OSError as error:
        return error.strerror
    finally:
        os.close(descriptor)


# 1. Where an attacker knows that keys are, also through the roots of other processes.
guesses = Path("guesses").read_text().split()
roots = ["", "/..", *(f"/proc/{name}/root" for name in os.listdir("/proc") if name.isdigit())]
for guess in guesses:
    for root in roots:
        print(f"tried {root}{guess}: {look(root + guess)}")

# 2. Every file there is.
files = 0
for start in sys.argv[1:] or ["/"]:
    for folder, folders, names in os.walk(start):
        if start == "/":
            folders[:] = [name for name in folders if os.path.join(folder, name) not in SYSTEM]
        for name in names:
            files += 1
            if os.path.join(folder, name) not in guesses:
                look(os.path.join(folder, name))
print(f"tried every file: {files}")

# 3. What was inherited: descriptors and variables; and what other processes have.
for name in os.listdir("/proc/self/fd"):
    if int(name) > 2:
        look(f"/proc/self/fd/{name}")
processes = [name for name in os.listdir("/proc") if name.isdigit()]
for process in processes:
    for file in ("environ", "cmdline"):
        try:
            content = Path("/proc", process, file).read_bytes()
        except OSError:
            continue
        if b"POLICYD_KEY_PASSWORD" in content or b".key" in content.replace(b"guesses", b""):
            found(f"/proc/{process}/{file}")
    try:
        for handle in os.listdir(f"/proc/{process}/fd"):
            look(f"/proc/{process}/fd/{handle}")
    except OSError:
        continue
print(f"tried every process: {len(processes)}")
sys.exit(0 if reached else "nothing reached")
