/** Random bytes to every port of the daemon, from inside its network; run by the tests in the namespace. Prints how much was sent. */
import { createSocket } from 'node:dgram';
import { randomBytes, randomInt } from 'node:crypto';
import { connect } from 'node:net';

const address = process.argv[2] ?? '';
const udp = async (port: number, count: number): Promise<void> => {
  const socket = createSocket('udp4');
  for (let index = 0; index < count; index++) {
    await new Promise((resolve) => socket.send(randomBytes(randomInt(0, 1400)), port, address, resolve));
    if (index % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  socket.close();
};
const tcp = (port: number, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 300 });
    socket.on('connect', () => socket.end(bytes));
    socket.on('data', () => undefined);
    for (const end of ['close', 'error', 'timeout'] as const)
      socket.once(end, () => {
        socket.destroy();
        resolve();
      });
  });
for (const port of [67, 69]) await udp(port, 400);
for (const port of [7480, 7443])
  for (let index = 0; index < 60; index++) {
    const start =
      [
        '',
        'GET ',
        'POST /agent/redeem HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n',
        'GET /boot/%00%ff%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n',
        '\u0016\u0003\u0001\u0002\u0000\u0001',
      ][index % 5] ?? '';
    await tcp(port, Buffer.concat([Buffer.from(start, 'latin1'), randomBytes(randomInt(1, 4000))]));
  }
console.log('noise made');
