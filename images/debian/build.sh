#!/bin/bash
# debian/build.sh OUTFILE.raw [--release SUITE]: Debian with systemd, cloud-init
# and sshd on a read-only root, for BIOS and UEFI; its disk is told in frame.sh.
. "$(dirname "$0")/../lib.sh"
. "$images/disk.sh"
. "$images/debian/debs.sh"
. "$images/debian/frame.sh"

usage="usage: debian/build.sh OUTFILE.raw [--release SUITE]"
out=${1:-}
suite=bookworm
layers=debian
if [ "${2:-}" = --release ]; then suite=${3:-}; fi
[[ -n $out && $suite =~ ^[a-z]{1,32}$ ]] || die "$usage"
need_frame_tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # another user reads it where mmdebstrap is not root

make_root 19
make_initrd
make_image "$out"
