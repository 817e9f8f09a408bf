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
  say "could not get ${ort_headers_deb[package]} ${ort_headers_deb[version]} of Debian \
${ort_headers_deb[suite]}; taking the headers from npm (210 MB)"
  need_space 1500 "unpacking the npm package with the headers"
  npm_package "$ort_headers_npm" "$ort_headers_npm_sha256" ||
    die "npm could not download $ort_headers_npm" \
      "Name an ONNX Runtime of your own (with include/ and lib/) with BAOZI_ORT_ROOT."
  local framework="Plugins/iOS~/onnxruntime.xcframework/ios-arm64/onnxruntime.framework"
  cp "$package/$framework/Headers/"*.h "$1/"
}
