#!/bin/sh
# Makes the appliance of the Vagrantfile: sh appliance.sh ADDRESS
set -eu
address=$1
subnet=${address%.*}

command -v npm >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends npm; }
[ -d /opt/remuda ] || sh /remuda/deploy/package.sh --kernel cloud /opt/remuda
ln -sfn /opt/remuda/bin/remuda /usr/local/bin/remuda
interface=$(ip -o -4 addr show to "$address" | awk '{ print $2; exit }')
mkdir -p /etc/remuda
[ -e /etc/remuda/remuda.yaml ] || cat >/etc/remuda/remuda.yaml <<END
boot:
  agent: /opt/remuda/share/agent
  firmware: /opt/remuda/share/firmware
subnets:
  - interface: $interface
    cidr: $subnet.0/24
    serverAddress: $address
    pool: { from: $subnet.100, to: $subnet.199 }
END
cp /opt/remuda/share/systemd/remuda.sysusers /usr/lib/sysusers.d/remuda.conf
systemd-sysusers
cp /opt/remuda/share/systemd/remuda.service /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now remuda
remuda doctor
