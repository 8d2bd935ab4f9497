#!/usr/bin/env bash
# usage: venv.sh VENV
# Makes the virtual environment VENV with the packages of requirements.txt, when
# it is not there. Exits with 77, the mark of a skipped test, when they cannot be
# installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here venv=$1

skip() { echo "python: SKIPPED, $*"; exit 77; }

# Tests that run at the same time share one environment.
mkdir -p "$(dirname "$venv")"
exec 9> "$venv.lock"
flock 9

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv" || skip "there is no python3-venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 \
    --timeout 15 --only-binary :all: -r "$here/requirements.txt" ||
    skip "pip cannot install its packages"
  # Last: what it says is there now.
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
