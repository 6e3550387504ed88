#!/bin/bash
# tiny/build.sh OUTFILE.raw [--release NAME]: a bootable disk image of some 24
# MB that is nothing but the common head of ../disk.sh: the whole system is the
# initramfs.
. "$(dirname "$0")/../lib.sh"
. "$images/disk.sh"
here=$images/tiny

usage="usage: tiny/build.sh OUTFILE.raw [--release NAME]"
out=${1:-}
release=1
if [ "${2:-}" = --release ]; then release=${3:-}; fi
[[ -n $out && $release =~ ^[A-Za-z0-9._-]{1,64}$ ]] || die "$usage"
need modprobe=kmod
need_disk_tools

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$(kernel_tree)
version=$(kernel_version "$tree")

make_initrd() {
  local root=$work/root
  mkdir "$root"
  put_busybox "$root" sh acpid cat dd find grep head hostname ip mkdir modprobe mount od poweroff \
    printf readlink sed seq sleep sort sync timeout tr udhcpc umount uname wget xargs
  present_modules "$here/modules" >"$work/modules"
  put_modules "$root" "$tree" "$work/modules"
  install -m 644 "$images/initramfs/partition.sh" "$root/lib/partition.sh"
  echo "$release" >"$root/etc/remuda-release"
  mkdir -p "$root/etc/acpi/PWRF"
  install -m 755 "$here/power" "$root/etc/acpi/PWRF/00000080"
  install -m 755 "$here/init" "$root/init"
  pack "$root" "$work/initrd.zst"
}

make_disk() {
  truncate -s $((2 + esp_mib + 2 + 1))M "$work/disk.raw"
  table_head | sfdisk --quiet "$work/disk.raw"
  put_head
}

make_initrd
cp "$tree/boot/vmlinuz-$version" "$work/vmlinuz"
identify "$work/vmlinuz" "$work/initrd.zst"
make_grub "console=tty0 console=ttyS0,115200 panic=5 net.ifnames=0 quiet"
make_esp
make_disk
make_bootable
mv "$work/disk.raw" "$out"
say "tiny: release $release, $(bytes "$out") bytes, initrd $(bytes "$work/initrd.zst") bytes, sha256 $(digest "$out")"
