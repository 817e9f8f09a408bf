# llama.cpp: $cache/llama/{include,lib,share}. Sourced by setup.sh.
#   include/llama-common  headers of its chat templates and schemas (libllama-common)
#   share/templates       chat templates of some model families, for the tests
# shellcheck shell=bash

llama_templates=(Qwen-Qwen2.5-7B-Instruct Qwen-Qwen3-0.6B google-gemma-2-2b-it
  meta-llama-Llama-3.1-8B-Instruct meta-llama-Llama-3.2-3B-Instruct)

setup_llama() {
  [[ -z ${BAOZI_LLAMA_ROOT-} ]] || return 0
  local target=$cache/llama wanted="$llama_version $llama_source_npm common" machine library_npm
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
  mkdir -p "$dir/include/llama-common/jinja" "$dir/share/templates"
  cp "$dir"/src/common/*.h "$dir/include/llama-common/"
  cp "$dir"/src/common/jinja/*.h "$dir/include/llama-common/jinja/"
  local template
  for template in "${llama_templates[@]}"; do
    cp "$dir/src/models/templates/$template.jinja" "$dir/share/templates/"
  done
  rm -rf "$dir/src"
  echo "$wanted" >"$dir/.stamp"
  chmod -R u+rwX,go+rX "$dir"
  put "$dir" "$target"
}
