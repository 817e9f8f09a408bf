# llama.cpp: $cache/llama/{include,lib,src}. Sourced by setup.sh.
# shellcheck shell=bash

setup_llama() {
  [[ -z ${BAOZI_LLAMA_ROOT-} ]] || return 0
  local target=$cache/llama wanted="$llama_version $llama_source_npm" machine library_npm
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  machine=$(uname -m)
  library_npm=${llama_library_npm[$machine]-}
  [[ -n $library_npm ]] ||
    die "there is no pinned llama.cpp for $machine" \
      "Name one of your own (with include/ and lib/) with BAOZI_LLAMA_ROOT."
  local hint="Or name a llama.cpp of your own (with include/ and lib/) with BAOZI_LLAMA_ROOT."
  need_space 700 "llama.cpp"

  say "fetching llama.cpp $llama_version (120 MB)"
  fresh_dir llama
  local dir=$new_dir
  mkdir -p "$dir/lib" "$dir/include"
  npm_package "$library_npm" "${llama_library_sha256[$machine]}" ||
    die "npm could not download $library_npm" "$hint"
  mv "$package"/bins/*/lib*.so "$dir/lib/"
  # The headers: the sources lie in the other package as a git bundle.
  npm_package "$llama_source_npm" "$llama_source_sha256" ||
    die "npm could not download $llama_source_npm" "$hint"
  git clone -q "$package/llama/gitRelease.bundle" "$dir/src" 2>/dev/null ||
    die "could not unpack the sources of llama.cpp"
  cp "$dir"/src/include/*.h "$dir"/src/ggml/include/*.h "$dir/include/"
  rm -rf "$dir/src"
  echo "$wanted" >"$dir/.stamp"
  chmod -R u+rwX,go+rX "$dir"
  put "$dir" "$target"
}
