/** BMCs over the API: which addresses a caller may name, and the probe of one that is not known yet. */
import { z } from 'zod';
import { hostName } from '../control/rack.ts';
import { RemudaError } from '../errors.ts';
import { parseIpv4 } from '../wire/address.ts';
import { isOwnPlace, noBmcAt } from '../wire/bmc-place.ts';
import { json } from './json.ts';
import { adminRoute } from './route.ts';
import type { AdminRoute, Caller } from './route.ts';
import { probeJson } from './types.ts';
import type { ProbeJson } from './types.ts';

/** As src/bmc/probe.ts tells it. */
export interface Probed {
  readonly protocol: 'redfish' | 'ipmi';
  readonly redfish?: {
    readonly url: string;
    readonly vendor?: string;
    readonly product?: string;
    readonly fingerprint?: string;
    readonly distrust?: string;
  };
  readonly ipmi?: { readonly url: string; readonly v20: boolean; readonly suites: readonly number[]; readonly usable?: boolean };
  readonly note?: string;
}
/** Asks without any password, at the usual ports unless others are said; `bmc-unreachable` where neither protocol answers. */
export type ProbeBmc = (target: ProbeBody, signal: AbortSignal) => Promise<Probed>;

/** A BMC's address makes the daemon connect. To its own machine only an admin may have it do that (a laboratory may have BMCs there); `forbidden`. */
export const allowBmcAt = (url: unknown, caller: Caller): void => {
  const host = typeof url === 'string' ? URL.parse(url)?.hostname : undefined;
  if (host !== undefined && isOwnPlace(host) && caller.role !== 'admin')
    throw new RemudaError(
      'forbidden',
      `a BMC on the daemon's own machine (${host}) needs the role admin, and ${caller.name} has ${caller.role}`,
      {
        values: { needs: 'admin', has: caller.role },
      },
    );
};

const port = z.number().int().min(1).max(65_535);
const probeSchema = z.strictObject({
  host: z
    .string()
    .max(253)
    .refine(
      (text) => parseIpv4(text) !== undefined || (hostName.safeParse(text).success && !/^[\d.]+$/.test(text)),
      'an IPv4 address or a host name',
    )
    .refine(
      (text) => noBmcAt(text) === undefined && !isOwnPlace(text),
      'no BMC is at loopback, link-local, multicast and metadata addresses',
    ),
  /** 443 unless said. */
  redfishPort: port.exactOptional(),
  /** 623 unless said. */
  ipmiPort: port.exactOptional(),
});
type ProbeBody = z.output<typeof probeSchema>;

const toProbeJson = (host: string, { protocol, redfish, ipmi, note }: Probed): ProbeJson => ({
  host,
  protocol,
  redfish:
    redfish === undefined
      ? null
      : {
          url: redfish.url,
          vendor: redfish.vendor ?? null,
          product: redfish.product ?? null,
          fingerprint: redfish.fingerprint ?? null,
          distrust: redfish.distrust ?? null,
        },
  ipmi: ipmi === undefined ? null : { url: ipmi.url, v20: ipmi.v20, suites: [...ipmi.suites], usable: ipmi.usable ?? null },
  note: note ?? null,
});

export const bmcRoutes = (probe: ProbeBmc): readonly AdminRoute[] => [
  adminRoute({
    id: 'probeBmc',
    method: 'POST',
    path: '/v1/bmc-probe',
    role: 'operator',
    summary:
      'Which protocol a BMC speaks, and the fingerprint to pin: asked at its usual ports unless others are said, without a password; refused for loopback, link-local, multicast and metadata addresses',
    tag: 'hosts',
    stays: true,
    body: probeSchema,
    replies: { 200: probeJson },
    handle: async ({ request, body }) => json(200, toProbeJson(body.host, await probe(body, request.signal))),
  }),
];
