# Prints a JUnit report about the program it is given. It always ends well: what the tests say stands in the report.
case $(sh "$1" tester) in
"hello tester") outcome='' ;;
*) outcome='<failure message="the greeting is another one"/>' ;;
esac
echo "<testsuite name=\"greet\"><testcase name=\"greets by name\">$outcome</testcase></testsuite>"
