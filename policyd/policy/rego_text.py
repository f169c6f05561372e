"""What can be known of a Rego module from its bytes alone, before any parser sees it.

Parsing Rego is exponential in nesting in one engine (depth 20 takes over 20 s, measured with regorus 0.13), so depth is
counted here. The package clause and the references to `data` are read here too: Python has to know which module
declares which package without trusting an engine's answer, and which modules a rule can reach. Both readings err on
the safe side: an unusual way to write a package is refused, an unusual way to write `data` counts as reaching all.
"""

from __future__ import annotations

import re

from policyd.errors import PolicyError

MAX_MODULE_BYTES = 256 * 1024  # the library's largest module has 8 KiB
MAX_NESTING = 12  # brackets inside brackets; at 12 one expression parses in 0.1 s, each level more doubles it

# Comments, strings and raw strings, each also where its end is missing, so that one pass covers every text.
_NOT_CODE = re.compile(rb'#[^\n]*|"(?:[^"\\\n]|\\.)*+"?|`[^`]*`?')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}()"))
# Other line ends, controls, and characters that reorder or hide text: engines and people could read them differently.
_FOREIGN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_PACKAGE = re.compile(r"package ([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)[ \t]*(?:#.*)?$")
_DATA = re.compile(r"(?<![\w.])data(?![\w])((?:\.[A-Za-z_]\w*)*)")
_TEST = re.compile(r"^(test_[a-z0-9_]+) if\b", re.MULTILINE)

Package = tuple[str, ...]


def read_module(path: str, content: bytes) -> str:
    """Return the text of a module that is safe to hand to a parser.

    Raises `PolicyError` for a module that is too large, nested deeper than `MAX_NESTING`, not UTF-8 or that holds
    control or direction characters.
    """
    if len(content) > MAX_MODULE_BYTES:
        raise PolicyError(
            f"the module has {len(content)} bytes, more than the {MAX_MODULE_BYTES} that are read",
            where=path,
            fix="split the module, or move lists into settings",
        )
    if (depth := nesting(content)) > MAX_NESTING:
        raise PolicyError(
            f"brackets are nested {depth} deep, more than {MAX_NESTING}",
            where=path,
            fix="move the inner part into a rule or function of its own",
        )
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PolicyError(
            f"the module is not UTF-8: byte {error.start} can't be read", where=path, fix="save the file as UTF-8"
        ) from error
    if found := _FOREIGN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise PolicyError(
            f"the module holds the character U+{ord(found.group()):04X}, which can hide what the code does",
            where=f"{path}:{line}",
            fix="remove the character, or write it as an escape inside a string",
        )
    return text


def nesting(content: bytes) -> int:
    """Return how deep brackets of any kind nest outside comments and strings."""
    depth = deepest = 0
    for byte in _NOT_CODE.sub(b"", content).translate(None, _NOT_BRACKETS):
        if byte in b"[{(":
            depth += 1
            deepest = max(deepest, depth)
        else:
            # Never below zero: closing brackets ahead must not hide what opens after them.
            depth = max(0, depth - 1)
    return deepest


def read_package(path: str, text: str) -> tuple[str, int]:
    """Return the package that a module declares, dotted, and the 0-based line it stands on.

    It has to be the first line that is neither blank nor a comment, in plain words: then no parser can read another.
    """
    for number, line in enumerate(text.split("\n")):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found := _PACKAGE.match(line):
            return found.group(1), number
        raise PolicyError(
            f"the module does not start with a plain package clause but with {line.strip()[:60]!r}",
            where=f"{path}:{number + 1}",
            fix="write `package a.b.c`, lower case, as the first line after the METADATA",
        )
    raise PolicyError("the module is empty", where=path, fix="write a rule, or remove the file")


def find_data_references(text: str, package_line: int) -> frozenset[Package]:
    """Return every path below `data` that the module names; `()` where it could mean any of them.

    What stands before the package clause is comment for sure. Behind it, comments and strings are read as code: that
    can only add paths.
    """
    code = text.split("\n", package_line)[-1]
    return frozenset(
        tuple(found.group(1).removeprefix(".").split(".")) if found.group(1) else () for found in _DATA.finditer(code)
    )


def find_references_in_code(text: str) -> frozenset[Package]:
    """Return the paths below `data` that the code names in so many words; what is computed or quoted is left out.

    For telling an author of a mistake. What may be reached is what `find_data_references` says.
    """
    code = _NOT_CODE.sub(b" ", text.encode()).decode()
    return frozenset(tuple(found.group(1).removeprefix(".").split(".")) for found in _DATA.finditer(code) if found[1])


def find_tests(text: str) -> tuple[str, ...]:
    """Return the names of the `test_` rules of a module, in the order they stand in."""
    return tuple(dict.fromkeys(_TEST.findall(text)))
