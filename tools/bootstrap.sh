#!/bin/sh
# Make the virtual environment, with everything locked by hash, and what policyd needs from Debian.
#   tools/bootstrap.sh install|dev [VENV]
set -eu
cd "$(dirname "$0")/.."
lock="requirements/$1.txt"
venv="${2:-.venv}"

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "python3 is missing or older than 3.11: $(command -v python3 || echo none on PATH)" >&2
    exit 2
fi

missing=""
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v git >/dev/null 2>&1 || missing="$missing git"
# `ensurepip` is what Debian leaves out of python3 without python3-venv.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
# Tests with a browser, an HSM or a registry are skipped without one, except where nothing may be skipped.
if [ "${POLICYD_REQUIRE_REAL:-}" = 1 ]; then
    command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
    command -v softhsm2-util >/dev/null 2>&1 || missing="$missing softhsm2"
    command -v docker-registry >/dev/null 2>&1 || missing="$missing docker-registry"
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing from Debian:$missing"
        apt-get update -qq
        # shellcheck disable=SC2086  # a list of package names
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "missing:$missing. As root: apt-get install$missing" >&2
        case "$missing" in *venv* | *git*) exit 2 ;; esac
    fi
fi

stamp="$venv/.policyd-$1"
wanted=$(cat "$lock" pyproject.toml | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    # pip, not python: a set-up that was cut short leaves the one without the other.
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
    echo "installing the locked packages of $lock into $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$wanted" >"$stamp"
fi
