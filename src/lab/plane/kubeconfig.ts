/** A kubeconfig as kubectl and every client of Kubernetes read it. */

export interface Kubeconfig {
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  /** PEM */
  readonly ca: string;
  readonly token: string;
}
/** The file's text; JSON is YAML. */
export const kubeconfigText = ({ server, ca, token }: Kubeconfig, name: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    contexts: [{ name, context: { cluster: name, user: name } }],
    clusters: [{ name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
  });
