# What both initramfs have in common at boot. To be sourced by busybox sh.

export PATH=/bin

# say WORDS: one line for a person, with the seconds since boot.
say() {
  read -r up rest </proc/uptime
  printf '[%8s] %s: %s\n' "$up" "$program" "$*"
}

mount_kernel() {
  mount -t devtmpfs dev /dev 2>/dev/null
  mount -t proc proc /proc
  mount -t sysfs sys /sys
  mount -t tmpfs -o mode=755 run /run
}

# cmdline NAME: the value of the last NAME=value on the kernel's command line.
cmdline() {
  for word in $(cat /proc/cmdline); do
    case $word in "$1="*) value=${word#*=} ;; esac
  done
  echo "$value"
  value=
}

aliases() { cat /sys/bus/*/devices/*/modalias 2>/dev/null | sort -u; }

# load_drivers: the modules of all devices there are. Buses show their devices
# only when their own driver is there, hence the rounds.
load_drivers() {
  for round in 1 2 3 4 5; do
    now=$(aliases)
    [ "$now" = "$known" ] && return
    known=$now
    modprobe -q -a -b $now 2>/dev/null
  done
}

# late_drivers SECONDS: controllers that take long to find their disks.
late_drivers() {
  for second in $(seq "$1"); do
    sleep 1
    load_drivers
  done
}

# nics: the hardware interfaces.
nics() {
  for nic in /sys/class/net/*; do
    [ -e "$nic/device" ] && echo "${nic##*/}"
  done
}

# lease NIC CLASS: DHCP in the background; waits a few seconds for the first
# lease and goes on trying, and renewing, after that.
lease() {
  [ -e "/run/lease.$1" ] && return
  : >"/run/lease.$1"
  udhcpc -b -i "$1" -V "$2" -s /lib/lease -t 5 -T 1 -A 2 >/dev/null 2>&1
}
