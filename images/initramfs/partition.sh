# How an initramfs finds the partitions of the disk it was started from, and the
# seed on it. To be sourced after hardware.sh.

# own_partition NAME GUID: the device of the partition with this name whose GPT
# unique id is GUID, in the hex of its bytes. The id is made from the image's
# content and named by the boot loader: another disk may have a partition of
# the same name.
own_partition() {
  for place in $(grep -ls "^PARTNAME=$1\$" /sys/class/block/*/uevent); do
    part=${place%/uevent}
    number=$(cat "$part/partition")
    part=$(readlink -f "$part")
    parent=${part%/*}
    # GPT entries of 128 bytes begin at block 2; the unique id is at 16
    # (UEFI 2.10 §5.3.3).
    id=$(dd if="/dev/${parent##*/}" bs=16 skip=$(((1024 + (number - 1) * 128 + 16) / 16)) count=1 2>/dev/null |
      od -An -tx1 | tr -d ' \n')
    [ "$id" = "$2" ] && echo "/dev/${part##*/}" && return
  done
  return 1
}

# await_partition NAME GUID: the same, with ten seconds of patience for slow
# controllers.
await_partition() {
  tries=0
  until own_partition "$1" "$2"; do
    [ $tries = 100 ] && return 1
    tries=$((tries + 1))
    sleep 0.1
    load_drivers
  done
}

# mount_cidata: the seed's file system, read-only, at /run/cidata.
mount_cidata() {
  cidata=$(await_partition CIDATA "$(cmdline remuda.cidata)") || {
    say "no CIDATA partition on the own disk"
    return 1
  }
  modprobe -a vfat nls_cp437 nls_ascii
  mkdir -p /run/cidata
  mount -t vfat -o ro "$cidata" /run/cidata || {
    say "$cidata could not be mounted"
    return 1
  }
}
