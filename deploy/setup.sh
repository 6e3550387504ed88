#!/bin/sh
# Sets up this machine: sh deploy/setup.sh [unit] [lab] [test] [build] [deploy] [kube] [go]. Without a word only the npm packages, Node 26 among them.
# Quick and silent where nothing is missing. It needs any Node with npm 9 or newer, and root or sudo where system packages are missing.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${REMUDA_CACHE:-$HOME/.cache/remuda}

say() { echo "setup: $*" >&2; }
die() {
  say "$*"
  exit 1
}

[ "$(uname -s)" = Linux ] ||
  die "Remuda runs on Linux only, and this is $(uname -s): it needs Linux's packet sockets and network namespaces. A virtual machine will do."
case $(uname -m) in
  x86_64 | amd64) node_arch=x64 go_arch=amd64 ;;
  aarch64 | arm64) node_arch=arm64 go_arch=arm64 ;;
  *) die "there is no Node 26 in the npm registry for $(uname -m); x86_64 and aarch64 have one" ;;
esac

# One set-up at a time; the others wait. Started programs must not keep the lock: they get `9>&-`.
alone() {
  # Once is enough: a second lock in a subshell would wait for the first.
  [ -z "${is_alone:-}" ] || return 0
  is_alone=yes
  mkdir -p "$cache/locks"
  exec 9>"$cache/locks/setup"
  flock 9
}

# ---- npm packages -------------------------------------------------------------------------------------------------------------------

# The lock file was installed as it is now, and Node 26 starts.
node_ready() {
  [ -x "$root/node_modules/.bin/node" ] && [ "$(cat "$root/node_modules/.remuda-lock" 2>/dev/null)" = "$(cksum <"$root/package-lock.json")" ]
}

# Without the folder that npm is about to replace: npm must not run by the very Node it deletes.
outer_path() {
  echo "$PATH" | tr : '\n' | grep -v '/node_modules/' | paste -s -d : -
}

# No package's install script runs: Node comes as a package of its own (node-linux-*), koffi and better-sqlite3 carry their binaries.
# What npm would say about engines is about the Node that runs npm, and Remuda does not run by that one.
install_node() {
  say "installing the npm packages of package-lock.json"
  PATH=$(outer_path)
  command -v npm >/dev/null || die "npm is missing; any Node from 18 on brings one (Debian: apt-get install npm)"
  (cd "$root" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error 9>&- >&2) || die "npm ci failed; see above"
  # npm 9 and 10 lose this link, because two packages (one per architecture) may own it.
  ln -sfn "../node-linux-$node_arch/bin/node" "$root/node_modules/.bin/node"
  # The one library that Node 26 wants and a small Debian has not.
  "$root/node_modules/.bin/node" --version >/dev/null 2>&1 || set_up_packages node
  "$root/node_modules/.bin/node" --version >/dev/null ||
    die "Node 26 does not start here, see above; it needs glibc 2.28 or newer (not musl) and libatomic"
  cksum <"$root/package-lock.json" >"$root/node_modules/.remuda-lock"
}

# ---- system packages ----------------------------------------------------------------------------------------------------------------

# Debian's name, what for.
packages_of() {
  case $1 in
    node) echo 'libatomic1 Node 26' ;;
    unit) cat <<'END' ;;
iproute2        networks of their own for tests
util-linux      namespaces for tests
mount           small disks for tests
END
    lab) cat <<'END' ;;
qemu-system-x86 virtual servers
ovmf            their UEFI firmware
ipxe-qemu       their network cards' boot ROMs
isc-dhcp-relay  a second subnet
openssh-client  to log into an installed system
iproute2        the private bridge
busybox-static  the ramdisk
kmod            the ramdisk
cpio            the ramdisk
zstd            the ramdisk
mtools          the OS image
dosfstools      the OS image
fdisk           the OS image
grub-common     the OS image
grub-pc-bin     the OS image
grub-efi-amd64-bin the OS image
mmdebstrap      the Debian image
squashfs-tools  the Debian image
gcc             the Kubernetes image
libc6-dev       the Kubernetes image
python3         to test what the Kubernetes image says of itself
debian-archive-keyring the Debian image
util-linux      namespaces and locks
END
    test) cat <<'END' ;;
isc-dhcp-client a foreign DHCP client
openssh-client  to log into an installed system
udhcpc          a foreign DHCP client
tftp-hpa        a foreign TFTP client
curl            a foreign HTTP client
python3         foreign Redfish and IPMI clients
python3-venv    foreign Redfish and IPMI clients
python3-pip     foreign Redfish and IPMI clients
ipmitool        a foreign IPMI client
freeipmi-tools  foreign IPMI clients
openipmi        a foreign IPMI BMC
isc-dhcp-relay  a foreign DHCP relay
dnsmasq-base    a foreign DHCP server
qemu-utils      images of other formats
xz-utils        images of other formats
mount           small disks for tests
END
    build) cat <<'END' ;;
busybox-static  the ramdisk
kmod            the ramdisk
cpio            the ramdisk
zstd            the ramdisk
END
    deploy) cat <<'END' ;;
mmdebstrap      the base of a container image
buildah         container images
docker-compose  the compose file
vagrant         the Vagrantfile
vagrant-libvirt the Vagrantfile
systemd         the unit
END
    kube) cat <<'END' ;;
util-linux      processes that end with their starter
iproute2        a cable into a rack
curl            a foreign HTTP client
openssl         the request of a kubelet
END
    fetch) cat <<'END' ;;
curl            to fetch the Go tool chain
ca-certificates to fetch the Go tool chain
unzip           to unpack the Go tool chain
END
  esac
}

# Those of the groups that are not installed, as `name what for`.
missing_packages() {
  wanted=$(for group; do packages_of "$group"; done | awk '!seen[$1]++')
  # shellcheck disable=SC2046 # one word per name
  present=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $(echo "$wanted" | awk '{ print $1 }') 2>/dev/null | awk '$1 == "installed" { print $2 }') || :
  printf '%s\n' "$wanted" | awk -v present="$present" 'BEGIN { n = split(present, p, "\n"); for (i = 1; i <= n; i++) have[p[i]] = 1 } !($1 in have)'
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# What apt says goes to a file, and is shown where it failed. SYSTEMD_OFFLINE: no service of a package that is only a judge is started.
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" 9>&- </dev/null >"$cache/apt.log" 2>&1
}

# `qemu-system-x86, ovmf (virtual servers), …`: one line.
reasons() {
  awk '{ name = $1; $1 = ""; sub(/^ /, ""); if (!($0 in names)) order[++n] = $0; names[$0] = names[$0] (names[$0] == "" ? "" : ", ") name }
    END { for (i = 1; i <= n; i++) printf "%s%s (%s)", (i > 1 ? "; " : ""), names[order[i]], order[i]; print "" }'
}

install_packages() {
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "missing here: $(echo "$missing" | reasons)"
  names=$(echo "$missing" | awk '{ print $1 }' | paste -s -d ' ' -)
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "neither root nor sudo; run as root: apt-get install --no-install-recommends $names"
  say "installing them with apt-get (its words: $cache/apt.log)"
  # shellcheck disable=SC2086 # one word per name
  apt install -y --no-install-recommends $names || {
    say "trying again with fresh package lists"
    apt update && apt install -y --no-install-recommends $names
  } || {
    tail -n 20 "$cache/apt.log" >&2
    die "apt-get could not install $names"
  }
  [ -z "$(missing_packages "$@")" ] || die "apt-get ended well, but still missing: $(missing_packages "$@" | reasons)"
}

# Other distributions: which programs tell that everything is there, and a recipe. Not tried; and the images take their kernel from apt.
programs_of() {
  case $1 in
    node) ;;
    unit) echo ip unshare mount ;;
    lab) echo qemu-system-x86_64 ip busybox depmod cpio zstd mcopy mkfs.vfat sfdisk grub-mkimage ;;
    build) echo busybox depmod cpio zstd ;;
    deploy) echo mmdebstrap buildah docker-compose vagrant systemd-analyze ;;
    test) echo dhclient udhcpc tftp curl python3 ipmitool ipmipower ipmi_sim dhcrelay dnsmasq qemu-img xz ;;
    kube) echo setpriv ip curl openssl ;;
    fetch) echo curl unzip ;;
  esac
}
recipe() {
  if command -v dnf >/dev/null; then
    echo "dnf install qemu-system-x86-core edk2-ovmf ipxe-roms-qemu iproute busybox kmod cpio zstd mtools dosfstools util-linux grub2-tools grub2-pc-modules grub2-efi-x64-modules dhcp-client udhcpc tftp curl unzip python3-pip ipmitool freeipmi OpenIPMI-lanserv dhcp-relay dnsmasq qemu-img xz"
  elif command -v pacman >/dev/null; then
    echo "pacman -S qemu-system-x86 edk2-ovmf iproute2 busybox kmod cpio zstd mtools dosfstools util-linux grub dhclient udhcp tftp-hpa curl unzip python-pip ipmitool freeipmi openipmi dhcp dnsmasq"
  elif command -v zypper >/dev/null; then
    echo "zypper install qemu-x86 qemu-ovmf-x86_64 qemu-ipxe iproute2 busybox-static kmod cpio zstd mtools dosfstools util-linux grub2 grub2-i386-pc grub2-x86_64-efi dhcp-client udhcp tftp curl unzip python3-pip ipmitool freeipmi OpenIPMI dhcp-relay dnsmasq"
  else
    echo "(no recipe for this distribution)"
  fi
}
check_programs() {
  absent=$(for group; do for program in $(programs_of "$group"); do PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || echo "$program"; done; done | paste -s -d ' ' -)
  [ -z "$absent" ] || die "missing here: $absent. This system has no apt; not tried, but it should be: $(recipe)"
}

set_up_packages() {
  if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    [ -n "$(missing_packages "$@")" ] || return 0
    alone
    install_packages "$@"
  else
    check_programs "$@"
  fi
}

# ---- Go, for the agent --------------------------------------------------------------------------------------------------------------

go_version=1.26.8
# SHA-256 of golang.org/toolchain@v0.0.1-go1.26.8.linux-ARCH.zip: the tool chain as the Go project publishes it, as a Go module.
go_digest() {
  case $1 in
    amd64) echo 30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7 ;;
    arm64) echo 02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99 ;;
  esac
}

# Whether this Go builds the agent: as new as its go.mod says, or able to fetch one that is (GOTOOLCHAIN=auto, from Go 1.21 on).
go_builds_agent() {
  have=$("$1" version 2>/dev/null | sed -n 's/^go version go\([0-9]*\.[0-9]*\).*/\1/p')
  want=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' "$root/images/agent/go.mod")
  [ -n "$have" ] || return 1
  [ "${have%.*}" -eq 1 ] || return 0
  [ "${have#*.}" -lt "${want#*.}" ] || return 0
  [ "${have#*.}" -ge 21 ] && [ "$("$1" env GOTOOLCHAIN)" = auto ]
}

# The first module proxy of Go's own settings.
go_proxy() {
  proxies=${GOPROXY:-$(sed -n 's/^GOPROXY=//p' "$HOME/.config/go/env" 2>/dev/null || :)}
  proxy=$(printf '%s\n' "${proxies:-https://proxy.golang.org}" | tr ',|' '\n\n' | grep -m 1 '^https\{0,1\}:' || echo https://proxy.golang.org)
  echo "${proxy%/}"
}

install_go() {
  set_up_packages fetch
  say "no Go that builds the agent; fetching Go $go_version into $cache/go"
  new=$cache/go.new.$$
  name=golang.org/toolchain@v0.0.1-go$go_version.linux-$go_arch
  mkdir -p "$new"
  trap 'rm -rf "$new"' EXIT
  curl --fail --silent --show-error --location --retry 3 --output "$new/go.zip" \
    "$(go_proxy)/golang.org/toolchain/@v/v0.0.1-go$go_version.linux-$go_arch.zip" 9>&- ||
    die "Go could not be fetched; install Go ${go_version%.*} or newer yourself, or set GOPROXY to a module proxy that can be reached"
  echo "$(go_digest "$go_arch")  $new/go.zip" | sha256sum --check --status || die "the fetched Go is not the one we know: its SHA-256 differs"
  unzip -q "$new/go.zip" -d "$new/unpacked"
  # A module holds neither modes nor further go.mod files; the go command would put both right in the same way.
  find "$new/unpacked/$name" -name _go.mod | while read -r file; do mv "$file" "${file%_go.mod}go.mod"; done
  chmod -R a+x "$new/unpacked/$name/bin" "$new/unpacked/$name/pkg/tool"
  "$new/unpacked/$name/bin/go" version >/dev/null || die "the fetched Go does not start"
  rm -rf "$cache/go"
  mv "$new/unpacked/$name" "$cache/go"
  rm -rf "$new"
  trap - EXIT
}

set_up_go() {
  for go in go /usr/local/go/bin/go "$cache/go/bin/go"; do
    command -v "$go" >/dev/null && go_builds_agent "$go" && return 0
  done
  alone
  # Another set-up may have brought it while we waited.
  if [ -x "$cache/go/bin/go" ] && go_builds_agent "$cache/go/bin/go"; then return 0; fi
  install_go
}

# -------------------------------------------------------------------------------------------------------------------------------------

node_ready || {
  alone
  node_ready || (install_node)
}
groups=
for group; do
  case $group in
    go) set_up_go ;;
    kube)
      set_up_go
      groups="$groups kube"
      ;;
    unit | lab | test | build | deploy) groups="$groups $group" ;;
    *) die "there is no group '$group'; there are unit, lab, test, build, deploy, kube and go" ;;
  esac
done
# shellcheck disable=SC2086 # one word per group
[ -z "$groups" ] || set_up_packages $groups
