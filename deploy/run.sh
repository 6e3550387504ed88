#!/bin/sh
# Sets up what a command needs, then runs it: sh deploy/run.sh COMMAND [ARGUMENTS]. The scripts of package.json all come here.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${REMUDA_CACHE:-$HOME/.cache/remuda}
command=${1:?"which command? See the scripts in package.json"}
shift

set_up() { sh "$root/deploy/setup.sh" "$@"; }
# Ours before the machine's: Node 26 from the lock file, and the Go that the set-up fetched because the machine had none that fits.
# Compiled code is kept: every command starts sooner and needs less memory.
export NODE_COMPILE_CACHE="$cache/node"
# glibc otherwise keeps what each thread has freed, and large buffers too.
export MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=262144
export PATH="$root/node_modules/.bin:$([ -d "$cache/go/bin" ] && echo "$cache/go/bin:" || :)$PATH:/usr/sbin:/sbin"

check() {
  echo "check: types"
  tsc --noEmit -p .
  echo "check: lint"
  oxlint --type-aware --quiet src test
  echo "check: format"
  oxfmt --check src test
}
# What makes network namespaces needs root; whoever has sudo is asked for it once.
as_root() {
  [ "$(id -u)" != 0 ] || exec "$@"
  command -v sudo >/dev/null || { echo "this makes network namespaces: run it as root, or install sudo" >&2; exit 1; }
  exec sudo env "PATH=$PATH" "HOME=$HOME" "NODE_COMPILE_CACHE=$NODE_COMPILE_CACHE" "REMUDA_CACHE=$cache" "$@"
}
# No test may depend on where and in which language it runs.
tests() { as_root env TZ=UTC LC_ALL=C.UTF-8 node test/run.ts "$@"; }

case $command in
  remuda)
    set_up
    # npm runs scripts in the folder of package.json; paths are meant from where the person stands.
    cd "${INIT_CWD:-$PWD}"
    exec node --max-semi-space-size=2 "$root/src/main.ts" "$@"
    ;;
  lab)
    # A cluster, and a plane, want Kubernetes itself.
    case " $* " in
      *" --cluster "* | " plane "*) set_up lab kube ;;
      *) set_up lab go ;;
    esac
    cd "$root"
    as_root node src/main.ts lab "$@"
    ;;
esac
cd "$root"
case $command in
  check)
    set_up
    check
    ;;
  test)
    set_up unit lab test build deploy kube
    check
    tests all "$@"
    ;;
  test:unit)
    set_up unit
    TZ=UTC LC_ALL=C.UTF-8 exec node test/run.ts unit "$@"
    ;;
  test:interop)
    set_up unit test go
    tests interop "$@"
    ;;
  test:kubernetes)
    set_up unit kube
    tests kubernetes "$@"
    ;;
  test:deploy)
    set_up unit build deploy go
    tests deploy "$@"
    ;;
  test:appliance)
    set_up unit test
    tests appliance "$@"
    ;;
  test:lab)
    set_up unit lab kube
    tests images cluster lab "$@"
    ;;
  sim)
    set_up
    TZ=UTC LC_ALL=C.UTF-8 exec node test/sim/run.ts "$@"
    ;;
  bench)
    set_up unit lab test go
    as_root env TZ=UTC LC_ALL=C.UTF-8 node test/bench/run.ts "$@"
    ;;
  *)
    echo "there is no command '$command'; see the scripts in package.json" >&2
    exit 2
    ;;
esac
