/** Which protocol a BMC speaks, and what it tells a stranger: asked without any password, so that none goes to what is not known yet. */
import { RemudaError, reasonOf } from '../errors.ts';
import { parseIpv4 } from '../wire/address.ts';
import type { BmcAddress, BmcProtocol } from '../wire/words.ts';
import type { DriverLimits, DriverWorld } from './driver-for.ts';
import { suites as spoken, usualSuites } from './ipmi/crypt.ts';
import { endpointOf, Line, resends } from './ipmi/line.ts';
import { capabilitiesOf, isPresent, toldSuites } from './ipmi/outside.ts';
import { Connection } from './redfish/connection.ts';
import type { serviceRoot } from './redfish/messages.ts';

export interface ProbeTarget {
  /** IPv4 address or name; IPMI is asked by address only. */
  readonly host: string;
  /** 443 unless said. */
  readonly redfishPort?: number;
  /** 623 unless said. */
  readonly ipmiPort?: number;
}
export interface ProbedRedfish {
  readonly url: string;
  readonly vendor?: string;
  readonly product?: string;
  /** SHA-256 of its certificate, hex, to be compared by a person and pinned; absent where the system's authorities vouch for it. */
  readonly fingerprint?: string;
  /** Why the system does not believe the certificate, as far as it does not. */
  readonly distrust?: string;
}
export interface ProbedIpmi {
  readonly url: string;
  /** IPMI 2.0; what speaks 1.5 only is not driven. */
  readonly v20: boolean;
  /** IDs that it tells; empty where it tells none. */
  readonly suites: readonly number[];
  /** One of them can be used without an operator's word; undefined where none are told. */
  readonly usable?: boolean;
}
export interface Probe {
  /** Redfish where both answer: it says more, and over TLS. */
  readonly protocol: BmcProtocol;
  readonly redfish?: ProbedRedfish;
  readonly ipmi?: ProbedIpmi;
  /** Why the other one did not answer. */
  readonly note?: string;
}

type Signal = AbortSignal | undefined;
type Root = ReturnType<typeof serviceRoot.parse>;
interface Parts {
  readonly world: DriverWorld;
  readonly limits: DriverLimits;
  readonly signal: Signal;
}

/** What anybody may read (DSP0266 §6.5.3), with a certificate that is believed in this way. */
const rootBy = async ({ world, limits, signal }: Parts, url: string, trust: Partial<BmcAddress>): Promise<Root> => {
  const connection = new Connection(world, { protocol: 'redfish', url, username: '', password: '', ...trust }, limits);
  const root = await connection.root(signal);
  if (root.Systems === undefined && root.RedfishVersion === undefined)
    throw new RemudaError('bmc-unreachable', `${url} answers, but is no Redfish service`);
  return root;
};
const told = (url: string, { Vendor: vendor, Product: product }: Root): ProbedRedfish => ({
  url,
  ...(vendor === undefined ? {} : { vendor }),
  ...(product === undefined ? {} : { product }),
});
/** First as the system believes it; where it does not, again with exactly the certificate that was seen, expired or not. */
const askRedfish = async (parts: Parts, { host, redfishPort }: ProbeTarget): Promise<ProbedRedfish> => {
  const url = `https://${host}${redfishPort === undefined ? '' : `:${redfishPort}`}`;
  try {
    return told(url, await rootBy(parts, url, {}));
  } catch (error) {
    const fingerprint = error instanceof RemudaError && error.code === 'bmc-untrusted' ? error.values['seen'] : undefined;
    if (typeof fingerprint !== 'string') throw error;
    const root = await rootBy(parts, url, { fingerprint, insecure: true });
    return { ...told(url, root), fingerprint, distrust: reasonOf(error) };
  }
};

const askIpmi = async ({ world, limits, signal }: Parts, { host, ipmiPort }: ProbeTarget): Promise<ProbedIpmi> => {
  const url = `ipmi://${host}${ipmiPort === undefined ? '' : `:${ipmiPort}`}`;
  if (parseIpv4(host) === undefined) throw new RemudaError('bad-config', `${url}: IPMI is asked by IPv4 address only`);
  const line = new Line(world, endpointOf(url));
  const asking = { waitsMs: resends(limits, Math.min(limits.bmcTimeoutMs, limits.ipmiResendMostMs)), signal };
  try {
    const capabilities = await capabilitiesOf(line, asking);
    if (capabilities === undefined) {
      const present = await isPresent(line, { ...asking, waitsMs: [limits.ipmiResendFirstMs] });
      const why = present ? 'a BMC is there, and answers no IPMI: is IPMI over LAN enabled?' : 'no answer on its UDP port';
      throw new RemudaError('bmc-unreachable', `${url}: ${why}`);
    }
    const suites = (await toldSuites(line, { ...asking, waitsMs: [limits.ipmiResendFirstMs] })).map(({ id }) => id);
    const usable = suites.some((id) => spoken.has(id) && (usualSuites as readonly number[]).includes(id));
    return { url, v20: capabilities.v20, suites, ...(suites.length === 0 ? {} : { usable }) };
  } finally {
    line.close();
  }
};

/** Throws `bmc-unreachable` where neither protocol answers, with the reason of each; the reason of a signal that ended. */
export const probeBmc = async (world: DriverWorld, target: ProbeTarget, limits: DriverLimits, signal?: AbortSignal): Promise<Probe> => {
  const parts: Parts = { world, limits, signal };
  const [redfish, ipmi] = await Promise.allSettled([askRedfish(parts, target), askIpmi(parts, target)]);
  signal?.throwIfAborted();
  for (const { reason } of [redfish, ipmi].filter((one) => one.status === 'rejected')) if (!(reason instanceof RemudaError)) throw reason;
  if (redfish.status === 'fulfilled')
    return {
      protocol: 'redfish',
      redfish: redfish.value,
      ...(ipmi.status === 'fulfilled' ? { ipmi: ipmi.value } : { note: reasonOf(ipmi.reason) }),
    };
  if (ipmi.status === 'fulfilled') return { protocol: 'ipmi', ipmi: ipmi.value, note: reasonOf(redfish.reason) };
  throw new RemudaError(
    'bmc-unreachable',
    `nothing at ${target.host} answers as a BMC. Redfish: ${reasonOf(redfish.reason)}. IPMI: ${reasonOf(ipmi.reason)}`,
    { values: { host: target.host } },
  );
};
