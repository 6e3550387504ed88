/** What the daemon counts and times, as a table: names, what they mean, their labels. `Meter` is how a room reports; /metrics is where it is read. */

interface Metric {
  readonly help: string;
  readonly labels: readonly string[];
}
/** Only ever grow; Prometheus sees them as `remuda_<name>_total`. */
export const counters = {
  api_requests: { help: 'Requests of the admin API, by operation and status', labels: ['action', 'status'] },
  api_refusals: { help: 'Requests that were not let in: no good token, no sufficient role, too many', labels: ['code'] },
  boot_requests: { help: 'Requests of firmware, agents and installed systems, by route and status', labels: ['route', 'status'] },
  boot_tickets: { help: 'Boot scripts given for a ticket, and refused', labels: ['outcome'] },
  image_bytes: { help: 'Bytes of image chunks that agents were answered', labels: [] },
  power_commands: { help: 'Commands to BMCs: settled, unsettled, or the code of the failure', labels: ['wanted', 'outcome'] },
  control_runs: { help: 'Activations of the control loop, by result', labels: ['result'] },
  host_transitions: { help: 'Changes of state of hosts', labels: ['from', 'to'] },
  boots: { help: 'Network boots that ended: served, failed, contested, or given_up before an agent came', labels: ['outcome'] },
  host_failures: { help: 'Steps of hosts that failed, by code', labels: ['code'] },
  kube_requests: {
    help: 'Requests to the Kubernetes API server, by verb, kind and HTTP status (0: no answer)',
    labels: ['verb', 'kind', 'status'],
  },
  kube_reconcile_errors: { help: 'Reconciliations of Kubernetes objects that failed, by kind and code', labels: ['kind', 'code'] },
  kube_watch_restarts: { help: 'Watches that were begun anew: ended by the server, failed, or the HTTP status', labels: ['kind', 'why'] },
} as const satisfies Record<string, Metric>;
/** Counted where the thing is done, and read at the moment of the question; they too only ever grow, and are `remuda_<name>_total`. */
export const tallies = {
  dhcp_messages: { help: 'What the DHCP server met and did, by kind', labels: ['what'] },
  tftp_requests: { help: 'What came to the TFTP port, and what of it began no transfer', labels: ['what'] },
  tftp_transfers: {
    help: 'TFTP transfers that ended: ok, aborted by the client, timed_out; and requests that were refused',
    labels: ['outcome'],
  },
  tftp_bytes: { help: 'Bytes of the files that arrived whole over TFTP', labels: [] },
} as const satisfies Record<string, Metric>;
/** Durations in seconds, as histograms. */
export const durations = {
  api_request_seconds: { help: 'Time to answer a request of the admin API', labels: ['action'] },
  control_step_seconds: { help: 'Time of one activation of the control loop', labels: ['step'] },
  store_write_seconds: { help: 'Time until a change was durable', labels: [] },
  provision_seconds: { help: 'From the claim, or its next generation, to provisioned', labels: [] },
  kube_reconcile_seconds: { help: 'Time of one reconciliation of a Kubernetes object', labels: ['kind'] },
  state_seconds: { help: 'How long hosts were in a state that they left', labels: ['state'] },
} as const satisfies Record<string, Metric>;
/** What is read at the moment of the question. */
export const gauges = {
  hosts: { help: 'Hosts by state', labels: ['state'] },
  hosts_held: { help: 'Hosts that are held', labels: [] },
  hosts_failed: { help: 'Hosts with a failed step', labels: [] },
  claims: { help: 'Claims that hold a host', labels: [] },
  images: { help: 'Images by name', labels: [] },
  control_running: { help: 'Activations of the control loop that run now, one for a host', labels: [] },
  control_queued: { help: 'Hosts that changed while their activation runs, and come again at once', labels: [] },
  kube_leading: { help: '1 where this controller holds the lease, or needs none', labels: [] },
  kube_synced: { help: '1 where a watch of the Kubernetes API has its first list', labels: ['kind'] },
  kube_queued: { help: 'Kubernetes objects that wait for a worker', labels: ['kind'] },
  kube_reconciling: { help: 'Reconciliations of Kubernetes objects that run now', labels: [] },
  other_dhcp_servers: { help: 'DHCP servers on our wires that are not ours', labels: [] },
  leases: { help: 'DHCP leases that have not ended', labels: [] },
  free_bytes: { help: 'Free space where images and the store live', labels: [] },
  warnings: { help: 'What the daemon finds wrong with itself, as `remuda doctor` shows it, by code', labels: ['code'] },
  listeners_bound: { help: '1 where the daemon listens as it should', labels: ['name', 'at'] },
  start_time_seconds: { help: 'When the daemon started, seconds since 1970', labels: [] },
} as const satisfies Record<string, Metric>;

export type CounterName = keyof typeof counters;
export type TallyName = keyof typeof tallies;
export type DurationName = keyof typeof durations;
export type GaugeName = keyof typeof gauges;
export type Labels = Readonly<Record<string, string>>;
