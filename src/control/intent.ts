/** What a claim wants on its disk, checked before anything is touched: the image is there, fits, and its seed has room for what the OS is told. */
import { RemudaError } from '../errors.ts';
import { describeDisk } from '../host/disk.ts';
import type { DiskIdentity } from '../host/disk.ts';
import type { Host, Intent } from '../host/host.ts';
import type { MetaData } from '../host/meta-data.ts';
import { networkConfigYaml } from '../host/network.ts';
import type { HostNetwork } from '../host/network.ts';
import { seedFiles, seedImage } from '../image/seed.ts';
import type { ImageEntry } from '../image/store.ts';
import type { Limits } from '../limits.ts';

export interface Wanted {
  readonly image: ImageEntry;
  readonly hostName: string;
  readonly userData?: string;
  readonly metaData?: MetaData;
  readonly network?: HostNetwork;
}
/** As long as any of ours, so that a seed that fits today fits when it is written. */
const longestUrl = `http://255.255.255.255:65535/phone-home/${'x'.repeat(160)}`;
const longest = {
  instanceId: 'x'.repeat(140),
  claimId: 'x'.repeat(128),
  phoneHomeUrl: longestUrl,
  reportFailureUrl: `${longestUrl}/failed`,
};

/** Owner's words over the host's profile: the network of the request, else the one that is told to every OS of this host. */
export const networkOn = (host: Host, asked: HostNetwork | undefined): { readonly network?: HostNetwork } => {
  const network = asked ?? host.profile.network ?? undefined;
  return network === undefined ? {} : { network };
};

/** Throws `image-unsigned`, `signature-invalid`, `disk-too-small`, `too-large` (user data, or more than the seed holds) and `bad-request` (an image without a seed cannot be told anything). */
export const intentOf = (limits: Limits, wanted: Wanted, disk: DiskIdentity): Intent => {
  const { image, userData, metaData, hostName, network } = wanted;
  if (image.refused !== undefined) throw new RemudaError(image.refused.code, image.refused.reason, { values: { image: image.digest } });
  if (image.sizeBytes > disk.sizeBytes)
    throw new RemudaError('disk-too-small', `image ${image.name} has ${image.sizeBytes} bytes and does not fit on ${describeDisk(disk)}`);
  if (userData !== undefined && Buffer.byteLength(userData) > limits.userDataBytes)
    throw new RemudaError('too-large', `the user data is larger than ${limits.userDataBytes} bytes`);
  const [told] =
    Object.entries({ 'user data': userData, 'meta-data': metaData, 'a network': network }).find(([, one]) => one !== undefined) ?? [];
  if (image.seed === null && told !== undefined)
    throw new RemudaError('bad-request', `image ${image.name} has no seed partition, so it cannot be given ${told}`);
  const said = {
    ...(userData === undefined ? {} : { userData }),
    ...(metaData === undefined ? {} : { metaData }),
    ...(network === undefined ? {} : { networkConfig: networkConfigYaml(network) }),
  };
  if (image.seed !== null) seedImage(seedFiles({ ...longest, hostName, ...said }), image.seed.sizeBytes);
  return {
    image: image.digest,
    imageName: image.name,
    imageSizeBytes: image.sizeBytes,
    phoneHome: image.phoneHome,
    hostName,
    ...(userData === undefined ? {} : { userData }),
    ...(metaData === undefined ? {} : { metaData }),
    ...(network === undefined ? {} : { network }),
  };
};
