#!/bin/sh
# Build the Go tools of versions.txt into a cache folder that a second run finds:
#   ${XDG_CACHE_HOME:-~/.cache}/policyd-tools/NAME-VERSION/NAME
# Without Go nothing is built and the tests that need a tool say so.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/policyd-tools"
if ! command -v go >/dev/null 2>&1; then
    echo "go is not installed: tests that need opa or cosign will be skipped" >&2
    exit 0
fi
grep -v '^#' "$here/versions.txt" | while read -r name module; do
    folder="$cache/$name-${module##*@}"
    [ -x "$folder/$name" ] && continue
    echo "building $module into $folder (opa takes about 80 s, cosign 260 s; once)" >&2
    GOBIN="$folder.new" GOFLAGS=-trimpath go install "$module"
    mkdir -p "$folder"
    mv "$folder.new/$name" "$folder/$name"
    rmdir "$folder.new"
done
