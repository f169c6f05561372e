"""What Azure's tasks take: scripts, script files, names of service connections.

A task is named without its version and without its publisher, in lower case; inputs too. What a task does is in
`policyd.pipeline.effects`.

Source: learn.microsoft.com "Azure Pipelines task reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class ScriptInput(NamedTuple):
    """An input that holds a script. `shell` is the program that reads it, "" for the one the agent's system has."""

    name: str
    shell: str


class FileInput(NamedTuple):
    """An input that names a script of the repository, and the one that holds its arguments."""

    name: str
    arguments: str
    program: str


_SCRIPTS: dict[str, tuple[ScriptInput, ...]] = {
    "bash": (ScriptInput("script", "bash"),),
    "cmdline": (ScriptInput("script", ""),),
    "shellscript": (ScriptInput("script", "bash"),),
    "powershell": (ScriptInput("script", "powershell"), ScriptInput("inlinescript", "powershell")),
    "powershellontargetmachines": (ScriptInput("inlinescript", "powershell"),),
    "azurepowershell": (ScriptInput("inline", "powershell"), ScriptInput("inlinescript", "powershell")),
    "azurecli": (ScriptInput("inlinescript", ""),),
    "ssh": (ScriptInput("inline", "bash"), ScriptInput("commands", "bash")),
    "pythonscript": (ScriptInput("script", "python"),),
    "azurermwebappdeployment": (ScriptInput("inlinescript", ""),),
    "azurefunctionapp": (ScriptInput("inlinescript", ""),),
    "awsshellscript": (ScriptInput("inlinescript", "bash"),),
    "awspowershellmodulescript": (ScriptInput("inlinescript", "powershell"),),
    "inlinepowershell": (ScriptInput("script", "powershell"),),
}
_FILES: dict[str, FileInput] = {
    "bash": FileInput("filepath", "arguments", "bash"),
    "shellscript": FileInput("scriptpath", "args", "bash"),
    "powershell": FileInput("filepath", "arguments", "pwsh"),
    "azurepowershell": FileInput("scriptpath", "scriptarguments", "pwsh"),
    "azurecli": FileInput("scriptpath", "arguments", "bash"),
    "pythonscript": FileInput("scriptpath", "arguments", "python"),
    "batchscript": FileInput("filename", "arguments", "cmd"),
}
#: Tasks that hand a line to a program: the program, the input with the line, and one that comes before it.
_COMMANDS: dict[str, tuple[str, str, str]] = {
    "npm": ("npm", "customcommand", ""),
    "yarn": ("yarn", "arguments", ""),
    "dotnetcorecli": ("dotnet", "arguments", "custom"),
    "maven": ("mvn", "options", ""),
    "kubernetes": ("kubectl", "arguments", "command"),
    "helmdeploy": ("helm", "arguments", "command"),
}
#: Whose arguments say what they do whichever command it is.
_ANY_COMMAND = frozenset(("maven", "kubernetes", "helmdeploy"))
#: Inputs whose words a task hands to its program as they are, options among them.
TAKES_OPTIONS = frozenset(
    (
        "additionalarguments",
        "arguments",
        "args",
        "buildargs",
        "buildarguments",
        "commandoptions",
        "customcommand",
        "goals",
        "msbuildargs",
        "msbuildarguments",
        "options",
        "overridevalues",
        "overrideparameters",
        "tasks",
    )
)
#: Values of an input that chooses between a script and a file, where it is the file that runs.
_CHOOSERS = ("targettype", "scripttype", "scriptsource", "scriptlocation", "runoptions")
_FILE_CHOICES = frozenset(("filepath", "scriptpath", "file"))

#: Ends of the names of inputs that hold the name of a service connection.
_CONNECTION = re.compile(
    r"(?:connections?|endpoints?|subscription|credentials|connectedservice\w*|servicename(?:arm|aws|gcp)?"
    r"|service(?:arm|aws|azurerm|gcp))\Z"
)
_CONNECTIONS = frozenset(
    ("containerregistry", "sonarqube", "sonarcloud", "azurecrconnection", "dockerregistryendpoint")
)
_NO_CONNECTIONS = frozenset(("dropservicename", "servicename", "websiteendpoint", "persistcredentials"))


def task_name(name: str) -> str:
    """Return a task's name as the tables here have it."""
    return name.partition("@")[0].rpartition(".")[2].lower()


def find_scripts(task: str, inputs: Mapping[str, str], *, windows: bool) -> list[ScriptInput]:
    """Return the inputs of a task that are scripts, with the shell that reads each."""
    if _takes_file(task, inputs):
        return []
    return [
        one._replace(shell=_shell(task, one.shell, inputs, windows=windows))
        for one in _SCRIPTS.get(task, ())
        if inputs.get(one.name, "").strip()
    ]


def find_file(task: str, inputs: Mapping[str, str], *, windows: bool) -> tuple[str, str, str] | None:
    """Return program, script file and arguments where a task runs a script of the repository."""
    known = _FILES.get(task)
    if known is None or not inputs.get(known.name, "").strip():
        return None
    if any(inputs.get(one.name, "").strip() for one in _SCRIPTS.get(task, ())) and not _takes_file(task, inputs):
        return None
    program = _shell(task, "", inputs, windows=windows) if task == "azurecli" else known.program
    return program, inputs[known.name].strip(), inputs.get(known.arguments, "")


def find_pasted(task: str, inputs: Mapping[str, str], *, windows: bool) -> dict[str, str]:
    """Return the inputs of a task that become part of a line which a shell reads, with that shell.

    The arguments of a script file are written behind its name as they are.
    """
    known = _FILES.get(task)
    if known is None or known.program == "python" or not inputs.get(known.arguments, "").strip():
        return {}
    if find_file(task, inputs, windows=windows) is None and task not in ("azurecli", "powershell"):
        return {}
    return {known.arguments: _shell(task, known.program if task != "azurecli" else "", inputs, windows=windows)}


def find_arguments(task: str, inputs: Mapping[str, str]) -> tuple[str, list[str]] | None:
    """Return the command that a task runs as it is written in an input, with that input's name."""
    program, name, first = _COMMANDS.get(task, ("", "", ""))
    text = inputs.get(name, "").strip()
    if not text or (task not in _ANY_COMMAND and inputs.get("command", "custom").strip().lower() != "custom"):
        return None
    words = [inputs.get(first, "").strip(), text] if first else [text]
    return name, [program, *" ".join(words).split()]


def is_connection(name: str) -> bool:
    """Say whether an input, in lower case, names a service connection."""
    return name in _CONNECTIONS or (name not in _NO_CONNECTIONS and _CONNECTION.search(name) is not None)


def _takes_file(task: str, inputs: Mapping[str, str]) -> bool:
    if task not in _FILES:
        return False
    return any(inputs.get(name, "").strip().lower() in _FILE_CHOICES for name in _CHOOSERS)


def _shell(task: str, shell: str, inputs: Mapping[str, str], *, windows: bool) -> str:
    if task in ("powershell", "azurepowershell") and inputs.get("pwsh", "").strip().lower() == "true":
        return "pwsh"
    if task == "azurecli":
        kind = inputs.get("scripttype", "").strip().lower()
        known = {"bash": "bash", "pscore": "pwsh", "ps": "powershell", "batch": "cmd"}.get(kind)
        return known or ("cmd" if windows else "bash")
    return shell or ("cmd" if windows else "bash")
