"""Shell scripts as the commands they run: words split, pipes and redirections seen, places kept.

`split_script` reads a script in any shell, `split_arguments` an argument list. POSIX-like shells are parsed with
tree-sitter-bash (`bash`), PowerShell and cmd are tokenised (`tokens`), a script in another language is one command.
"""

from policyd.pipeline.shell.command import Assignment, Opaque, ShellCommand
from policyd.pipeline.shell.reading import TAKES_CODE
from policyd.pipeline.shell.splitting import split_arguments, split_script
from policyd.pipeline.shell.words import INTERPRETERS, SHELLS, program_name, strip_prefixes

__all__ = [
    "INTERPRETERS",
    "SHELLS",
    "TAKES_CODE",
    "Assignment",
    "Opaque",
    "ShellCommand",
    "program_name",
    "split_arguments",
    "split_script",
    "strip_prefixes",
]
