#!/bin/sh
# Fetches the boot programs that hosts load first, or finds them in the cache.
# The last line on stdout is the directory with undionly.kpxe, snponly.efi,
# autoexec.ipxe and firmware.json. Needs no root and installs nothing: apt
# downloads Debian's package ipxe and checks it against the signed index, and
# we check the programs against the hashes below. REMUDA_CACHE is the cache.
set -eu
export LC_ALL=C
umask 022

here=$(cd "$(dirname "$0")" && pwd)
cache=${REMUDA_CACHE:-$HOME/.cache/remuda}

# Release of Debian, version of ipxe, SHA-256 of undionly.kpxe and snponly.efi;
# the first that the mirror still has is taken.
pins='
trixie 1.21.1+git20250501.dad20602+dfsg-1 391bfe580ec9f823d046ee390765d6c389f482b9a8b9fae0f90871cd8ff57828 9a624b4e05ebc25718a7658356628a352532bd278e7a50465a36ab94a7c4e580
bookworm 1.0.0+git-20190125.36a4c85-5.1 f09cfbe9bbd39c3f5eb9cdf7386b520a4f5858bbc4438960c5b870c7a8930a7f 18fc84b69172b9f7d1e6b5274c81121dde429fdacfdc984747f687cfb4f8090b
'

say() { echo "firmware: $*" >&2; }
die() { say "$*"; exit 1; }
digest() { sha256sum "$1" | cut -d' ' -f1; }

# The Debian mirror that this system has configured.
mirror() {
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  sh "$here/../deploy/mirrors.sh" | awk -v release="$release" '$1 == release { print $2; exit }'
}

# apt with lists and packages of its own in $work; without the hooks that some
# containers have, which empty the system's package cache after every update.
own_apt() {
  command=$1; shift
  "$command" -c "$work/apt.conf" -q -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=$work/parts" \
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

# prepare SITE SUITE: what own_apt needs.
prepare() {
  mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
  printf '#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n' >"$work/apt.conf"
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  signed=
  [ ! -r "$keyring" ] || signed=" signed-by=$keyring"
  echo "deb [arch=$(dpkg --print-architecture) target=Packages$signed] $1 $2 main" >"$work/sources.list"
}

# fetch SITE SUITE VERSION: unpacks the package into $work/tree; fails where the
# mirror has no such version.
fetch() {
  prepare "$1" "$2"
  say "looking for ipxe $3 of Debian $2"
  own_apt apt-get update >&2 || return 1
  rm -f "$work"/*.deb
  ( cd "$work" && own_apt apt-get download "ipxe=$3" ) >&2 || return 1
  dpkg-deb -x "$work"/*.deb "$work/tree"
}

# collect SUITE VERSION UNDIONLY SNPONLY: checks the programs and lays out the result.
collect() {
  mkdir "$work/result"
  for pair in "undionly.kpxe $3" "snponly.efi $4"; do
    name=${pair% *}
    cp "$work/tree/usr/lib/ipxe/$name" "$work/result/$name"
    [ "$(digest "$work/result/$name")" = "${pair#* }" ] ||
      die "$name of ipxe $2 is not the one this recipe names; nothing is kept"
  done
  cp "$here/autoexec.ipxe" "$work/result/"
  cat >"$work/result/firmware.json" <<END
{
  "origin": { "distribution": "debian", "release": "$1", "package": "ipxe", "version": "$2" },
  "files": {
    "undionly.kpxe": { "architecture": "bios", "sha256": "$3" },
    "snponly.efi": { "architecture": "x64-uefi", "sha256": "$4" },
    "autoexec.ipxe": { "architecture": "x64-uefi", "sha256": "$(digest "$here/autoexec.ipxe")" }
  }
}
END
}

build() {
  for tool in apt-get dpkg-deb flock; do
    command -v "$tool" >/dev/null || die "$tool is missing; this recipe needs a Debian system"
  done
  site=$(mirror)
  [ -n "$site" ] || die "no Debian mirror is configured; looked in apt's sources"
  work=$(mktemp -d "$cache/firmware/.new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  # One word after another: four make a pin.
  set -- $pins
  while [ $# -ge 4 ]; do
    if fetch "$site" "$1" "$2"; then
      collect "$1" "$2" "$3" "$4"
      mv "$work/result" "$result"
      return 0
    fi
    shift 4
  done
  die "the mirror has none of the versions that this recipe names; see firmware/README.md for how to name a newer one"
}

key=$(cat "$here/build.sh" "$here/autoexec.ipxe" | sha256sum | cut -c1-24)
result=$cache/firmware/$key
if [ ! -d "$result" ]; then
  mkdir -p "$cache/firmware" "$cache/locks"
  exec 9>"$cache/locks/firmware"
  flock 9
  # Somebody else may have built it meanwhile.
  [ -d "$result" ] || build
fi
echo "$result"
