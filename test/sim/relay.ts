/** A DHCP relay between a wire of its own and the daemon's (RFC 1542 §4.1): it forwards, says where it stands, and keeps nothing. */
import { decodeDhcp4, encodeDhcp4 } from '../../src/dhcp/packet.ts';
import { everyone, noAddress } from '../../src/wire/address.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import type { Network, Party } from './network.ts';

const request = 1;
/** From now on, without end. */
export const startRelay = (network: Network, party: Party, server: Ipv4): void => {
  const socket = network.udp(party, 67);
  socket.receive(({ bytes, port }) => {
    const message = decodeDhcp4(bytes);
    if (message.op !== request) return socket.send(bytes, { address: everyone, port: 68 });
    if (port !== 68 || message.relayAddress !== noAddress) return undefined;
    const passed = { ...message, hops: message.hops + 1, relayAddress: party.address };
    return socket.send(encodeDhcp4(passed), { address: server, port: 67 });
  });
};
