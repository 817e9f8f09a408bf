#!/usr/bin/env bash
# Gets a Debian machine ready: system packages, then pinned and hash-checked downloads.
#
#   setup/setup.sh [PART…]     build (when none is named), models, test, fleet, bench, bench-llm,
#                              fuzz, format
#
# A part is the section of that name in setup/packages.txt, and its downloads: ONNX Runtime and
# llama.cpp for `build`; Python environments for `models` (which prepares them), `test` (its
# clients) and `bench` (the peers); Helm, which is built, for `test`; Taskflow for `bench`; for
# `bench-llm` a llama-server, which is built, and what writes its model. Says what it is about to
# install, and nothing at all when nothing is missing. Works offline then.
#
#   BAOZI_CACHE       where downloads are kept (default: .cache in the checkout)
#   BAOZI_ORT_ROOT    an ONNX Runtime of your own (with include/ and lib/); then none is fetched
#   BAOZI_LLAMA_ROOT  a llama.cpp of your own, likewise
#   BAOZI_NO_INSTALL  set: install no system packages, only say which are missing
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cache=${BAOZI_CACHE:-$root/.cache}
[[ $cache == /* ]] || cache=$root/$cache

# shellcheck source=setup/pins.sh
source "$here/pins.sh"
for file in say packages python debian_extra npm onnxruntime llama llama_server helm; do
  # shellcheck source=/dev/null
  source "$here/lib/$file.sh"
done

parts=("${@:-build}")
for part in "${parts[@]}"; do
  [[ $part =~ ^(build|test|fleet|bench|bench-llm|fuzz|format|models)$ ]] ||
    die "setup: unknown part $part" "Parts: build test fleet bench bench-llm fuzz format models"
done

make_cache
exec 9>"$cache/.lock"
flock -n 9 || { say "another setup is running; waiting for it" && flock 9; }

install_packages "${parts[@]}"
for part in "${parts[@]}"; do
  case $part in
    build)
      setup_onnxruntime
      setup_llama
      ;;
    models) python_environment venv "$root/tools/models/requirements.txt" ;;
    test)
      python_environment test-venv "$root/tests/requirements.txt"
      setup_helm
      ;;
    bench)
      setup_taskflow
      python_environment bench-venv "$root/tools/bench/requirements.txt"
      ;;
    bench-llm)
      setup_llama_server
      python_environment bench-llm-venv "$root/tools/models/requirements-llm.txt"
      ;;
  esac
done
