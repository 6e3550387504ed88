/** What kubeadm is told on our hosts, and kube-vip as a static pod: the parts that templates and classes share. */
import { variable } from './variables.ts';

/** Host name and provider ID come with the host (NoCloud metadata), so that the Node and its Machine find each other. */
const nodeRegistration = (more: object = {}): object => ({
  name: '{{ ds.meta_data.local_hostname }}',
  kubeletExtraArgs: [{ name: 'provider-id', value: '{{ ds.meta_data.provider_id }}' }],
  ...more,
});
export const joinConfig = { joinConfiguration: { nodeRegistration: nodeRegistration() } };
/** Of a control plane. `withWorkloads`: pods run there too. */
export const controlPlaneConfig = ({ withWorkloads = false } = {}): object => ({
  initConfiguration: { nodeRegistration: nodeRegistration(withWorkloads ? { taints: [] } : {}) },
  joinConfiguration: { nodeRegistration: nodeRegistration(withWorkloads ? { taints: [] } : {}) },
});

const kubeVipPath = '/etc/kubernetes/manifests/kube-vip.yaml';
/** kube-vip in ARP mode: of the control planes one has the address, by a Lease. */
const kubeVipPod = (): string => `apiVersion: v1
kind: Pod
metadata:
  name: kube-vip
  namespace: kube-system
spec:
  hostNetwork: true
  hostAliases:
    - ip: 127.0.0.1
      hostnames: [kubernetes]
  containers:
    - name: kube-vip
      image: ${variable('KUBE_VIP_IMAGE')}
      imagePullPolicy: IfNotPresent
      args: [manager]
      env:
        - { name: address, value: "${variable('CONTROL_PLANE_ENDPOINT_HOST')}" }
        - { name: port, value: "${variable('CONTROL_PLANE_ENDPOINT_PORT')}" }
        - { name: vip_interface, value: "${variable('KUBE_VIP_INTERFACE')}" }
        - { name: vip_subnet, value: "32" }
        - { name: vip_arp, value: "true" }
        - { name: cp_enable, value: "true" }
        - { name: cp_namespace, value: kube-system }
        - { name: svc_enable, value: "false" }
        - { name: vip_leaderelection, value: "true" }
        - { name: vip_leaseduration, value: "15" }
        - { name: vip_renewdeadline, value: "10" }
        - { name: vip_retryperiod, value: "2" }
      securityContext:
        capabilities:
          add: [NET_ADMIN, NET_RAW]
      volumeMounts:
        - { name: kubeconfig, mountPath: /etc/kubernetes/admin.conf }
  volumes:
    - name: kubeconfig
      hostPath: { path: /etc/kubernetes/admin.conf, type: FileOrCreate }
`;
/** In the one line of the host's kubeconfig alone; the path inside the pod stays. */
const swapped = (from: string, to: string): string =>
  `sed -i 's#path: /etc/kubernetes/${from}#path: /etc/kubernetes/${to}#' ${kubeVipPath}`;
/**
 * Since Kubernetes 1.29 admin.conf has no rights until `kubeadm init` has made its binding, which needs the very address that kube-vip is to
 * bring up: the first control plane starts it with super-admin.conf, and goes back afterwards. Only `init` leaves /run/kubeadm/kubeadm.yaml.
 */
export const kubeVip = (): object => ({
  files: [{ path: kubeVipPath, owner: 'root:root', permissions: '0644', content: kubeVipPod() }],
  preKubeadmCommands: [`if [ -e /run/kubeadm/kubeadm.yaml ]; then ${swapped('admin.conf', 'super-admin.conf')}; fi`],
  postKubeadmCommands: [`if [ -e /run/kubeadm/kubeadm.yaml ]; then ${swapped('super-admin.conf', 'admin.conf')}; fi`],
});
