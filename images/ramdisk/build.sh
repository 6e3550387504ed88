#!/bin/bash
# ramdisk/build.sh OUTDIR: the kernel and the initramfs in which the agent runs.
# Writes OUTDIR/vmlinuz, OUTDIR/initrd.zst and OUTDIR/ramdisk.json.
# REMUDA_KERNEL=cloud (virtual machines, default) or generic (servers).
. "$(dirname "$0")/../lib.sh"
here=$images/ramdisk

initrd_limit=8000000  # firmware loads it over slow networks and slower stacks
total_limit=25000000

[ $# = 1 ] || die "usage: ramdisk/build.sh OUTDIR"
mkdir -p "$1"
out=$(cd "$1" && pwd)
tree=$(kernel_tree)
version=$(kernel_version "$tree")
agent=$("$images/build.sh" agent | tail -n 1)

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
put_busybox "$root" sh cat grep ip modprobe mount printf sed seq sleep sort tr udhcpc uname xargs
put_modules "$root" "$tree" "$here/modules.$flavour"
install -m 755 "$here/init" "$root/init"
install -m 755 "$agent/agent" "$root/bin/agent"
pack "$root" "$out/initrd.zst"
install -m 644 "$tree/boot/vmlinuz-$version" "$out/vmlinuz"

initrd=$(bytes "$out/initrd.zst")
vmlinuz=$(bytes "$out/vmlinuz")
say "ramdisk: initrd $initrd bytes, kernel $vmlinuz bytes ($version)"
[ "$initrd" -le "$initrd_limit" ] || die "the initrd has $initrd bytes; at most $initrd_limit are allowed"
[ $((initrd + vmlinuz)) -le "$total_limit" ] || die "kernel and initrd have $((initrd + vmlinuz)) bytes; at most $total_limit are allowed"

cat >"$out/ramdisk.json" <<JSON
{
  "kernelVersion": "$version",
  "vmlinuz": { "sha256": "$(digest "$out/vmlinuz")", "sizeBytes": $vmlinuz },
  "initrd": { "sha256": "$(digest "$out/initrd.zst")", "sizeBytes": $initrd }
}
JSON
