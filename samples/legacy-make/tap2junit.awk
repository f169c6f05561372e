# The old test script prints "ok NAME" and "not ok NAME: detail"; the runner reads JUnit.
BEGIN { print "<testsuite name=\"linecount\">" }
/^ok /     { printf "<testcase classname=\"run.sh\" name=\"%s\"/>\n", $2 }
/^not ok / { sub(/:$/, "", $3); printf "<testcase classname=\"run.sh\" name=\"%s\"><failure/></testcase>\n", $3 }
END { print "</testsuite>" }
