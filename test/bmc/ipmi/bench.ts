/** A bench: our IPMI driver, a virtual BMC, the machine behind it, and a network between them that is not one. */
import { ipmiDriver } from '../../../src/bmc/ipmi/driver.ts';
import type { BmcDriver } from '../../../src/bmc/driver.ts';
import { carryIpmi } from '../../../src/lab/model/ipmi-carrier.ts';
import { ipmiBmc } from '../../../src/lab/model/ipmi-bmc.ts';
import type { IpmiBmc } from '../../../src/lab/model/ipmi-bmc.ts';
import type { IpmiQuirks } from '../../../src/lab/model/ipmi-quirks.ts';
import { limits } from '../../../src/limits.ts';
import type { Ipv4 } from '../../../src/wire/address.ts';
import type { BmcAddress } from '../../../src/wire/words.ts';
import type { Clock, Datagram, Net, UdpOptions, UdpSocket } from '../../../src/world/world.ts';
import { ipv4 } from '../../world/memory-http.ts';
import { bmcUser, countingRandom, memoryLog, testMachine } from '../bench.ts';
import type { LogLine, TestMachine } from '../bench.ts';
import { idleClock } from '../idle-clock.ts';

export interface Sent {
  readonly from: Ipv4;
  readonly to: Ipv4;
  readonly bytes: Uint8Array;
}
/** Sockets of hosts in one process. Datagrams arrive a little later, before any timer runs out. */
export class MemoryUdp {
  readonly sent: Sent[] = [];
  /** Whether this datagram arrives. */
  arrives: (datagram: Sent) => boolean = () => true;
  open = 0;
  readonly #handlers = new Map<string, (datagram: Datagram) => void>();
  #nextPort = 40_000;

  at(address: Ipv4): Net {
    return { localAddresses: () => [], udp: async (options) => this.#socket(address, options) };
  }

  #socket(address: Ipv4, options: UdpOptions): UdpSocket {
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    this.open += 1;
    let handler: (datagram: Datagram) => void = () => {};
    this.#handlers.set(`${address}:${port}`, (datagram) => handler(datagram));
    return {
      local: { address, port },
      receive: (given) => {
        handler = given;
      },
      send: (bytes, to) => {
        const datagram: Sent = { from: address, to: to.address, bytes: new Uint8Array(bytes) };
        this.sent.push(datagram);
        if (this.arrives(datagram)) void this.#carry(datagram.bytes, { address, port }, `${to.address}:${to.port}`);
      },
      sendToHardware: () => {},
      close: () => {
        if (this.#handlers.delete(`${address}:${port}`)) this.open -= 1;
      },
    };
  }

  async #carry(bytes: Uint8Array, from: { readonly address: Ipv4; readonly port: number }, to: string): Promise<void> {
    // As long as a machine takes to do what its BMC was told.
    for (let hops = 0; hops < 20; hops++) await Promise.resolve();
    this.#handlers.get(to)?.({ bytes, ...from });
  }
}

export interface IpmiBench {
  readonly driver: BmcDriver;
  readonly bmc: IpmiBmc;
  readonly quirks: IpmiQuirks;
  readonly machine: TestMachine;
  readonly clock: Clock;
  readonly log: LogLine[];
  readonly network: MemoryUdp;
  readonly driverFor: (address: Partial<BmcAddress>) => BmcDriver;
}

export const ipmiBench = async (quirks: Partial<IpmiQuirks> = {}, firmware: 'bios' | 'uefi' = 'uefi'): Promise<IpmiBench> => {
  const clock = idleClock();
  const network = new MemoryUdp();
  const machine = testMachine(firmware);
  const bmc = ipmiBmc({ name: 'rack1-u2', machine, ...bmcUser, random: countingRandom(), clock, quirks });
  carryIpmi(bmc, await network.at(ipv4('10.0.0.6')).udp({ address: ipv4('10.0.0.6'), port: 623 }), clock);
  const log: LogLine[] = [];
  const world = {
    net: network.at(ipv4('10.0.0.1')),
    clock,
    random: countingRandom(),
    log: memoryLog(log),
    signal: new AbortController().signal,
  };
  const address: BmcAddress = { protocol: 'ipmi', url: 'ipmi://10.0.0.6', ...bmcUser };
  const driverFor = (more: Partial<BmcAddress>): BmcDriver => ipmiDriver(world, { ...address, ...more }, limits);
  return { driver: driverFor({}), bmc, quirks: bmc.quirks, machine, clock, log, network, driverFor };
};
