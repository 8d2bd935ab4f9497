#!/usr/bin/env bash
# Lints the wire with buf, which npm installs under build/, and holds it against
# the released one, kept in tests/wire: clients of that must go on working.
# Exits with 77, the mark of a skipped test, when it cannot be installed.
set -euo pipefail

readonly VERSION=1.75.0
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
readonly root
readonly home=$root/build/npm
readonly buf=$home/node_modules/.bin/buf

skip() { echo "buf: SKIPPED, $*"; exit 77; }

command -v npm >/dev/null || skip "there is no npm"
if [[ $("$buf" --version 2>/dev/null) != "$VERSION" ]]; then
  mkdir -p "$home"
  npm install --prefix "$home" --no-save --no-audit --no-fund --loglevel error \
    "@bufbuild/buf@$VERSION" >&2 || skip "npm cannot install it"
fi
cd "$root/proto"
"$buf" lint
for released in "$root"/tests/wire/v*; do
  "$buf" breaking --against "$released"
done
echo "buf lint and breaking: ok"
