/** What a person does to one host through its BMC or by his word: power, address of the BMC, MACs. */
import { RemudaError } from '../errors.ts';
import type { Host, HostBmc } from '../host/host.ts';
import { parseMac } from '../wire/address.ts';
import type { RackParts } from './claiming.ts';
import { bmcOf } from './enrolling.ts';
import { absorb, recordEvidence } from './identifying.ts';
import type { Asker, BmcPut, Locate, MacChange, PowerVerb, Rack } from './rack.ts';
import { bmcClash, rosterOf } from './roster.ts';

type Told = Awaited<ReturnType<Rack['power']>>;
const noted = ({ note, ...told }: Omit<Told, 'note'> & { readonly note?: string | undefined }): Told => ({
  ...told,
  ...(note === undefined ? {} : { note }),
});
/** `otherwise` is what a person can do without one. */
const bmcOfHost = (host: Host, otherwise: string): HostBmc => {
  if (host.bmc !== null) return host.bmc;
  throw new RemudaError('state-conflict', `host ${host.name} has no BMC: ${otherwise}`, {
    next: `where it has one after all, name it: remuda host bmc set ${host.name} --bmc-url URL --bmc-username USER`,
  });
};

/** One command to the BMC; what one reading showed afterwards stands in the timeline. */
export const power = async (
  { world, keeper, driverFor }: RackParts,
  idOrName: string,
  wanted: PowerVerb,
  { by, ifVersion }: Asker,
): Promise<Told> => {
  const host = await keeper.look(idOrName, ifVersion);
  const driver = driverFor(bmcOfHost(host, 'press its power button'));
  const told =
    wanted === 'on' || wanted === 'off'
      ? await driver.setPower(wanted, world.signal)
      : // These have no end state that one reading could show: that the BMC took the command is all that is known.
        await driver.command(wanted, world.signal).then(({ power: observed, note }) => ({ observed, note, settled: true }));
  const { observed, settled, note } = told;
  await keeper.apply(host.id, { type: 'power-commanded', by, wanted, note: settled ? `it is ${observed}` : `the BMC shows ${observed}` });
  // In the middle of a cycle the power is off as well; that says nothing of the OS that comes back with it.
  const release = wanted === 'off' && host.release !== null ? { release: host.release.claimId } : {};
  if (observed !== 'unknown') await keeper.apply(host.id, { type: 'power-seen', power: observed, ...release });
  return noted({ observed, settled, note });
};
/** See Rack.locate. */
export const locate = async (
  { world, keeper, driverFor }: RackParts,
  idOrName: string,
  { on, seconds }: Locate,
  { by, ifVersion }: Asker,
): Promise<Told> => {
  const host = await keeper.look(idOrName, ifVersion);
  const { observed, settled, note } = await driverFor(bmcOfHost(host, 'the lamp at its chassis cannot be lit from here')).locate(
    on ? seconds : 'off',
    world.signal,
  );
  await keeper.apply(host.id, { type: 'located', by, note: on ? `${seconds} s` : 'off' });
  return noted({ observed, settled, note });
};

/** The password that is known goes only where it went before: whoever may name a URL must not be sent it. */
const passwordFor = (host: Host, { protocol, url, password }: BmcPut): string => {
  if (password !== undefined) return password;
  if (host.bmc?.protocol === protocol && host.bmc.url === url) return host.bmc.password;
  throw new RemudaError(
    'bad-request',
    `bmc.password: say the password of ${url}; the one that is known is of ${host.bmc?.url ?? 'no other BMC'}`,
  );
};
/** See Rack.setBmc. */
export const setBmc = async (parts: RackParts, idOrName: string, put: BmcPut | null, { by, ifVersion }: Asker): Promise<Host> => {
  const { keeper, world, driverFor } = parts;
  const host = await keeper.look(idOrName, ifVersion);
  if (put === null) {
    if (host.macs.length === 0)
      throw new RemudaError('state-conflict', `host ${host.name} has no MAC: without its BMC nobody can recognise the server`);
    return keeper.apply(host.id, { type: 'bmc-set', by, bmc: null }, ifVersion);
  }
  const { check, ...said } = put;
  const bmc: HostBmc = bmcOf({ ...said, password: passwordFor(host, put) });
  const others = keeper.all().filter(({ id }) => id !== host.id);
  const [twin] = bmcClash(bmc, rosterOf(others));
  if (twin !== undefined) throw new RemudaError('host-exists', `the BMC of ${host.name} cannot be set: ${twin}`);
  if (!check) return keeper.apply(host.id, { type: 'bmc-set', by, bmc }, ifVersion);
  const driver = driverFor(bmc);
  const { power: seen, bmcVersion: _version, ...identity } = await driver.identify(world.signal);
  const set = await keeper.apply(host.id, { type: 'bmc-set', by, bmc }, ifVersion);
  if (set.identified !== null) return set;
  // Another machine's BMC is told by the first step of the loop, which asks it again and stops there.
  const isStrange = identity.macs.some((mac) => others.some((other) => other.state !== 'discovered' && other.macs.includes(mac)));
  if (isStrange) return set;
  const known = await recordEvidence(keeper, host.id, identity, (taken) => ({ type: 'identified', ...identity, taken }));
  return seen === 'unknown' ? known : keeper.apply(host.id, { type: 'power-seen', power: seen });
};

/** See Rack.macs. A MAC of a machine that was only seen is taken over with it; one of another host is refused with its name. */
export const changeMacs = async ({ keeper }: RackParts, idOrName: string, change: MacChange, { by, ifVersion }: Asker): Promise<Host> => {
  const host = await keeper.look(idOrName, ifVersion);
  const [verb, text] =
    'adopt' in change ? ['adopted', change.adopt] : 'remove' in change ? ['removed', change.remove] : ['refused', change.refuse];
  const mac = parseMac(text);
  if (mac === undefined) throw new RemudaError('bad-request', `${text} is no MAC address`);
  if (verb === 'adopted') {
    const owner = keeper.byMac(mac);
    if (owner !== undefined && owner.id !== host.id && owner.state !== 'discovered')
      throw new RemudaError('identity-conflict', `MAC ${mac} is one of host ${owner.name}: remove it there first`, {
        values: { mac, host: owner.name },
      });
    await absorb(keeper, host.id, [mac]);
  }
  const type = verb === 'adopted' ? 'mac-adopted' : verb === 'removed' ? 'mac-removed' : 'mac-refused';
  return keeper.apply(host.id, { type, by, mac }, ifVersion);
};
