#!/bin/bash
# kubernetes/build.sh OUTFILE.raw [--release SUITE] [--control-plane]: the debian
# image's frame with containerd, kubelet and kubeadm, for hosts that join a
# cluster by cloud-config as Cluster API's kubeadm provider writes it. It pulls
# nothing: the pause image is in it and, with --control-plane, the images of
# what kubeadm runs.
. "$(dirname "$0")/../lib.sh"
. "$images/disk.sh"
. "$images/debian/debs.sh"
. "$images/debian/frame.sh"
here=$images/kubernetes
. "$here/oci.sh"

usage="usage: kubernetes/build.sh OUTFILE.raw [--release SUITE] [--control-plane]"
out=${1:-}
suite=bookworm
role=worker
layers="debian kubernetes"
[ -n "$out" ] || die "$usage"
shift
while [ $# -gt 0 ]; do
  case $1 in
    --release) suite=${2:-}; shift 2 || die "$usage" ;;
    --control-plane) role=control-plane; shift ;;
    *) die "$usage" ;;
  esac
done
[[ $suite =~ ^[a-z]{1,32}$ ]] || die "$usage"
need_frame_tools
need gcc=gcc go=golang

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # another user reads it where mmdebstrap is not root

# module_version NAME, module_folder NAME: of a module in go.mod.
module_version() { awk -v module="$1" '$1 == module && $2 ~ /^v/ { print $2; exit }' "$here/module/go.mod"; }
module_folder() { ( cd "$here/module" && go mod download -json "$1" ) | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }

# make_pause VERSION: upstream's own pause, the process that holds a pod's namespaces.
make_pause() {
  local source
  source=$(module_folder k8s.io/kubernetes)/build/pause/linux/pause.c
  [ -s "$source" ] || die "the module k8s.io/kubernetes has no $source"
  mkdir "$work/pause"
  gcc -Os -Wall -static -s -Wl,--build-id=none "-DVERSION=$1" -o "$work/pause/pause" "$source"
}

# make_payload: what customize puts into the root besides our own files. A test
# server's programs are none for an image.
make_payload() {
  local kubernetes programs names pause name
  kubernetes=$(module_version k8s.io/kubernetes)
  programs=$(unset KUBEBUILDER_ASSETS; "$here/binaries.sh" node $([ $role = worker ] || echo control))
  mkdir -p "$work/payload"/{bin,images}
  install -m 755 "$programs"/{kubelet,kubeadm} "$work/payload/bin/"
  # kubeadm's own word for what it looks for.
  names=$("$programs/kubeadm" config images list --kubernetes-version "$kubernetes")
  pause=$(grep '/pause:' <<<"$names")
  echo "$kubernetes" >"$work/payload/version"
  echo "$role" >"$work/payload/role"
  echo "$pause" >"$work/payload/pause"
  make_pause "${pause##*:}"
  oci "$pause" "$work/payload/images/pause.tar" /pause "$work/pause/pause=/pause"
  [ $role = control-plane ] || return 0
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    oci "$(grep "/$name:" <<<"$names")" "$work/payload/images/$name.tar" "/usr/local/bin/$name" "$programs/$name=/usr/local/bin/$name"
  done
  # Not the version that kubeadm expects: a control plane's etcd.local.imageTag must say this one.
  name=$(module_version go.etcd.io/etcd/server/v3)
  oci "registry.k8s.io/etcd:${name#v}-0" "$work/payload/images/etcd.tar" /usr/local/bin/etcd "$programs/etcd=/usr/local/bin/etcd"
}

make_payload
make_root 9
make_initrd
make_image "$out"
