#!/usr/bin/env bash
# usage: run.sh VENV MNEME [ARGUMENT...]
# Runs perplexity.py with its arguments in the virtual environment VENV; see
# ../python/venv.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here venv=$1
shift

"$here/../python/venv.sh" "$venv"
exec "$venv/bin/python" "$here/perplexity.py" "$@"
