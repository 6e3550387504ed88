# What the disk images share: a GPT disk that BIOS and UEFI boot, with kernel and
# initramfs in the EFI system partition. To be sourced after lib.sh by a recipe
# that has set $work, with vmlinuz and initrd.zst in it, and then calls
# identify, make_grub, make_esp, its own make_disk, make_bootable.
#
#   LBA 0      protective MBR with GRUB's boot.img, GPT
#   1 MiB      BIOS boot partition: GRUB's core.img
#   2 MiB      ESP (FAT): EFI/BOOT/BOOTX64.EFI, vmlinuz, initrd.zst
#   then       CIDATA (FAT, 2 MiB): filled by the installer with the seed
#   then       what the recipe adds
#   last MiB   the second GPT

export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null

need_disk_tools() {
  need mkfs.vfat=dosfstools mcopy=mtools sfdisk=fdisk grub-mkimage=grub-common
  local platform
  for platform in i386-pc:grub-pc-bin x86_64-efi:grub-efi-amd64-bin; do
    [ -d "/usr/lib/grub/${platform%:*}" ] || die "GRUB's modules are missing; install the package ${platform#*:}"
  done
}

# present_modules LIST: the names of the list; those with a ? only where $tree's
# kernel has them as modules.
present_modules() {
  local module
  words "$1" | while read -r module; do
    if [ "$module" = "${module%\?}" ]; then
      echo "$module"
    elif modprobe -d "$tree" -S "$version" --show-depends "${module%\?}" 2>/dev/null | grep '^insmod' >/dev/null; then
      echo "${module%\?}"
    fi
  done
}

# identify FILE...: $content is the hash of these files, in hex, and $cidata the
# unique GUID of the CIDATA partition.
identify() {
  content=$(cat "$@" | sha256sum | cut -d' ' -f1)
  cidata=$(guid cidata)
}

# guid TAG: a GUID made from the content, as text; the same content has the
# same GUIDs, another release has others.
guid() {
  local hex
  hex=$(echo "$1 $content" | sha256sum)
  echo "${hex:0:8}-${hex:8:4}-4${hex:13:3}-a${hex:17:3}-${hex:20:12}"
}

# guid_bytes GUID: the hex of its bytes on disk; the first three fields are
# little-endian (UEFI 2.10 appendix A).
guid_bytes() {
  local g=${1//-/}
  echo "${g:6:2}${g:4:2}${g:2:2}${g:0:2}${g:10:2}${g:8:2}${g:14:2}${g:12:2}${g:16}"
}

# make_grub KERNEL_ARGUMENTS: no menu, no prefix to search: GRUB's root is the
# partition or, with BIOS, the second partition of the disk it was started from.
make_grub() {
  cat >"$work/grub.cfg" <<CFG
linux /vmlinuz $1 remuda.cidata=$(guid_bytes "$cidata")
initrd /initrd.zst
boot
CFG
  grub-mkimage -O i386-pc -d /usr/lib/grub/i386-pc -p '(,gpt2)/' -c "$work/grub.cfg" \
    -o "$work/core.img" biosdisk part_gpt fat linux
  grub-mkimage -O x86_64-efi -d /usr/lib/grub/x86_64-efi -p / -c "$work/grub.cfg" \
    -o "$work/BOOTX64.EFI" part_gpt fat linux
}

mib() { echo $(((${1} + 1048575) >> 20)); }

# fat FILE LABEL ID MIB: an empty FAT file system.
fat() { mkfs.vfat --invariant -n "$2" -i "$3" -C "$1" $(($4 * 1024)) >/dev/null; }

# make_esp: esp.img of $esp_mib and cidata.img of 2 MiB.
make_esp() {
  esp_mib=$(($(mib $(($(bytes "$work/vmlinuz") + $(bytes "$work/initrd.zst") + $(bytes "$work/BOOTX64.EFI")))) + 1))
  fat "$work/esp.img" ESP "${content:0:8}" "$esp_mib"
  fat "$work/cidata.img" CIDATA "${content:8:8}" 2
  find "$work" -maxdepth 1 -type f -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
  mmd -i "$work/esp.img" ::EFI ::EFI/BOOT
  mcopy -m -i "$work/esp.img" "$work/BOOTX64.EFI" ::EFI/BOOT/
  mcopy -m -i "$work/esp.img" "$work/vmlinuz" "$work/initrd.zst" ::
}

# table_head: the first partitions, for sfdisk.
table_head() {
  cat <<TABLE
label: gpt
label-id: $(guid disk)
start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, uuid=$(guid bios), name=BIOS
size=${esp_mib}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=$(guid esp), name=ESP
size=2MiB, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, uuid=$cidata, name=CIDATA
TABLE
}

# put FILE MIB: into the disk.
put() { dd if="$work/$1" of="$work/disk.raw" bs=1M seek="$2" conv=notrunc,sparse status=none; }

# put_head: what table_head has described.
put_head() {
  put core.img 1
  put esp.img 2
  put cidata.img $((2 + esp_mib))
}

# poke OFFSET HEX: bytes into the disk.
poke() { printf "$(sed 's/../\\x&/g' <<<"$2")" | dd of="$work/disk.raw" bs=1 seek="$1" conv=notrunc status=none; }

# little BYTES NUMBER: hex, little-endian.
little() { printf "%0$(($1 * 2))x" "$2" | fold -w2 | tac | tr -d '\n'; }

# make_bootable does what grub-bios-setup does, which wants a block device and
# root: boot.img learns where core.img is (offset 5Ch; the two NOPs at 66h keep
# it from second-guessing the BIOS's drive number), and the first sector of
# core.img where its other sectors are (the block list that ends at 200h).
make_bootable() {
  local lba=2048 sectors
  sectors=$((($(bytes "$work/core.img") + 511) / 512))
  dd if=/usr/lib/grub/i386-pc/boot.img of="$work/disk.raw" bs=440 count=1 conv=notrunc status=none
  poke $((0x5c)) "$(little 8 $lba)"
  poke $((0x66)) 9090
  poke $((lba * 512 + 500)) "$(little 8 $((lba + 1)))$(little 2 $((sectors - 1)))"
}
