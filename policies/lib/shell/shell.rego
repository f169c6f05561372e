# What rules ask of commands. `input.commands` is already split: words, the program behind prefixes such as sudo, and
# the interpreter that gets its output.
package policyd.lib.shell

shells := {"sh", "bash", "dash", "zsh", "ksh", "ash"}

# One of these downloads what it is given.
fetchers := {"curl", "wget", "aria2c", "fetch"}

# Some word of `command` is one of `words`.
has_word(command, words) if {
	some word in command.argv
	word in words
}

# `command` assigns `name`: in front of a program, by export, or into a file of variables.
assigns(command, name) if {
	some assignment in assignments(command)
	assignment[0] == name
}

# [name, value] for everything in `command` that looks like an assignment of a variable in capitals. The value ends
# at the first blank or quote, which is enough to tell on from off.
assignments(command) := [[found[1], found[2]] |
	some found in regex.find_all_string_submatch_n(
		`(?:^|[ \t\n;&('"])([A-Z_][A-Z0-9_]*)=["']?([^ \t\n;&"')]*)`,
		command.text, -1,
	)
]

# `value` switches something on.
is_on(value) if value in {"1", "true", "TRUE", "True", "yes", "on"}
