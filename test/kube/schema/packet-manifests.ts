/** Manifests that users of cluster-api-provider-packet have, unchanged but for the variables that clusterctl fills in. */

export interface OldManifest {
  readonly origin: string;
  readonly text: string;
}
export const oldManifests: readonly OldManifest[] = [
  {
    origin: 'cluster-api-provider-packet v0.9.0, templates/cluster-template.yaml',
    text: `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketCluster
metadata:
  name: capi-quickstart
spec:
  metro: da
  projectID: 2b54ed42-6ed3-4c96-8e66-7d2d1a3c1d3e
  vipManager: CPEM
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketMachineTemplate
metadata:
  name: capi-quickstart-control-plane
spec:
  template:
    spec:
      billingCycle: hourly
      machineType: m3.small.x86
      os: ubuntu_20_04
      sshKeys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE somebody@example.org
      tags: []
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketMachineTemplate
metadata:
  name: capi-quickstart-worker-a
spec:
  template:
    spec:
      billingCycle: hourly
      machineType: m3.small.x86
      os: ubuntu_20_04
      sshKeys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE somebody@example.org
      tags: []
`,
  },
  {
    origin: 'cluster-api-provider-packet v0.9.0, templates/cluster-template-kube-vip.yaml and cluster-template-emlb.yaml',
    text: `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketCluster
metadata:
  name: vip
spec:
  metro: da
  projectID: 2b54ed42-6ed3-4c96-8e66-7d2d1a3c1d3e
  vipManager: KUBE_VIP
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketCluster
metadata:
  name: emlb
spec:
  metro: da
  projectID: 2b54ed42-6ed3-4c96-8e66-7d2d1a3c1d3e
  vipManager: EMLB
`,
  },
  {
    origin: 'cluster-api-provider-packet v0.9.0, README.md, "hardware reservations"',
    text: `
kind: PacketMachineTemplate
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
metadata:
  name: my-cluster-control-plane
  namespace: default
spec:
  template:
    spec:
      billingCycle: hourly
      machineType: c3.small.x86
      os: ubuntu_20_04
      sshKeys:
        - 'your-sshkey-here'
      hardwareReservationID: "b537c5aa-2ef3-11ed-a261-0242ac120002,b537c5aa-2ef3-11ed-a261-0242ac120002"
      tags: []
`,
  },
  {
    origin: 'cluster-api-provider-packet v0.9.0, docs/concepts/machine.md',
    text: `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketMachine
metadata:
  name: "qa-controlplane-0"
spec:
  os: "ubuntu_20_04"
  billingCycle: hourly
  machineType: "c3.small.x86"
  sshKeys:
  - "Your SSH public key"
  tags: []
`,
  },
  {
    origin: 'cluster-api-provider-packet v0.6.0, templates/cluster-template.yaml (facility, no vipManager)',
    text: `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketCluster
metadata:
  name: old
spec:
  projectID: "2b54ed42-6ed3-4c96-8e66-7d2d1a3c1d3e"
  facility: "dc13"
---
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketMachineTemplate
metadata:
  name: old-worker-a
spec:
  template:
    spec:
      os: "ubuntu_18_04"
      billingCycle: hourly
      machineType: "c3.small.x86"
      sshKeys:
        - ""
      tags: []
`,
  },
  {
    origin: 'cluster-api-provider-packet v0.9.0: a PacketMachine as its controller leaves it (api/v1beta1/packetmachine_types.go)',
    text: `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: PacketMachine
metadata:
  name: capi-quickstart-control-plane-x7x2k
  finalizers: [packetmachine.infrastructure.cluster.x-k8s.io]
spec:
  billingCycle: hourly
  machineType: m3.small.x86
  metro: da
  os: ubuntu_20_04
  providerID: equinixmetal://7c1a9a5e-5d2a-4d8a-9d5b-0d6f5a2c9b11
  tags: []
status:
  ready: true
  instanceStatus: active
  addresses:
  - { type: ExternalIP, address: 192.0.2.10 }
  - { type: InternalIP, address: 10.0.0.10 }
  conditions:
  - { type: Ready, status: "True", lastTransitionTime: "2024-07-19T10:00:00Z" }
  - { type: InstanceReady, status: "False", severity: Error, reason: InstanceProvisionFailed, message: no, lastTransitionTime: "2024-07-19T10:00:00Z" }
`,
  },
];
