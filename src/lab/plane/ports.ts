/** TCP ports that nobody listens on. Between the look and the use somebody else may take one: the process that finds it taken says so. */
import { RemudaError } from '../../errors.ts';
import { parseIpv4 } from '../../wire/address.ts';
import type { World } from '../../world/world.ts';

/** Different ones, free on this address a moment ago. */
export const freePorts = async (world: World, address: string, count: number): Promise<readonly number[]> => {
  const at = parseIpv4(address);
  if (at === undefined) throw new RemudaError('bad-request', `${address} is no IPv4 address to listen on`);
  // All at once, so that none is given twice.
  const listeners = await Promise.all(Array.from({ length: count }, () => world.http.listen({ at: { address: at, port: 0 }, routes: [] })));
  const ports = listeners.map(({ port = 0 }) => port);
  await Promise.all(listeners.map((listener) => listener.close()));
  return ports;
};
