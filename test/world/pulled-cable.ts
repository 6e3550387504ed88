/** A socket and a listener on an interface whose cable is pulled, which is switched off, and which goes: run in an empty network namespace. */
import { execFileSync } from 'node:child_process';
import { parseIpv4 } from '../../src/wire/address.ts';
import { realWorld } from '../../src/world/real.ts';
import type { LocalAddress } from '../../src/world/world.ts';

const ip = (line: string): void => void execFileSync('ip', line.split(' '));
const ours = parseIpv4('10.77.0.1');
if (ours === undefined) throw new Error('no address');
const world = realWorld({ signal: new AbortController().signal, log: { level: 'error', destination: 'stderr' } });

ip('link set lo up');
ip('link add rack0 type veth peer name far0');
ip('addr add 10.77.0.1/24 dev rack0');
ip('link set rack0 up');
ip('link set far0 up');
const socket = await world.net.udp({ address: ours, port: 6969, interface: 'rack0' });
const listener = await world.http.listen({ at: { address: ours, port: 7480, interface: 'rack0' }, routes: [] });
const untied = await world.http.listen({ at: { address: ours, port: 7481 }, routes: [] });

const told: { what: string; udp: boolean; tcp: boolean; untied: boolean; address: LocalAddress | undefined }[] = [];
const look = (what: string): void => {
  const address = world.net.localAddresses().find((one) => one.interface === 'rack0');
  told.push({
    what,
    udp: socket.isOpen?.() ?? true,
    tcp: listener.isListening?.() ?? true,
    untied: untied.isListening?.() ?? true,
    address,
  });
};
/** The kernel tells a carrier a moment after the cable. */
const settled = async (link: LocalAddress['link']): Promise<void> => {
  for (let tries = 0; tries < 250 && world.net.localAddresses().find((one) => one.interface === 'rack0')?.link !== link; tries++)
    await world.clock.sleep(20);
};
await settled(undefined);
look('both ends up');
ip('link set far0 down');
await settled('no carrier');
look('the other end down');
ip('link set rack0 down');
look('switched off');
ip('link set rack0 up');
ip('link set far0 up');
await settled(undefined);
look('back');
ip('addr del 10.77.0.1/24 dev rack0');
look('without its address');
ip('link del rack0');
ip('link add rack0 type veth peer name far0');
ip('addr add 10.77.0.1/24 dev rack0');
look('another of the same name');
socket.close();
await listener.close();
await untied.close();
look('closed');
console.log(JSON.stringify(told));
