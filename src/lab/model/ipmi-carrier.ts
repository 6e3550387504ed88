/** Carries datagrams between a UDP socket and a virtual IPMI BMC, late where the BMC is slow. */
import type { Clock, UdpSocket } from '../../world/world.ts';
import type { IpmiBmc } from './ipmi-bmc.ts';

/** From now on until the socket is closed; answers that are late by then are dropped by it. */
export const carryIpmi = (bmc: Pick<IpmiBmc, 'answer' | 'quirks'>, socket: UdpSocket, clock: Clock): void => {
  socket.receive(({ bytes, address, port }) => {
    for (const reply of bmc.answer(bytes)) {
      const send = (): void => socket.send(reply, { address, port });
      if (bmc.quirks.slowMs > 0) clock.after(bmc.quirks.slowMs, send);
      else send();
    }
  });
};
