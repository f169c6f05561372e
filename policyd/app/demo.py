"""`policyd demo`: the main job on a sample, in a folder of its own, with the commands a user would type.

Every step runs the real command in a process of its own and says which exit code it expects; one that ends otherwise
ends the demo as a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from policyd.app.init import Places, initialise
from policyd.errors import ExitCode, UsageError

SAMPLE = "python-package"
WHEEL = "wordtally-1.2.0-py3-none-any.whl"
_TIMEOUT_SECONDS = 900

BAD_PIPELINE = """\
policyd: pipeline/v1
name: wordtally-in-a-hurry
stages:
  - name: build
    kind: build
    inputs: {source: true}
    run: |
      curl -k https://example.com/install.sh | bash
      python3 -m build --outdir "$OUT"
    outputs:
      - {name: wheel, path: "*.whl", type: wheel}

  - name: publish
    kind: deploy
    needs: [build]
    inputs: {products: [build.wheel]}
    env: {INDEX_PASSWORD: hunter2-hunter2}
    run: cp "$INPUTS"/build/wheel/* "$TARGET/"
    target: local
"""


def sample_folder(name: str = SAMPLE) -> Path:
    """Return a sample's folder: inside the installed package, else in the checkout beside it."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_data" / "samples" / name, package.parent / "samples" / name):
        if (folder / "pipeline.yaml").is_file():
            return folder
    raise UsageError(f"the sample {name} is not there", where=str(package), fix="install policyd again")


def run_demo(keep: Path | None, say: Callable[[str], None]) -> ExitCode:
    """Run the demo; `keep` names a new folder for everything it makes, else that is removed in the end."""
    with _folder(keep) as home:
        return _Demo(home, say).run()


class _Demo:
    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self.home = home
        self.say = say
        self.project = home / SAMPLE
        self.places = Places(config=home / "config", data=home / "data", state=home / "state", targets=home / "targets")
        self.index = self.places.targets / "local" / "simple"

    def run(self) -> ExitCode:
        shutil.copytree(sample_folder(), self.project)
        # As root, stages run as another uid, which passes through to the target.
        self.home.chmod(0o711)
        (self.project / "bad.pipeline.yaml").write_text(BAD_PIPELINE)
        initialise(self.project, "", self.places)
        self.say(f"Everything happens in {self.home}: settings, keys and store of its own.")
        wheel = self.index / "wordtally" / WHEEL
        steps: list[Callable[[], bool]] = [
            lambda: self.policyd(
                "1. A pipeline that pipes a download into a shell and deploys untested is refused, and nothing runs.",
                ExitCode.REFUSED,
                "run",
                "bad.pipeline.yaml",
            ),
            lambda: self.policyd(
                "2. A good one runs: each stage in its sandbox, its products collected, signed and attested.",
                ExitCode.OK,
                "run",
                "pipeline.yaml",
            ),
            lambda: self.policyd(
                "3. What came out is verified from its digest back to the plan that was approved.",
                ExitCode.OK,
                "verify",
                str(wheel),
            ),
            lambda: self.install(),
            lambda: self.policyd(
                "5. Somebody adds one byte to the released file: it is refused.",
                ExitCode.REFUSED,
                "verify",
                str(self.tampered(wheel)),
            ),
            lambda: self.policyd("6. The record of all this contradicts nothing.", ExitCode.OK, "record", "verify"),
        ]
        for step in steps:
            if not step():
                self.say("\nThe demo stopped here: this step did not end as it should.")
                return ExitCode.FAULT
        self.say(
            "\nThat was the main job: a bad pipeline refused, a good one run, its release proved, a forgery refused."
        )
        return ExitCode.OK

    def policyd(self, title: str, expected: ExitCode, *args: str) -> bool:
        shown = " ".join(arg.replace(str(self.home), "…") for arg in args)
        self.say(f"\n{title}\n\n$ policyd {shown}")
        ended = self.call([sys.executable, "-m", "policyd", *args])
        self.say(f"(exit code {ended}{'' if ended == expected else f', expected {int(expected)}'})")
        return ended == expected

    def install(self) -> bool:
        self.say("\n4. pip installs it from the local index, and it works.\n")
        place = self.home / "installed"
        url = self.index.as_uri()
        self.say(f"$ pip install --index-url {url.replace(str(self.home), '…')} --target installed wordtally")
        pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--quiet"]
        if self.call([*pip, "--no-cache-dir", "--index-url", url, "--target", str(place), "wordtally"]) != 0:
            return False
        self.say("$ echo 'one two two' | python -m wordtally")
        code = "import wordtally; wordtally.main()"
        return self.call([sys.executable, "-c", code], stdin=b"one two two\n", path=place) == 0

    def call(self, argv: list[str], *, stdin: bytes = b"", path: Path | None = None) -> int:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("POLICYD_")}
        environment["POLICYD_SETTINGS"] = str(self.places.settings)
        environment["POLICYD_KEY_PASSWORD"] = ""
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        sys.stdout.flush()
        return subprocess.run(
            argv, cwd=self.project, env=environment, input=stdin, timeout=_TIMEOUT_SECONDS, check=False
        ).returncode

    def tampered(self, wheel: Path) -> Path:
        copy = self.home / WHEEL
        copy.write_bytes(wheel.read_bytes() + b"\0")
        return copy


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        try:
            keep.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise UsageError(
                f"the folder can't be made: {error.strerror}", where=str(keep), fix="name one that is not there yet"
            ) from error
        yield keep.resolve()
        return
    folder = Path(mkdtemp(prefix="policyd-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
