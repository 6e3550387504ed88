#!/bin/sh
# The Debian archives that this system's apt is configured with, as `SUITE URI` lines: sh deploy/mirrors.sh
# From the sources alone: package lists need not be there yet.
set -eu
export LC_ALL=C
apt-get --print-uris -q update 2>/dev/null | sed -n "s#^'\([^']*\)/dists/\([^/']*\)/InRelease'.*#\2 \1#p" | grep -i debian | sort -u
