#!/usr/bin/env bash
# Runs every fuzz entry of a build for some seconds each:
#
#   tools/fuzz/run.sh BIN_DIR SECONDS
#
# Starts from testdata/fuzz/ENTRY; what it finds on the way is kept in BIN_DIR/../corpus/ENTRY, and
# an input that fails in BIN_DIR/../crashes. Add such an input to testdata/fuzz/ENTRY together with
# the fix: the tests replay that folder.
set -euo pipefail
bin=$(cd "$1" && pwd)
seconds=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
corpora=$(dirname "$bin")/corpus crashes=$(dirname "$bin")/crashes
mkdir -p "$crashes"

shopt -s nullglob
entries=("$bin"/*_fuzz)
[[ ${#entries[@]} -gt 0 ]] || { echo "fuzz: no entries in $bin" >&2; exit 1; }
failed=()
for entry in "${entries[@]}"; do
  name=$(basename "$entry")
  mkdir -p "$corpora/$name"
  seeds=("$corpora/$name")
  [[ ! -d $root/testdata/fuzz/$name ]] || seeds+=("$root/testdata/fuzz/$name")
  echo "==> $name, $seconds s"
  "$entry" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -verbosity=0 \
    -artifact_prefix="$crashes/$name-" "${seeds[@]}" || failed+=("$name")
done
[[ ${#failed[@]} -eq 0 ]] || { echo "fuzz: failed: ${failed[*]}; see $crashes" >&2; exit 1; }
echo "fuzz: ${#entries[@]} entries, no failure"
