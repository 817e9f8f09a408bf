# Python environments below the cache, made from hash-pinned requirements. Sourced by setup.sh.
# shellcheck shell=bash

# python_environment NAME REQUIREMENTS: $cache/NAME holds exactly what the file pins. Its stamp is
# the file's content and Python's version, so that a change of either makes it anew.
python_environment() {
  local target=$cache/$1 requirements=$2 wanted
  [[ -e $requirements ]] || return 0
  wanted=$(python3 --version; cat "$requirements")
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  need_space 600 "the Python environment $1"
  say "making the Python environment ${target#"$root"/} from ${requirements#"$root"/}"
  # A venv holds absolute paths, so it is made in place; without its stamp it counts as absent.
  rm -rf "$target"
  python3 -m venv "$target" || die "python3 -m venv failed" "As root: apt-get install python3-venv"
  retry "pip install" pip_in "$target" install --no-deps --require-hashes --only-binary=:all: \
    -r "$requirements" || die "pip could not install ${requirements#"$root"/}" "$pip_hint"
  printf '%s' "$wanted" >"$target/.stamp"
}

pip_hint="Is there a network? The last lines above say more."

# pip_in ENVIRONMENT COMMAND…: pip, of whose talk only the downloads with their sizes are kept.
pip_in() {
  "$1/bin/python" -m pip --disable-pip-version-check --retries 3 "$2" --progress-bar off "${@:3}" |
    { grep -vE '^(Looking in|Collecting|Installing|Saved|Successfully|  Using cached|$)' || true; }
}

# download_wheel NAME VERSION DIGEST PLATFORM… : one wheel of any platform, by its digest, into
# $wheel.
download_wheel() {
  local name=$1 version=$2 digest=$3 platforms=()
  shift 3
  [[ -x $cache/pip/bin/python ]] || python3 -m venv "$cache/pip" ||
    die "python3 -m venv failed" "As root: apt-get install python3-venv"
  fresh_dir wheel
  local dir=$new_dir platform
  for platform in "$@"; do platforms+=(--platform "$platform"); done
  echo "$name==$version --hash=sha256:$digest" >"$dir/requirement.txt"
  retry "downloading $name $version" pip_in "$cache/pip" download --no-deps --require-hashes \
    --only-binary=:all: --python-version 311 --implementation cp --abi cp311 --abi none \
    "${platforms[@]}" -d "$dir" -r "$dir/requirement.txt" ||
    die "pip could not download $name $version" "$pip_hint"
  wheel=$(echo "$dir"/*.whl)
}
