#!/usr/bin/env bash
# Keeps setup/packages.txt true: each line has a reason, each section is sorted and named in
# setup.sh, no package is listed twice, and apt knows one of each line's alternatives (checked
# where apt has package lists).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list=$here/packages.txt
failures=0
fail() {
  echo "packages.txt: $1"
  failures=$((failures + 1))
}

package_line='^[a-z0-9][a-z0-9.+-]*(\|[a-z0-9][a-z0-9.+-]*)*  # .+'
section='' previous='' number=0
declare -A seen=()
while IFS= read -r line; do
  number=$((number + 1))
  if [[ $line =~ ^\[([a-z]+)\] ]]; then
    section=${BASH_REMATCH[1]} previous=''
    grep -q "[(|]$section[|)]" "$here/setup.sh" ||
      fail "line $number: setup.sh has no part $section"
    continue
  fi
  [[ -z $line || $line == '#'* ]] && continue
  [[ -n $section ]] || fail "line $number is outside any section"
  [[ $line =~ $package_line ]] || fail "line $number is not 'name[|alternative]  # reason': $line"
  names=${line%%  #*}
  first=${names%%|*}
  if [[ $(printf '%s\n' "$previous" "$first" | LC_ALL=C sort | tail -1) != "$first" ]]; then
    fail "line $number: $first should stand before $previous"
  fi
  previous=$first
  for name in ${names//|/ }; do
    [[ -z ${seen[$name]-} ]] || fail "line $number: $name is listed twice"
    seen[$name]=$names
  done
done <"$list"
[[ ${#seen[@]} -gt 0 ]] || fail "no package found"

# Without lists (a fresh container before apt-get update) apt knows only what is installed:
# nothing to compare with.
sources=$(apt-cache policy 2>/dev/null | grep -c ' Packages' || true)
if [[ ${sources:-0} -gt 0 ]]; then
  known=" $( (LC_ALL=C apt-cache policy "${!seen[@]}" 2>/dev/null || true) |
    awk '/^[^ ]/ {name = $1; sub(/:$/, "", name)} /Candidate: [^(]/ {print name}' | tr '\n' ' ')"
  for names in "${seen[@]}"; do
    found=
    for name in ${names//|/ }; do [[ $known == *" $name "* ]] && found=1; done
    [[ -n $found ]] || fail "apt knows none of $names"
  done
fi
[[ $failures -eq 0 ]] || exit 1
echo "packages.txt: ${#seen[@]} names in order"
