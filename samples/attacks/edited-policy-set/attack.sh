#!/bin/sh
# Take the teeth out of the three rules that want tests, a word in each: attack.sh POLICIES
set -eu
sed -i 's/some stage in order.*/some stage in []/' "$1/flow/deploy_without_tests/deploy_without_tests.rego"
sed -i 's/stage\.kind == "deploy"/stage.kind == "never"/' "$1/evidence/failed_tests/failed_tests.rego"
sed -i 's/count(passed) == 0/count(passed) == -1/' "$1/evidence/untested_release/untested_release.rego"
