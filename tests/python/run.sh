#!/usr/bin/env bash
# usage: run.sh VENV MNEME
# Runs smoke.py with the packages of requirements.txt, from a virtual
# environment VENV that it makes when it must. Exits with 77, the mark of a
# skipped test, when they cannot be installed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here venv=$1 mneme=$2

skip() { echo "python: SKIPPED, $*"; exit 77; }

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv" || skip "there is no python3-venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 \
    --timeout 15 --only-binary :all: -r "$here/requirements.txt" ||
    skip "pip cannot install its packages"
  # Last: what it says is there now.
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi
exec "$venv/bin/python" "$here/smoke.py" "$mneme"
