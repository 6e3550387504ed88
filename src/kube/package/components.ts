/** `infrastructure-components.yaml`: all that `clusterctl init` puts into a management cluster. */
import { definitions } from '../schema/definitions.ts';
import { crdOf, providerLabels } from '../schema/crd.ts';
import { templatePolicy } from './admission.ts';
import { clusterRights, ownRights, ruleOf } from './rights.ts';
import type { Manifest } from './text.ts';
import { variable } from './variables.ts';

const namespace = 'remuda-system';
const account = 'remuda-controller';
/** Without a namespace of their own: clusterctl takes away only what begins with the provider's. */
const clusterRole = `${namespace}-controller`;
const labels = providerLabels;
/** What tells the pods of the controller from others. */
const podLabels = { ...labels, 'control-plane': 'remuda-controller' };
const named = (name: string): Manifest['metadata'] => ({ name, namespace, labels });

const access: readonly Manifest[] = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: named(account) },
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: named('remuda-leader-election'), rules: ownRights.map(ruleOf) },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: named('remuda-leader-election'),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'remuda-leader-election' },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: clusterRole, labels },
    rules: clusterRights.map(ruleOf),
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: clusterRole, labels },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: clusterRole },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  },
];

const daemonSecret: Manifest = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: named('remuda-daemon'),
  type: 'Opaque',
  data: { 'ca.crt': variable('REMUDA_CA_B64') },
  stringData: { token: variable('REMUDA_TOKEN') },
};

const healthPort = 9440;
const probe = (path: string): object => ({ httpGet: { path, port: 'health' }, periodSeconds: 10, timeoutSeconds: 5 });
/** `clusterctl` looks for a container of the name `manager`. */
const container = (version: string): object => ({
  name: 'manager',
  image: variable('REMUDA_CONTROLLER_IMAGE', version),
  imagePullPolicy: 'IfNotPresent',
  args: [
    'controller',
    `--url=${variable('REMUDA_URL')}`,
    `--${variable('REMUDA_TRUST')}`,
    '--token-file=/etc/remuda/daemon/token',
    variable('REMUDA_SCOPE'),
    `--pools=${variable('REMUDA_POOLS')}`,
    `--reuse=${variable('REMUDA_REUSE')}`,
    '--leader-election-namespace=$(POD_NAMESPACE)',
    `--health-listen=0.0.0.0:${healthPort}`,
    `--log=${variable('REMUDA_LOG')}`,
  ],
  env: [{ name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } }],
  ports: [{ name: 'health', containerPort: healthPort, protocol: 'TCP' }],
  livenessProbe: { ...probe('/healthz'), initialDelaySeconds: 15 },
  readinessProbe: probe('/readyz'),
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsUser: 65_532,
    runAsGroup: 65_532,
  },
  volumeMounts: [
    { name: 'daemon', mountPath: '/etc/remuda/daemon', readOnly: true },
    { name: 'tmp', mountPath: '/tmp' },
  ],
});
const deployment = (version: string): Manifest => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'remuda-controller', namespace, labels: podLabels },
  spec: {
    replicas: variable('REMUDA_CONTROLLER_REPLICAS'),
    selector: { matchLabels: podLabels },
    template: {
      metadata: { labels: podLabels },
      spec: {
        serviceAccountName: account,
        terminationGracePeriodSeconds: 20,
        securityContext: { runAsNonRoot: true, fsGroup: 65_532, seccompProfile: { type: 'RuntimeDefault' } },
        tolerations: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists', effect: 'NoSchedule' }],
        containers: [container(version)],
        volumes: [
          { name: 'daemon', secret: { secretName: daemonSecret.metadata.name, defaultMode: 0o440 } },
          { name: 'tmp', emptyDir: {} },
        ],
      },
    },
  },
});

/** In the order in which they are of use. */
export const components = (version: string): readonly object[] => [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' } },
  },
  ...definitions.map(crdOf),
  ...templatePolicy(labels),
  ...access,
  daemonSecret,
  deployment(version),
];
