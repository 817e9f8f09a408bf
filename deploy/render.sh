#!/usr/bin/env bash
# Writes the plain manifests, deploy/kubernetes/baozi.yaml: what the chart renders by default. HELM
# names the program.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BAOZI_CACHE:-$here/../.cache}
helm=${HELM:-$cache/helm/bin/helm}
[[ -x $helm ]] || helm=helm
{
  echo "# kubectl apply -f deploy/kubernetes/baozi.yaml: written by deploy/render.sh from the"
  echo "# chart's defaults (Kubernetes 1.30 and later). Set the image, and see docs/kubernetes.md."
  "$helm" template baozi "$here/helm/baozi" --namespace default --kube-version 1.30.0
} >"${1:-$here/kubernetes/baozi.yaml}"
