#!/bin/bash
# kubernetes/binaries.sh [NAME...]: the real Kubernetes, etcd and Cluster API, built from the Go modules that module/go.mod pins, or found
# in the cache. The last line on stdout is the folder with the programs; a folder `manifests` is among them when it was asked for.
#
#   plane      what a test plane runs (the default): kube-apiserver, etcd, kube-controller-manager, kubectl, kubeadm, capi-core,
#              capi-kubeadm-bootstrap, capi-kubeadm-controlplane, manifests
#   node       what a host runs: kubelet, kubeadm
#   control    what a control plane's images hold: kube-apiserver, kube-controller-manager, kube-scheduler, etcd
#   NAME       one of those, or clusterctl
#
# KUBEBUILDER_ASSETS names a folder whose kube-apiserver, etcd and kubectl are taken instead of ours. REMUDA_CACHE chooses the cache.
# It ends with 3 where something must be built and there is no Go.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

module=$images/kubernetes/module
usage="usage: kubernetes/binaries.sh [plane|node|control|NAME...]"

kubernetes=k8s.io/kubernetes/cmd
capi=sigs.k8s.io/cluster-api
declare -A packages=(
  [kube-apiserver]=$kubernetes/kube-apiserver
  [kube-controller-manager]=$kubernetes/kube-controller-manager
  [kube-scheduler]=$kubernetes/kube-scheduler
  [kubelet]=$kubernetes/kubelet
  [kubeadm]=$kubernetes/kubeadm
  [kubectl]=$kubernetes/kubectl
  [etcd]=go.etcd.io/etcd/server/v3
  [capi-core]=$capi
  [capi-kubeadm-bootstrap]=$capi/bootstrap/kubeadm
  [capi-kubeadm-controlplane]=$capi/controlplane/kubeadm
  [clusterctl]=$capi/cmd/clusterctl
)
# What shares most of its packages with the one before it stands behind it.
plane="kube-apiserver kubeadm kube-controller-manager etcd kubectl capi-core capi-kubeadm-bootstrap capi-kubeadm-controlplane manifests"
node="kubelet kubeadm"
control="kube-apiserver kube-controller-manager kube-scheduler etcd"

names=
for word in "${@:-plane}"; do
  case $word in
    plane) names="$names $plane" ;;
    node) names="$names $node" ;;
    control) names="$names $control" ;;
    manifests) names="$names kubectl manifests" ;;
    *) [ -n "${packages[$word]:-}" ] || die "there is no '$word'; $usage"; names="$names $word" ;;
  esac
done

# is_foreign NAME: KUBEBUILDER_ASSETS has it.
is_foreign() {
  case $1 in
    kube-apiserver | etcd | kubectl) [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ] ;;
    *) return 1 ;;
  esac
}

# The version of Go is no part of it: who has the cache needs no Go.
stamp=$({
  cd "$images/kubernetes"
  find module binaries.sh -type f -print0 | sort -z | xargs -0 sha256sum
  echo "assets ${KUBEBUILDER_ASSETS:-}"
} | sha256sum | cut -c1-24)
out=$cache/testenv/$stamp

version_of() { awk -v name="$1" '$1 == name && $2 ~ /^v/ { print $2; exit }' "$module/go.mod"; }

# link_flags NAME: without symbols; what it answers when it is asked for its version.
link_flags() {
  local of=k8s.io/kubernetes places="k8s.io/component-base/version k8s.io/client-go/pkg/version" version place
  local flags="-s -w -buildid="
  case $1 in
    etcd) echo "$flags"; return ;;
    capi-* | clusterctl) of=$capi places=$capi/version ;;
  esac
  version=$(version_of "$of")
  [ -n "$version" ] || die "go.mod names no version of $of"
  for place in $places; do
    flags="$flags -X $place.gitVersion=$version -X $place.gitTreeState=clean -X $place.gitCommit=$version -X $place.buildDate=1970-01-01T00:00:00Z"
    flags="$flags -X $place.gitMajor=$(echo "${version#v}" | cut -d. -f1) -X $place.gitMinor=$(echo "${version#v}" | cut -d. -f2)"
  done
  echo "$flags"
}

need_go() {
  command -v go >/dev/null && return
  say "kubernetes: $1 must be built, and there is no Go here; sh deploy/setup.sh go brings it"
  exit 3
}

compile() {
  local flags
  flags=$(link_flags "$1")
  ( cd "$module" &&
    CGO_ENABLED=0 GOFLAGS='-mod=readonly -trimpath -buildvcs=false -modcacherw' GOOS=linux \
      nice -n 10 go build -ldflags "$flags" -o "$2" "${packages[$1]}" ) >&2 ||
    die "go could not build $1 (${packages[$1]}); see above"
}

# Cluster API's own manifests, under the names that a clusterctl repository gives them: CRDs, RBAC, webhooks, deployments.
render() {
  local source
  need_go "the manifests"
  source=$(cd "$module" && go mod download -json "$capi" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [ -d "$source/config/default" ] || die "the module $capi has no config/default"
  mkdir "$1"
  "$out/kubectl" kustomize "$source/config/default" >"$1/core-components.yaml"
  "$out/kubectl" kustomize "$source/bootstrap/kubeadm/config/default" >"$1/bootstrap-components.yaml"
  "$out/kubectl" kustomize "$source/controlplane/kubeadm/config/default" >"$1/control-plane-components.yaml"
  install -m 644 "$source/metadata.yaml" "$1/metadata.yaml"
}

# make NAME: one of them, whole or not at all.
make() {
  local TIMEFORMAT
  [ ! -e "$out/$1" ] || return 0
  temp=$(mktemp -d "$cache/testenv/.new.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  TIMEFORMAT="images: kubernetes: $1 took %0R s (CPU %0U + %0S s)"
  if is_foreign "$1"; then
    ln -s "$(realpath "$KUBEBUILDER_ASSETS/$1")" "$temp/$1"
  elif [ "$1" = manifests ]; then
    render "$temp/manifests"
  else
    need_go "$1"
    say "kubernetes: building $1"
    time compile "$1" "$temp/$1"
  fi
  mkdir -p "$out"
  mv "$temp/$1" "$out/$1"
  rm -rf "$temp"
}

mkdir -p "$cache/testenv"
for name in $names; do
  # One at a time, and others in between: two at once would compile the same packages twice.
  [ -e "$out/$name" ] || locked kubernetes make "$name"
done
echo "$out"
