/** The seed: what one host's system reads at its first boot, as cloud-init's NoCloud data source expects it on a file system labelled CIDATA. */
import { stringify } from 'yaml';
import { RemudaError } from '../errors.ts';
import { fatImage } from './fat.ts';

export interface SeedOptions {
  /** A new one makes cloud-init start over: printable ASCII without blanks. */
  readonly instanceId: string;
  /** Of the claim, the same over all its generations; with it the provider ID is told, which the kubelet is given. */
  readonly claimId?: string;
  /** RFC 1123. */
  readonly hostName: string;
  /** As the operator wrote it, byte for byte; without it only the host name is set. */
  readonly userData?: string;
  /** Joined with our own where both are given; the operator's user data wins over it. */
  readonly vendorData?: string;
  /** More for `meta-data`; an `instance-id` or `provider_id` in it stands instead of ours. */
  readonly metaData?: Readonly<Record<string, string | readonly string[]>>;
  /** http or https; told to the image's own first-boot program by `meta-data` and to cloud-init by `vendor-data`. */
  readonly phoneHomeUrl?: string;
  /** Where the image says that its bootstrap failed; `meta-data` tells it. */
  readonly reportFailureUrl?: string;
  /** cloud-init network configuration, version 1 or 2, as text. */
  readonly networkConfig?: string;
}
export interface SeedFiles {
  readonly 'meta-data': string;
  readonly 'user-data': string;
  readonly 'vendor-data': string;
  readonly 'network-config'?: string;
}

/** The NoCloud files as text. Throws `bad-request` for a host name, an instance id or a URL that cannot stand in them. */
export const seedFiles = (options: SeedOptions): SeedFiles => {
  const { claimId, hostName, userData, metaData = {}, phoneHomeUrl, reportFailureUrl, networkConfig } = options;
  const instanceId = metaData['instance-id'] ?? options.instanceId;
  if (typeof instanceId !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(instanceId))
    throw new RemudaError('bad-request', `${JSON.stringify(instanceId)} is no instance id: use printable characters without blanks`);
  if (!isHostName(hostName)) throw new RemudaError('bad-request', `${JSON.stringify(hostName)} is no host name (RFC 1123 §2.1)`);
  for (const url of [phoneHomeUrl, reportFailureUrl])
    if (url !== undefined && !isPlainUrl(url)) throw new RemudaError('bad-request', `${JSON.stringify(url)} is no http or https URL`);
  return {
    'meta-data': yaml({
      'instance-id': instanceId,
      'local-hostname': hostName,
      // With underscores: cloud-init's templates (`{{ ds.meta_data.provider_id }}`) know no hyphens.
      ...(claimId === undefined ? {} : { claim_id: claimId, provider_id: `remuda://${claimId}` }),
      ...metaData,
      ...(phoneHomeUrl === undefined ? {} : { 'remuda-phone-home': phoneHomeUrl }),
      ...(reportFailureUrl === undefined ? {} : { 'remuda-report-failure': reportFailureUrl }),
    }),
    'user-data': userData ?? cloudConfig({ hostname: hostName }),
    'vendor-data': vendorDataOf(options),
    ...(networkConfig === undefined ? {} : { 'network-config': networkConfig }),
  };
};

/** The seed as a FAT file system of exactly `sizeBytes`, labelled CIDATA. The same files give the same bytes. Throws `too-large` where they do not fit. */
export const seedImage = (files: SeedFiles, sizeBytes: number): Uint8Array => {
  const encoder = new TextEncoder();
  const encoded = new Map(Object.entries(files).map(([name, text]: [string, string]) => [name, encoder.encode(text)]));
  return fatImage(encoded, sizeBytes, 'CIDATA');
};

/** RFC 1123 §2.1: labels of letters, digits and inner hyphens, 63 characters at most, 253 together; what looks like an address is one. */
export const isHostName = (text: string): boolean =>
  text.length <= 253 &&
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(text) &&
  !/^\d+(\.\d+){3}$/.test(text);

/** cloud-init expands `$INSTANCE_ID` in the URL, so a dollar sign may not stand there by chance. */
const isPlainUrl = (text: string): boolean => /^https?:\/\/[\x21-\x7e]+$/.test(text) && !text.includes('$') && URL.canParse(text);

const vendorDataOf = ({ phoneHomeUrl, vendorData }: SeedOptions): string => {
  if (phoneHomeUrl === undefined) return vendorData ?? '';
  const ours = cloudConfig({ phone_home: { url: phoneHomeUrl, post: ['hostname', 'instance_id'], tries: 30 } });
  // cloud-init's archive of several parts, each of whatever type its own first line says.
  return vendorData === undefined ? ours : `#cloud-config-archive\n${yaml([{ content: vendorData }, { content: ours }])}`;
};

const cloudConfig = (value: unknown): string => `#cloud-config\n${yaml(value)}`;
/** One line per value: what reads meta-data in a small image is a shell script. */
const yaml = (value: unknown): string => stringify(value, { lineWidth: 0 });
