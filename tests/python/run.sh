#!/usr/bin/env bash
# usage: run.sh VENV MNEME
# Runs smoke.py in the virtual environment VENV; see venv.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here venv=$1 mneme=$2

"$here/venv.sh" "$venv"
exec "$venv/bin/python" "$here/smoke.py" "$mneme"
