#!/bin/bash
# agent/build.sh OUTDIR: writes OUTDIR/agent, one static program.
. "$(dirname "$0")/../lib.sh"

[ $# = 1 ] || die "usage: agent/build.sh OUTDIR"
need go=golang
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$images/agent"
CGO_ENABLED=0 GOFLAGS='-buildvcs=false -trimpath -modcacherw' GOOS=linux GOARCH=amd64 \
  go build -ldflags '-s -w -buildid=' -o "$out/agent" .
