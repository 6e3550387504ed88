# What the image recipes share: the cache, the kernel package, the initramfs.
# To be sourced by bash. Nothing here needs root and nothing is installed.

set -euo pipefail
shopt -s inherit_errexit # a failure inside $(…) counts too
export LC_ALL=C TZ=UTC
umask 022

images=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${REMUDA_CACHE:-$HOME/.cache/remuda}
flavour=${REMUDA_KERNEL:-cloud}

# Every time stamp in an image is this one: the same recipe and packages give
# the same bytes on any day.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}

say() { echo "images: $*" >&2; }
die() { say "$*"; exit 1; }

# need TOOL=PACKAGE...: ends with the package's name when a tool is missing.
need() {
  local pair
  for pair; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null ||
      die "${pair%%=*} is missing; install the package ${pair##*=}"
  done
}
export PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin
# The Go that deploy/setup.sh fetched, where the machine had none that fits.
[ ! -x "$cache/go/bin/go" ] || export PATH=$cache/go/bin:$PATH

# Nothing outside our cache: Go otherwise fills ~/go, with files that only chmod lets one remove.
export GOPATH=$cache/gopath GOFLAGS=-modcacherw

# locked NAME COMMAND...: one builder at a time; others wait.
locked() {
  mkdir -p "$cache/locks"
  local lock="$cache/locks/$1"; shift
  ( flock 9; "$@" ) 9>"$lock"
}

# kernel_package [--refresh]: prints "NAME VERSION" of the kernel's package.
# What apt says is remembered, so that a warm build does not ask it; --refresh
# asks again.
kernel_package() {
  local meta answer="$cache/packages/$flavour"
  case $flavour in
    cloud) meta=linux-image-cloud-amd64 ;;
    generic) meta=linux-image-amd64 ;;
    *) die "REMUDA_KERNEL is '$flavour'; it can be cloud or generic" ;;
  esac
  if [ ! -s "$answer" ] || [ "${1:-}" = --refresh ]; then
    need apt-cache=apt
    local name version
    # A fresh container has sources, and no lists yet.
    apt-cache show "$meta" >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || apt-get -q update >&2
    name=$(apt-cache depends --no-recommends "$meta" | awk '/Depends: linux-image-/ { print $2; exit }')
    [ -n "$name" ] || die "apt knows no package $meta; run apt-get update"
    version=$(apt-cache policy "$name" | awk '/Candidate:/ { print $2 }')
    mkdir -p "$cache/packages"
    echo "$name $version" >"$answer.$$" && mv "$answer.$$" "$answer"
  fi
  cat "$answer"
}

# kernel_tree: prints the directory of the unpacked kernel package, with
# modules.dep made. apt checks the package against the signed index.
kernel_tree() {
  local package tree
  package=$(kernel_package)
  tree="$cache/kernel/${package/ /_}"
  [ -d "$tree" ] || locked kernel unpack_kernel "${package% *}" "${package#* }" "$tree" >&2
  echo "$tree"
}

unpack_kernel() {
  local name=$1 version=$2 tree=$3 temp
  [ ! -d "$tree" ] || return 0
  need apt-get=apt dpkg-deb=dpkg depmod=kmod
  mkdir -p "$cache/kernel"
  temp=$(mktemp -d "$cache/kernel/.new.XXXXXX")
  say "downloading $name $version"
  ( cd "$temp" && apt-get -q -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=300 download "$name=$version" ) ||
    die "apt could not download $name $version; if it was superseded, build with --refresh"
  dpkg-deb -x "$temp"/*.deb "$temp/tree"
  depmod -b "$temp/tree" "$(ls "$temp/tree/lib/modules")"
  mv "$temp/tree" "$tree"
  rm -rf "$temp"
}

kernel_version() { ls "$1/lib/modules"; }

# words FILE...: the lines of a list without comments.
words() { sed 's/#.*//' "$@" | xargs -n1; }

# put_modules ROOT TREE LIST: copies the listed modules and all they need, as
# they are: stripping one would break its signature, and the kernel refuses it
# under Secure Boot.
put_modules() {
  local root=$1 tree=$2 list=$3 version module
  version=$(kernel_version "$tree")
  for module in $(words "$list"); do
    modprobe -d "$tree" -S "$version" --show-depends "$module" 2>/dev/null ||
      die "the kernel $version has no module $module (named in $list)"
  done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r module; do
    install -D -m 644 "$module" "$root${module#"$tree"}"
  done
  cp "$tree/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$root/lib/modules/$version/"
  depmod -b "$root" "$version"
  rm -f "$root/lib/modules/$version"/*.bin "$root/lib/modules/$version"/modules.{builtin.modinfo,devname,order,softdep}
}

# put_busybox ROOT APPLET...: the static busybox under just these names.
put_busybox() {
  local root=$1 applet applets; shift
  need busybox=busybox-static
  applets=$(busybox --list)
  mkdir -p "$root"/{bin,dev,etc,lib,proc,run,sys,tmp}
  install -m 755 "$(command -v busybox)" "$root/bin/busybox"
  for applet; do
    grep -qx "$applet" <<<"$applets" || die "busybox has no $applet"
    ln -s busybox "$root/bin/$applet"
  done
  install -m 644 "$images/initramfs/hardware.sh" "$root/lib/hardware.sh"
  install -m 755 "$images/initramfs/lease" "$root/lib/lease"
}

# pack ROOT OUT: the initramfs; sorted, owned by root, without times of its own.
pack() {
  need cpio=cpio zstd=zstd
  find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  ( cd "$1" && find . -print0 | sort -z | cpio --null --create --format=newc --reproducible --owner=0:0 --quiet ) |
    zstd -19 --quiet --force -o "$2"
}

digest() { sha256sum "$1" | cut -d' ' -f1; }
bytes() { stat -c %s "$1"; }
