#!/bin/sh
# Two hosts joined by one cable, each in a network namespace: `sh two-hosts.sh NODE`, itself started in an empty one. Both ends go with it.
node=$1
here=$(dirname "$0")
ip link set lo up
unshare --net -- sleep 60 &
client=$!
trap 'kill $client' EXIT
until [ "$(readlink /proc/$client/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
there() { nsenter --net=/proc/$client/ns/net -- "$@"; }
ip link add cable0 type veth peer name cable1
ip link set cable1 netns $client
ip addr add 10.77.0.1/24 dev cable0
ip link set cable0 up
there ip link set lo up
there ip link set cable1 address 52:54:00:00:00:01 up
there ip addr add 10.77.0.50/24 dev cable1
# Nobody finds the client by its address alone, as before its lease: it answers no ARP.
there sh -c 'echo 8 > /proc/sys/net/ipv4/conf/all/arp_ignore'
"$node" "$here/two-hosts.ts" server &
server=$!
there "$node" "$here/two-hosts.ts" client
wait $server
