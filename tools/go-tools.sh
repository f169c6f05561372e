#!/bin/sh
# Build the Go tools of versions.txt into a cache folder that a second run finds:
#   ${XDG_CACHE_HOME:-~/.cache}/policyd-tools/NAME-VERSION/NAME
# A tool that can't be built is a line here and a skip in the tests; with POLICYD_REQUIRE_REAL=1 it is a failure.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/policyd-tools"

do_without() {
    echo "$1: tests that need $2 are skipped" >&2
    [ "${POLICYD_REQUIRE_REAL:-}" != 1 ]
}

grep -v '^#' "$here/versions.txt" | while read -r name module; do
    folder="$cache/$name-${module##*@}"
    [ -x "$folder/$name" ] && continue
    if ! command -v go >/dev/null 2>&1; then
        do_without "go is not installed" "$name"
        continue
    fi
    echo "building $module into $folder (opa takes about 70 s, cosign 130 s, the others 75 s together; once)" >&2
    if GOBIN="$folder.new" GOFLAGS=-trimpath go install "$module" </dev/null; then
        mkdir -p "$folder"
        mv "$folder.new"/* "$folder/$name" # go names a program after its folder, and one of them is called posix
        rmdir "$folder.new"
    else
        do_without "$module can't be built" "$name"
    fi
done
