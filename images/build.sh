#!/bin/bash
# build.sh agent|ramdisk|tiny|debian|kubernetes|kubernetes-control-plane
#   [--release NAME] [--refresh]
# Builds, or finds in the cache what was built from the same recipe with the
# same packages. The last line on stdout is the directory with the result.
#
#   agent    agent
#   ramdisk  vmlinuz, initrd.zst, ramdisk.json
#   tiny     tiny.raw, tiny.json
#   debian   debian.raw, debian.json; its release is Debian's: bookworm, trixie
#   kubernetes, kubernetes-control-plane
#            the same with kubelet and kubeadm, and with the container images of
#            a control plane; called kubernetes-VERSION…
#
# --refresh asks apt for the present versions of the kernel and of the packages
# in the images made of Debian. REMUDA_KERNEL chooses the kernel (cloud, generic),
# REMUDA_CACHE the cache.
. "$(dirname "$0")/lib.sh"
. "$images/debian/debs.sh"

usage="usage: build.sh agent|ramdisk|tiny|debian|kubernetes|kubernetes-control-plane [--release NAME] [--refresh]"
kind=${1:-}
release=
refresh=
[ $# -gt 0 ] && shift
while [ $# -gt 0 ]; do
  case $1 in
    --release) [ -n "${2:-}" ] || die "$usage"; release=$2; shift 2 ;;
    --refresh) refresh=--refresh; shift ;;
    *) die "$usage" ;;
  esac
done

case $kind in
  tiny) release=${release:-1} ;;
  debian | kubernetes | kubernetes-control-plane) release=${release:-bookworm} ;;
  *) release=none ;; # the agent and its ramdisk have none
esac
[[ $release =~ ^[A-Za-z0-9._-]{1,64}$ ]] || die "a release name has 1 to 64 letters, digits, dots, dashes; not '$release'"

disk_packages="busybox-static kmod cpio zstd mtools dosfstools fdisk grub-pc-bin grub-efi-amd64-bin grub-common"
layers=
# What goes into each kind: recipe paths and, of this machine, Debian packages.
case $kind in
  agent) recipe="agent"; packages="" ;;
  ramdisk) recipe="agent ramdisk initramfs"; packages="busybox-static kmod cpio zstd" ;;
  tiny) recipe="tiny initramfs disk.sh"; packages="$disk_packages" ;;
  debian) recipe="debian initramfs disk.sh"; packages="$disk_packages mmdebstrap squashfs-tools"; layers=debian ;;
  kubernetes | kubernetes-control-plane)
    recipe="kubernetes debian initramfs disk.sh"
    packages="$disk_packages mmdebstrap squashfs-tools gcc libc6-dev"
    layers="debian kubernetes"
    ;;
  *) die "$usage" ;;
esac

go_version() {
  local root
  root=$(dirname "$(dirname "$(readlink -f "$(command -v go)")")")
  head -n 1 "$root/VERSION" 2>/dev/null || go version
}

# key: a hash of all that decides the result.
key() {
  local kernel=
  [ "$kind" = agent ] || kernel=$(kernel_package)
  {
    cd "$images"
    find lib.sh build.sh $recipe -type f ! -name '*_test.go' ! -path '*/.*' -print0 | sort -z | xargs -0 sha256sum
    echo "epoch $SOURCE_DATE_EPOCH"
    case $kind in agent | ramdisk) go_version ;; esac
    echo "kernel $kernel"
    [ "$release" = none ] || echo "release $release"
    [ -z "$layers" ] || cat "$(debs "$release")/list"
    [ -z "$packages" ] || dpkg-query -W -f '${Package} ${Version}\n' $packages
  } | sha256sum | cut -c1-24
}

kubernetes_version() { awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ { print $2; exit }' "$images/kubernetes/module/go.mod"; }

# build_disk FOLDER [NAME WORD...]: the disk image of a recipe, and what to call it where that is not the kind.
build_disk() {
  local name=${2:-}
  "$images/$1/build.sh" "$temp/$kind.raw" --release "$release" "${@:3}" >&2
  printf '{ %s"release": "%s", "sha256": "%s", "sizeBytes": %s }\n' "${name:+\"name\": \"$name\", }" \
    "$release" "$(digest "$temp/$kind.raw")" "$(bytes "$temp/$kind.raw")" >"$temp/$kind.json"
}

build() {
  [ ! -d "$result" ] || return 0
  mkdir -p "$cache/$kind"
  temp=$(mktemp -d "$cache/$kind/.new.XXXXXX")
  trap 'rm -rf "$temp"' EXIT
  chmod 755 "$temp"
  say "building $kind ($key)"
  case $kind in
    tiny | debian) build_disk "$kind" ;;
    kubernetes) build_disk kubernetes "kubernetes-$(kubernetes_version)" ;;
    kubernetes-control-plane) build_disk kubernetes "kubernetes-$(kubernetes_version)-control-plane" --control-plane ;;
    *) "$images/$kind/build.sh" "$temp" >&2 ;;
  esac
  mv "$temp" "$result"
}

[ -z "$refresh" ] || [ "$kind" = agent ] || kernel_package --refresh >/dev/null
[ -z "$refresh" ] || [ -z "$layers" ] || debs "$release" --refresh >/dev/null
key=$(key)
result=$cache/$kind/$key
# Under a name of its own: a recipe may ask for what another one guards, and wait for it.
[ -d "$result" ] || locked "image-$kind" build
echo "$result"
