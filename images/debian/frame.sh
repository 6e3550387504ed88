# What the images made of Debian share: a read-only root of packages and own
# files, on the disk of disk.sh. To be sourced after lib.sh, disk.sh and debs.sh
# by a recipe that has set $layers, $suite and $work, and then calls make_root,
# make_initrd, make_image.
#
#   $layers  folders of images/, each laid over the one before it; of each:
#            packages (names), root/ (files), customize (see debian/customize)
#
# The disk:
#   the head of ../disk.sh: BIOS, ESP (kernel, initramfs), CIDATA
#   ROOT       squashfs; the initramfs knows it by its GUID
#   last MiB   the second GPT
#   STATE      made on the disk's free rest at the first boot, see init

need_frame_tools() {
  need modprobe=kmod mmdebstrap=mmdebstrap mksquashfs=squashfs-tools
  need_disk_tools
  tree=$(kernel_tree)
  version=$(kernel_version "$tree")
}

# make_root LEVEL: the squashfs, compressed so much. mmdebstrap leaves a tar that
# is sorted and has no time later than SOURCE_DATE_EPOCH.
make_root() {
  local level=$1 log="$work/mmdebstrap.log" layer hooks=()
  make_repository "$(debs "$suite")" "$work/repository" "$suite"
  for layer in $layers; do
    cp -r "$images/$layer/root" "$work/"
    cp "$images/$layer/customize" "$work/customize-$layer"
    hooks+=("--customize-hook=$work/customize-$layer $work \"\$1\"")
  done
  mkdir "$work/kernel"
  cp -r "$tree/lib/modules" "$work/kernel/"
  cp "$tree/boot/config-$version" "$work/kernel/"
  say "${layers##* }: unpacking and configuring $(wc -l <"$(debs "$suite")/list") packages"
  PYTHONHASHSEED=0 mmdebstrap --quiet --variant=essential --include="$(package_names | paste -s -d ,)" \
    --architectures=amd64 --format=tar \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/i18n/*' \
    --dpkgopt='path-exclude=/usr/share/lintian/*' --dpkgopt='path-exclude=/usr/share/bash-completion/*' \
    "${hooks[@]}" \
    "$suite" "$work/root.tar" "deb [trusted=yes] copy:$work/repository ./" >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "mmdebstrap could not make the root of Debian $suite"; }
  # The order and the times are those of the tar. Small blocks: Python reads
  # thousands of small files, and each read unpacks a whole block.
  mksquashfs - "$work/root.squashfs" -tar -quiet -no-progress -noappend -b 64K \
    -comp zstd -Xcompression-level "$level" -root-mode 755 -root-uid 0 -root-gid 0 -root-time "$SOURCE_DATE_EPOCH" <"$work/root.tar" >&2
  rm -rf "$work/root.tar" "$work/repository" "$work/kernel"
}

make_initrd() {
  local root=$work/initrd
  mkdir "$root"
  put_busybox "$root" sh cat chmod chroot cp dd find grep head ln ls mkdir mknod modprobe mount od printf \
    readlink rm sed seq sleep sort switch_root sync tr umount uname xargs
  present_modules "$images/debian/modules.$flavour" >"$work/modules"
  put_modules "$root" "$tree" "$work/modules"
  install -m 644 "$images/initramfs/partition.sh" "$root/lib/partition.sh"
  install -m 755 "$images/debian/init" "$root/init"
  mkdir "$root/sysroot"
  pack "$root" "$work/initrd.zst"
}

make_disk() {
  local root_mib
  root_mib=$(mib "$(bytes "$work/root.squashfs")")
  truncate -s $((2 + esp_mib + 2 + root_mib + 1))M "$work/disk.raw"
  {
    table_head
    # The Discoverable Partitions' type of an x86-64 root.
    echo "size=${root_mib}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=$root, name=ROOT"
  } | sfdisk --quiet "$work/disk.raw"
  put_head
  put root.squashfs $((2 + esp_mib + 2))
}

# make_image OUT: the disk image of what make_root and make_initrd have left.
make_image() {
  local out=$1
  cp "$tree/boot/vmlinuz-$version" "$work/vmlinuz"
  identify "$work/vmlinuz" "$work/initrd.zst" "$work/root.squashfs"
  root=$(guid root)
  make_grub "console=tty0 console=ttyS0,115200 panic=10 ro quiet systemd.gpt_auto=0 remuda.root=$(guid_bytes "$root")"
  make_esp
  make_disk
  make_bootable
  mv "$work/disk.raw" "$out"
  say "${layers##* }: $suite, $(bytes "$out") bytes, root $(bytes "$work/root.squashfs") bytes," \
    "initrd $(bytes "$work/initrd.zst") bytes, sha256 $(digest "$out")"
}
