#!/bin/sh
# Lays out the appliance as it is installed: sh deploy/package.sh [--kernel generic|cloud] DIRECTORY
#
#   DIRECTORY/bin/remuda      the daemon and its command line
#   DIRECTORY/app             its source, its npm packages, its own Node
#   DIRECTORY/share/agent     kernel and ramdisk of the agent (generic: real servers; cloud: virtual ones only, smaller)
#   DIRECTORY/share/firmware  what hosts load first
#   DIRECTORY/share/systemd   the unit
#   DIRECTORY/share/remuda.yaml  an example configuration
#
# The directory is made whole or not at all, and may be moved. It needs what deploy/setup.sh installs; nothing of the machine is changed.
set -eu
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
kernel=generic
say() { echo "package: $*" >&2; }
# Not in a pipe, where the failure of the first command would be lost.
last_line() { printf '%s\n' "$1" | tail -n 1; }
usage() { echo "usage: sh deploy/package.sh [--kernel generic|cloud] DIRECTORY" >&2; exit 2; }
while [ $# -gt 1 ]; do
  case $1 in
    --kernel) kernel=$2; shift 2 ;;
    *) usage ;;
  esac
done
case ${1:-} in '' | -*) usage ;; esac
case $kernel in generic | cloud) ;; *) usage ;; esac
[ ! -e "$1" ] || { say "$1 is there already; name a directory that is not"; exit 1; }
case $1 in /*) target=$1 ;; *) target=$PWD/$1 ;; esac

sh "$root/deploy/setup.sh" build go
new=$target.new.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new/bin" "$new/app" "$new/share"

say "the daemon"
# What is committed, where this is a clone: a work tree may hold anything.
if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
  (cd "$root" && git archive HEAD src images firmware deploy package.json package-lock.json .npmrc LICENSE) | tar -xf - -C "$new/app"
else
  (cd "$root" && tar -cf - src images firmware deploy package.json package-lock.json .npmrc LICENSE) | tar -xf - -C "$new/app"
fi
# The same npm packages as here, without those that only tests and checks need.
cp -R "$root/node_modules" "$new/app/node_modules"
(cd "$new/app" && npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
for arch in x64 arm64; do
  node=$new/app/node_modules/node-linux-$arch
  [ ! -d "$node" ] || {
    # Of Node only the program: its headers and its npm are not used.
    find "$node" -mindepth 1 -maxdepth 1 ! -name bin ! -name package.json ! -name LICENSE -exec rm -rf {} +
    find "$node/bin" -mindepth 1 ! -name node -delete
    mkdir -p "$new/app/node_modules/.bin"
    ln -sfn "../node-linux-$arch/bin/node" "$new/app/node_modules/.bin/node"
  }
done
cat >"$new/bin/remuda" <<'END'
#!/bin/sh
# A small young generation, memory given back, and compiled code that is kept: less memory, and every command starts sooner.
app=$(dirname "$(dirname "$(readlink -f "$0")")")/app
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=262144
[ -z "${CACHE_DIRECTORY:-}" ] || export NODE_COMPILE_CACHE="$CACHE_DIRECTORY"
exec "$app/node_modules/.bin/node" --max-semi-space-size=2 "$app/src/main.ts" "$@"
END
chmod 755 "$new/bin/remuda"
"$new/bin/remuda" version >/dev/null

say "the agent, with the $kernel kernel"
agent=$(REMUDA_KERNEL=$kernel bash "$root/images/build.sh" ramdisk)
agent=$(last_line "$agent")
mkdir "$new/share/agent"
cp "$agent/vmlinuz" "$agent/initrd.zst" "$agent/ramdisk.json" "$new/share/agent/"
say "what hosts load first"
firmware=$(sh "$root/firmware/build.sh")
cp -R "$(last_line "$firmware")" "$new/share/firmware"
mkdir "$new/share/systemd"
cp "$root"/deploy/systemd/* "$new/share/systemd/"
"$new/bin/remuda" config example >"$new/share/remuda.yaml"

mv "$new" "$target"
trap - EXIT
say "$target is ready ($(du -sh "$target" | cut -f1))"
