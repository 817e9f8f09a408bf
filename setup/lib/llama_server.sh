# The peer of `make bench-llm`: $cache/llama-server/{llama-server,ggml-vocab-qwen2.gguf}. Sourced by
# setup.sh.
# shellcheck shell=bash

# setup_llama_server: llama.cpp's own server, of the release whose libraries baozi uses, built for
# this very processor (so that the peer shows its best). The vocabulary lies in the same sources; a
# model of random weights takes its tokens from it.
setup_llama_server() {
  local target=$cache/llama-server processor wanted
  processor=$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo | sha256sum | cut -c1-16)
  wanted="$llama_version $llama_source_npm for processor $processor"
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  need_space 1500 "llama-server"

  npm_package "$llama_source_npm" "$llama_source_sha256" ||
    die "npm could not download $llama_source_npm" "Is there a network?"
  fresh_dir llama-server
  local dir=$new_dir log=$cache/llama-server.log jobs
  jobs=${JOBS:-$(nproc)}
  git clone -q "$package/llama/gitRelease.bundle" "$dir/src" 2>/dev/null ||
    die "could not unpack the sources of llama.cpp"
  say "building llama-server $llama_version, the peer (about 10 minutes of two cores, once)"
  # shellcheck disable=SC2086
  cmake -S "$dir/src" -B "$dir/build" -G Ninja -DCMAKE_BUILD_TYPE=Release $(llama_server_options) \
    >"$log" 2>&1 && nice -n 10 ninja -C "$dir/build" -j "$jobs" llama-server >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "llama-server could not be built; the whole log is in $log"
  }
  mkdir "$dir/put"
  mv "$dir/build/bin/llama-server" "$dir/src/models/ggml-vocab-qwen2.gguf" "$dir/put/"
  strip "$dir/put/llama-server"
  echo "$wanted" >"$dir/put/.stamp"
  chmod -R u+rwX,go+rX "$dir/put"
  put "$dir/put" "$target"
}

# llama_server_options: one program without shared libraries of its own, web page and TLS.
llama_server_options() {
  echo -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
    -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
}
