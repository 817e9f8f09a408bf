# Messages, errors and retries. Sourced by setup.sh.
# shellcheck shell=bash

if [[ -t 2 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' red='' plain=''
fi

# say TEXT: one line about what is going on.
say() { printf '%s==>%s %s\n' "$bold" "$plain" "$1" >&2; }

# die TEXT [HINT…]: an error, then what to do about it, a line each.
die() {
  printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
  shift
  [[ $# -eq 0 ]] || printf '       %s\n' "$@" >&2
  exit 1
}

temporary=()
trap 'rm -rf "${temporary[@]}"' EXIT

# retry WHAT COMMAND…: up to four tries with growing pauses. The command's last output is kept in
# $retry_log. A digest that does not match will not match the second time either: that one is
# never retried.
retry_log=
retry() {
  local what=$1 pauses=(2 5 15) try=0 status
  shift
  retry_log=$(mktemp "${TMPDIR:-/tmp}/baozi-setup.XXXXXX")
  temporary+=("$retry_log")
  while true; do
    status=0
    "$@" 2>&1 | tee "$retry_log" >&2 || status=$?
    [[ $status -ne 0 ]] || return 0
    if grep -qi 'do not match the hashes' "$retry_log"; then
      die "$what: the download's sha256 is not the pinned one" \
        "It was changed on its way or at its source. Nothing of it was kept."
    fi
    if grep -qi 'no space left' "$retry_log"; then
      die "$what: the disk is full" \
        "Free some space, then run the same command again; what is there is kept."
    fi
    [[ $try -lt ${#pauses[@]} ]] || return "$status"
    say "$what failed; trying again in ${pauses[$try]} s ($((try + 1)) of ${#pauses[@]})"
    sleep "${pauses[$try]}"
    try=$((try + 1))
  done
}

# need_space MEGABYTES WHAT: stops before a download that cannot fit.
need_space() {
  local free
  free=$(df -Pm "$cache" | awk 'NR == 2 {print $4}')
  [[ ${free:-0} -ge $1 ]] || die "$2 needs $1 MB in $cache, and only $free MB are free"
}

# check_sha256 FILE DIGEST WHAT
check_sha256() {
  local actual
  actual=$(sha256sum "$1" | cut -d' ' -f1)
  [[ $actual == "$2" ]] || {
    rm -f "$1"
    die "$3: the download's sha256 is not the pinned one" "wanted $2" "got    $actual"
  }
}

make_cache() {
  mkdir -p "$cache" ||
    die "cannot create $cache" "Make it writable, or name another folder with BAOZI_CACHE."
}

# fresh_dir PREFIX: a temporary folder inside the cache (so that a later mv is atomic), removed on
# exit.
fresh_dir() {
  new_dir=$(mktemp -d "$cache/$1.XXXXXX")
  temporary+=("$new_dir")
}

# put DIR TARGET: puts a finished folder in place, in one step.
put() {
  rm -rf "$2"
  mv "$1" "$2"
}
