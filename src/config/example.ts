/** The configuration as an example with every setting: what `remuda config example` prints. Lines of `#name: value` are settings at rest. */

/** The least that serves one network. */
export const minimalExample = `# The least that serves one network. All settings: remuda config example
boot:
  agent: /opt/remuda/share/agent
  firmware: /opt/remuda/share/firmware
subnets:
  - interface: eth1
    cidr: 10.77.0.0/24
    serverAddress: 10.77.0.1
    pool: { from: 10.77.0.100, to: 10.77.0.199 }
`;

export const fullExample = `# Remuda's configuration: /etc/remuda/remuda.yaml
# Check it:   remuda config check /etc/remuda/remuda.yaml
# After a change: remuda reload (or SIGHUP); it says what needs a restart instead.
# A line that begins with # and no space is a setting with the value that it has when it is left out, or an example of one.

# Where the database and the images live.
#data: /var/lib/remuda

# The key that seals secrets in the database (64 hex digits). Left out, it is made at the first start as data/key; keep a copy of it elsewhere.
#keyFile: /etc/remuda/key
# Earlier keys, while secrets are sealed anew.
#oldKeyFiles: [/etc/remuda/key.old]

# The Unix socket of the API: whoever may open it is an administrator.
#socket: /run/remuda/remuda.sock

# The API on TCP, where everybody needs a token: remuda token create. TLS is none on loopback, elsewhere self-signed (the log tells its
# fingerprint) or files.
#api:
#  listen:
#    - { address: 127.0.0.1, port: 7470 }
#    - { address: 10.0.0.2, port: 7471, tls: self-signed }
#    - { address: 10.0.1.2, port: 7471, tls: { certificate: /etc/remuda/api.pem, key: /etc/remuda/api.key } }
  # Names with dots by which people call this daemon.
#  names: [remuda.example.com]
  # /metrics without a token.
#  publicMetrics: false
# The same as one loopback listener under api.listen, as older configurations have it.
#admin: { address: 127.0.0.1, port: 7472 }

# What machines load first, and how they reach us.
boot:
  # Folder with vmlinuz, initrd.zst and ramdisk.json: the agent that inspects and installs.
  agent: /opt/remuda/share/agent
  # Folder with undionly.kpxe and snponly.efi.
  firmware: /opt/remuda/share/firmware
  # Plain HTTP for firmware, and TLS for agents, on the address of each subnet.
  #httpPort: 7480
  #agentPort: 7443
  # Added to the agent's kernel command line: consoles, drivers.
  #kernelArguments: console=ttyS1,115200n8

# The networks that hosts boot from. Each is ours alone: no other DHCP server may answer there.
subnets:
  - interface: eth1
    cidr: 10.77.0.0/24
    # Our own address in it; the interface must have it.
    serverAddress: 10.77.0.1
    # Addresses for machines without a reservation.
    pool:
      from: 10.77.0.100
      to: 10.77.0.199
    #leaseSeconds: 3600
    # What clients are told beside their address.
    #router: 10.77.0.254
    #dns: [10.77.0.2, 10.77.0.3]
    #domain: rack1.example
    #ntp: [10.77.0.2]
    #mtu: 1500
    # Any other DHCP option by its number, in hex: option 252, say.
    #raw: { 252: '687474703a2f2f7761642f' }
    # An address of its own for a MAC; options here win over those of the subnet, those of the host win over both.
    #reservations:
    #  - mac: 52:54:00:12:34:56
    #    address: 10.77.0.20
    #    hostName: db-1
    #    router: 10.77.0.253
    #    dns: [10.77.0.2]
    #    domain: db.example
    #    ntp: [10.77.0.2]
    #    mtu: 9000
    #    raw: { 252: '687474703a2f2f7761642f' }
  # A network behind a DHCP relay: no interface of ours is in it.
  #- relay:
  #    # The interface at which the relay's packets arrive, and which relays may ask (any with an address in the network when left out).
  #    via: eth1
  #    addresses: [10.78.0.1]
  #  cidr: 10.78.0.0/24
  #  pool: { from: 10.78.0.100, to: 10.78.0.199 }
  #  router: 10.78.0.1

# Machines that are accepted without asking, by MAC or the beginning of one.
#accept:
#  macs: ['52:54:00:*']

# Whose images are run, and from where they may be fetched.
#images:
#  # Keys whose signatures count: PEM, or the line between its first and its last. Make a pair by: remuda image key generate
#  trust:
#    - name: builders
#      publicKey: MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
#  # Refuse every image that none of them has signed, at import and at each claim.
#  requireSignature: false
#  sources:
#    # Private networks and hosts that images may be fetched from; without it public addresses only.
#    allowPrivate: [10.0.0.0/8, images.rack1.example]
#    # Take images by https: alone, without a hash or a signature.
#    allowUnpinned: false

# The Cluster API provider: machines of a Kubernetes management cluster become claims of this rack. See docs/cluster-api.md.
#kubernetes:
#  # How the API server is reached; in-cluster where the daemon runs in a pod.
#  kubeconfig: /etc/remuda/kubeconfig
#  context: management
#  # Only machines of this namespace; only objects with this label cluster.x-k8s.io/watch-filter.
#  namespace: metal
#  watchFilter: rack1
#  # Which pools of hosts a namespace may claim from; * is every one that is not named.
#  pools: { '*': [default], team-a: [gpu, default] }
#  # The host of a deleted machine is kept so long for the machine that follows it.
#  reuseSeconds: 3600
#  # Where the Lease stands by which several controllers agree on one; false: there is only this one.
#  leaderElection: { namespace: remuda-system }
#  # Where Cluster API asks for in-place updates: an address that its managers reach.
#  extension: { address: 10.0.0.2, port: 7444 }

# Limits by their names; the table is in the documentation.
#limits:
#  bmcTimeoutMs: 10000
#  stepTries: 3

# debug, info, warn, error
#log: info
`;
