#!/bin/sh
# Format and strictness of the Rego library, by the reference implementation.
set -eu
cd "$(dirname "$0")/.."
version=$(awk '$1 == "opa" { sub(/.*@/, "", $2); print $2 }' tools/versions.txt)
opa="${XDG_CACHE_HOME:-$HOME/.cache}/policyd-tools/opa-$version/opa"
if [ ! -x "$opa" ]; then
    if [ "${POLICYD_REQUIRE_REAL:-}" = 1 ]; then
        echo "opa is required and is not in $opa" >&2
        exit 1
    fi
    echo "opa is not built: skipping opa fmt and opa check" >&2
    exit 0
fi
unformatted=$("$opa" fmt --list policies)
if [ -n "$unformatted" ]; then
    echo "not formatted (run: opa fmt --write policies):" >&2
    echo "$unformatted" >&2
    exit 1
fi
"$opa" check --strict --capabilities policies/capabilities.json policies
