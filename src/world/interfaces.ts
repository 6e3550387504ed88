/** The IPv4 addresses of this machine by getifaddrs(3), those of an interface without a cable among them: Node's own list leaves these out. */
import koffi from 'koffi';
import { RemudaError } from '../errors.ts';
import { parseIpv4 } from '../wire/address.ts';
import type { LocalAddress } from './world.ts';

/** netdevice(7) */
const upFlag = 0x1;
const runningFlag = 0x40;
const inet = 2;
/** An interface of Linux has few addresses; a list that does not end is none. */
const entriesMax = 65_536;

/** struct ifaddrs of getifaddrs(3). */
interface Entry {
  readonly next: unknown;
  readonly name: string;
  readonly flags: number;
  readonly address: unknown;
  readonly netmask: unknown;
}
interface Calls {
  readonly list: () => unknown;
  readonly free: (list: unknown) => void;
  readonly entryAt: (place: unknown) => Entry;
  /** The beginning of a struct sockaddr_in: family, port, address. */
  readonly socketAddressAt: (place: unknown) => { readonly family: number; readonly bytes: readonly number[] };
}
const load = (): Calls => {
  const library = koffi.load(null);
  const entry = koffi.struct({
    next: 'void *',
    name: 'const char *',
    flags: 'unsigned int',
    address: 'void *',
    netmask: 'void *',
    other: 'void *',
    data: 'void *',
  });
  const get = library.func('getifaddrs', 'int', [koffi.out(koffi.pointer('void *'))]) as (list: unknown[]) => number;
  const bytes = koffi.array('uint8_t', 8, 'Array');
  return {
    list: () => {
      const list: unknown[] = [null];
      if (get(list) !== 0) throw new RemudaError('internal', `the kernel does not tell its addresses: errno ${koffi.errno()}`);
      return list[0];
    },
    free: library.func('void freeifaddrs(void *)') as (list: unknown) => void,
    entryAt: (place) => koffi.decode(place, entry) as Entry,
    socketAddressAt: (place) => ({
      family: koffi.decode(place, 'uint16_t') as number,
      bytes: (koffi.decode(place, bytes) as readonly number[]).slice(4),
    }),
  };
};
let loaded: Calls | undefined;

const linkOf = (flags: number): Pick<LocalAddress, 'link'> => {
  if ((flags & upFlag) === 0) return { link: 'down' };
  return (flags & runningFlag) === 0 ? { link: 'no carrier' } : {};
};
const ones = (byte: number): number => byte.toString(2).replaceAll('0', '').length;

const addressIn = ({ socketAddressAt }: Calls, { name, flags, address, netmask }: Entry): LocalAddress | undefined => {
  if (address === null) return undefined;
  const { family, bytes } = socketAddressAt(address);
  const parsed = family === inet ? parseIpv4(bytes.join('.')) : undefined;
  if (parsed === undefined) return undefined;
  const prefix = netmask === null ? 32 : socketAddressAt(netmask).bytes.reduce((sum, byte) => sum + ones(byte), 0);
  return { interface: name, address: parsed, prefix, ...linkOf(flags) };
};

/** Every IPv4 address of this machine, in the order of the kernel. */
export const localAddresses = (): readonly LocalAddress[] => {
  loaded ??= load();
  const { list, free, entryAt } = loaded;
  const found: LocalAddress[] = [];
  const first = list();
  try {
    let at = first;
    for (let count = 0; at !== null && count < entriesMax; count++) {
      const entry = entryAt(at);
      const address = addressIn(loaded, entry);
      if (address !== undefined) found.push(address);
      at = entry.next;
    }
  } finally {
    free(first);
  }
  return found;
};
