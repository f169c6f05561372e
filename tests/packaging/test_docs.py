"""The documents say what the code does: what can be compared with it is compared."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from policyd.cli.main import EXIT_CODES, main
from policyd.errors import ExitCode
from policyd.models.settings import OperatorSettings, ProjectSettings, TeamSettings
from policyd.models.trust import TrustPolicy
from tests.packaging.tree import ROOT, text_files

PAGES = sorted(path for path in text_files() if path.suffix == ".md")
#: What click asks for shell completion, and what a stage (docs/pipelines.md) and a `password_command` are told.
NOT_OF_USERS = {"POLICYD_COMPLETE", "POLICYD_KEY", "POLICYD_STAGE"}


def page(name: str) -> str:
    return (ROOT / name).read_text()


def table_rows(text: str, heading: str) -> Iterator[tuple[list[str], str]]:
    """Yield what stands in backticks in the first cell, and the whole row, of the tables under `heading`."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    [body] = [part for part in section if part.startswith(f"{heading}\n")]
    for row in re.findall(r"^\| `.*$", body, flags=re.MULTILINE):
        yield re.findall(r"`([^`]+)`", row.split("|")[1]), row


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models an annotation holds, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in get_args(annotation):
        yield from models_in(part)


def shown_commands() -> Iterator[tuple[str, str]]:
    """Yield each page with each line of its code that calls policyd."""
    for path in PAGES:
        if path.name == "cli.md":
            continue
        text = path.read_text()
        blocks = [*re.findall(r"^(?: {4}|\$ )(.*)$", text, flags=re.MULTILINE), *re.findall(r"`([^`\n]+)`", text)]
        for line in blocks:
            if re.match(r"policyd [a-z]", line.strip()):
                yield path.relative_to(ROOT).as_posix(), line.strip()


def test_what_is_made_from_the_code_is_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "--check"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("Operator settings", OperatorSettings),
        ("Teams", TeamSettings),
        ("Trust policy", TrustPolicy),
        ("policyd.yaml", ProjectSettings),
    ],
)
def test_the_settings_page_lists_exactly_the_fields_there_are(heading: str, model: type[BaseModel]) -> None:
    rows = list(table_rows(page("docs/settings.md"), heading))

    assert sorted(name for names, _ in rows for name in names) == sorted(model.model_fields)
    for names, row in rows:
        for name in names:
            for inner in models_in(model.model_fields[name].annotation):
                missing = [field for field in inner.model_fields if f"`{field}`" not in row]
                assert not missing, f"{name}: {inner.__name__} also has {missing}"


def test_the_settings_page_lists_exactly_the_variables_that_are_read() -> None:
    listed = {name for names, _ in table_rows(page("docs/settings.md"), "Environment") for name in names}
    sources = "".join(path.read_text() for path in (ROOT / "policyd").rglob("*.py"))

    assert listed - {"NO_COLOR"} == set(re.findall(r"POLICYD_[A-Z_]+", sources)) - NOT_OF_USERS


def test_the_exit_codes_are_those_of_the_code() -> None:
    in_readme = re.findall(r"^\| (\d+) \|", page("README.md"), flags=re.MULTILINE)
    in_help = re.findall(r"^ +(\d+) ", EXIT_CODES, flags=re.MULTILINE)

    assert in_readme == in_help == [str(int(code)) for code in ExitCode]


def test_every_predicate_type_of_our_own_is_described() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "policyd").rglob("*.py"))
    types = set(re.findall(r"https://policyd\.dev/attestation/[a-z-]+/v\d+", sources))

    assert types
    for predicate_type in types:
        assert f"`{predicate_type}`" in page("docs/attestations.md"), predicate_type


def test_the_architecture_page_names_files_that_exist() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in text_files()}
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    text = page("docs/architecture.md")
    picture = text.split("```")[1]
    named = set(re.findall(r"`([^`\s<]+(?:\.py|\.md|/))`", text))
    named |= set(re.findall(r"([a-z]+/)", picture))

    assert len(named) > 25
    for name in named:
        wanted = name.rstrip("/")
        assert any(f"/{known}".endswith(f"/{wanted}") for known in files | folders), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, link


def test_every_page_and_threat_that_a_comment_points_at_exists() -> None:
    threats = set(re.findall(r"^\| (T\d+) \|", page("docs/threats.md"), flags=re.MULTILINE))
    records = {path.name[:4] for path in (ROOT / "docs" / "adr").glob("*.md")}
    names = {path.name for path in PAGES}

    for path in text_files():
        if path.suffix not in (".py", ".rego", ".sh", ".md", ".sql") and path.name != "README":
            continue
        text = path.read_text()
        for start in re.findall(r"docs/threats\.md, (T\d+(?:(?:, | and | to )T\d+)*)", text):
            assert set(re.findall(r"T\d+", start)) <= threats, f"{path}: {start}"
        assert set(re.findall(r"docs/adr/(\d{4})", text)) <= records, path
        assert set(re.findall(r"\b[A-Z]{5,}\.md\b", text)) <= names, path
        for name in re.findall(r"\bdocs/[a-z]+\.(?:md|json)\b", text):
            assert (ROOT / name).is_file(), f"{path}: {name}"


def test_every_command_a_page_shows_exists() -> None:
    shown = list(shown_commands())

    assert len(shown) > 10
    for where, line in shown:
        context, command = click.Context(main), main
        words = re.split(r"\s+", re.split(r" [#>|&]|…", line)[0])[1:]
        while words and isinstance(command, click.Group):
            found = command.get_command(context, words[0])
            assert found is not None, f"{where}: {line}"
            command = found  # type: ignore[assignment]
            words = words[1:]
        known = {option for parameter in command.get_params(click.Context(command)) for option in parameter.opts}
        for word in words:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known, f"{where}: {line}"


def test_every_target_of_make_that_a_page_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), flags=re.MULTILINE))
    for path in PAGES:
        if path.is_relative_to(ROOT / "samples"):
            continue
        for target in re.findall(r"(?:^    |`)make ([a-z]+)", path.read_text(), flags=re.MULTILINE):
            assert target in targets, f"{path.name}: make {target}"
