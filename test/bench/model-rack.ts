/** A process with many virtual BMCs on loopback, Redfish and IPMI by turns: `node model-rack.ts COUNT`. Says `ready`, then only answers. */
import { ipmiBmc } from '../../src/lab/model/ipmi-bmc.ts';
import { carryIpmi } from '../../src/lab/model/ipmi-carrier.ts';
import { redfishBmc } from '../../src/lab/model/redfish-bmc.ts';
import { realWorld } from '../../src/world/real.ts';
import { testMachine } from '../bmc/bench.ts';
import { ipv4 } from '../world/memory-http.ts';
import { bmcOf, modelUser } from './model-host.ts';

const world = realWorld({ signal: new AbortController().signal, log: { level: 'silent' } });
const address = ipv4('127.0.0.1');
for (let index = 0; index < Number(process.argv[2]); index += 1) {
  const machine = { ...testMachine(), serial: `M${index}` };
  const options = { name: `m${index}`, machine, ...modelUser, random: world.random, clock: world.clock };
  const { protocol, port } = bmcOf(index);
  if (protocol === 'redfish') await world.http.listen({ at: { address, port }, routes: redfishBmc(options).routes });
  else carryIpmi(ipmiBmc(options), await world.net.udp({ address, port }), world.clock);
}
console.log('ready');
