#!/bin/sh
# usage: run.sh PROGRAM
fail=0
try() {
	got=`printf "$1" | $prog`
	if [ "$got" = "$2" ]; then echo "ok $3"; else echo "not ok $3: $got"; fail=1; fi
}
prog=$1
try '' '0 lines, 0 blank' empty
try 'a\nb\n' '2 lines, 0 blank' two
try 'a\n\n \t\n' '3 lines, 2 blank' blank
try 'a' '1 lines, 0 blank' unterminated
exit $fail
