/** The Redfish driver: the verbs of driver.ts by following links from the service root (DSP0266, DSP0268). */
import { RemudaError } from '../../errors.ts';
import type { Mac } from '../../wire/address.ts';
import type { BmcDriver, BmcIdentity, Outcome, Power } from '../driver.ts';
import type { BmcAddress } from '../../wire/words.ts';
import { turns } from '../turns.ts';
import { bootChange, bootOutcome, ifMatchLadder, mergedBoot } from './boot-once.ts';
import type { BootChange } from './boot-once.ts';
import { Connection } from './connection.ts';
import type { Ask, BmcLimits, BmcWorld, Resource } from './connection.ts';
import { actionInfo, collection, ethernetInterface, identityOf, macOf, manager, powerOf, settingsResource, system } from './messages.ts';
import type { Boot, System } from './messages.ts';

/** More members than a server has ports, or a chassis has servers; a BMC that lists more is not followed further. */
const membersMax = 64;

type Signal = AbortSignal | undefined;

/** The driver of one BMC. Nothing is sent before the first verb. Hold one driver per BMC: it serves its calls one after another. */
export const redfishDriver = (world: BmcWorld, address: BmcAddress, limits: BmcLimits): BmcDriver => {
  const connection = new Connection(world, address, limits);
  const turn = turns();
  const host = hostOf(connection, address);
  return {
    identify: (signal) => turn(async () => identify(connection, (await host(signal)).value, signal), signal),
    readPower: (signal) => turn(async () => powerOf((await host(signal)).value.PowerState), signal),
    setPower: (wanted, signal) => turn(() => setPower({ connection, host, signal }, wanted), signal),
    bootOnceFromNetwork: (firmware, signal) => turn(() => bootOnce({ connection, host, signal }, firmware), signal),
    close: () => turn(() => connection.close()),
  };
};

/** Reads the one system this driver is for. Its link is remembered until the BMC knows it no more. */
type Host = (signal: Signal) => Promise<Resource<System>>;
interface Verb {
  readonly connection: Connection;
  readonly host: Host;
  readonly signal: Signal;
}

const hostOf = (connection: Connection, address: BmcAddress): Host => {
  let link: string | undefined;
  return async (signal) => {
    link ??= await systemLink(connection, address, signal);
    try {
      return await connection.get(link, system, signal);
    } catch (error) {
      if (error instanceof RemudaError && error.values['status'] === 404) link = undefined;
      throw error;
    }
  };
};

const membersOf = async (connection: Connection, link: string, signal: Signal): Promise<readonly string[]> => {
  const { value } = await connection.get(link, collection, signal);
  return (value.Members ?? []).map((member) => member['@odata.id']).slice(0, membersMax);
};

const lastPart = (link: string): string => link.replace(/\/$/, '').split('/').at(-1) ?? '';

const systemLink = async (connection: Connection, address: BmcAddress, signal: Signal): Promise<string> => {
  const root = await connection.root(signal);
  if (root.Systems === undefined) throw new RemudaError('bmc-refused', `${address.url} lists no systems: is it a server's BMC?`);
  const members = await membersOf(connection, root.Systems['@odata.id'], signal);
  const wanted = address.system;
  const found = wanted === undefined ? members : members.filter((member) => member === wanted || lastPart(member) === wanted);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const why =
    members.length === 0
      ? 'manages no system'
      : wanted === undefined
        ? 'manages several systems; say which one'
        : `manages no system ${wanted}`;
  throw new RemudaError(members.length === 0 ? 'bmc-refused' : 'bad-config', `the BMC at ${address.url} ${why}`, {
    values: { systems: members.map(lastPart) },
  });
};

/** undefined where the BMC does not give what it linked to; an unreachable BMC still throws. */
const optional = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'bmc-refused') return undefined;
    throw error;
  }
};

const identify = async (connection: Connection, found: System, signal: Signal): Promise<BmcIdentity> => {
  const macs: Mac[] = [];
  const ports = found.EthernetInterfaces?.['@odata.id'];
  const links = ports === undefined ? [] : ((await optional(() => membersOf(connection, ports, signal))) ?? []);
  for (const link of links) {
    const port = await optional(() => connection.get(link, ethernetInterface, signal));
    const mac = port === undefined ? undefined : macOf(port.value);
    if (mac !== undefined) macs.push(mac);
  }
  return identityOf(found, macs, await optional(() => bmcVersion(connection, found, signal)));
};

/** ManagedBy is missing on some BMCs (Huawei 1288H); then the first manager of the service is taken. */
const bmcVersion = async (connection: Connection, found: System, signal: Signal): Promise<string | undefined> => {
  const managedBy = found.Links?.ManagedBy?.[0]?.['@odata.id'];
  const managers = managedBy === undefined ? (await connection.root(signal)).Managers?.['@odata.id'] : undefined;
  const link = managedBy ?? (managers === undefined ? undefined : (await membersOf(connection, managers, signal))[0]);
  return link === undefined ? undefined : (await connection.get(link, manager, signal)).value.FirmwareVersion;
};

/** DSP0268 ResetType, in order of preference. Never a restart or a power cycle: the plan knows off and on only. */
const resetTypes = { on: ['On', 'ForceOn'], off: ['ForceOff'] } as const satisfies Record<Power, readonly string[]>;

const setPower = async ({ connection, host, signal }: Verb, wanted: Power): Promise<Outcome<Power>> => {
  const before = (await host(signal)).value;
  if (powerOf(before.PowerState) === wanted) return { asked: wanted, observed: wanted, settled: true };
  if (wanted === 'on' && before.PowerState === 'PoweringOn')
    return { asked: wanted, observed: 'unknown', settled: false, note: 'the host is powering on' };
  const action = before.Actions?.['#ComputerSystem.Reset'];
  if (action?.target === undefined) throw new RemudaError('bmc-refused', 'the BMC offers no way to change the power of this host');
  const permitted =
    action['ResetType@Redfish.AllowableValues'] ?? (await permittedByInfo(connection, action['@Redfish.ActionInfo'], signal));
  const type = resetTypes[wanted].find((name) => permitted === undefined || permitted.includes(name));
  if (type === undefined)
    throw new RemudaError('bmc-refused', `the BMC permits no ${resetTypes[wanted][0]}, only: ${permitted?.join(', ') ?? ''}`, {
      values: { permitted },
    });
  await demand(connection, { method: 'POST', link: action.target, body: { ResetType: type }, signal });
  return afterwards(signal, async () => powerOutcome(wanted, type, (await host(signal)).value.PowerState), wanted);
};

const permittedByInfo = async (
  connection: Connection,
  link: string | undefined,
  signal: Signal,
): Promise<readonly string[] | undefined> => {
  if (link === undefined) return undefined;
  const info = await optional(() => connection.get(link, actionInfo, signal));
  return info?.value.Parameters?.find((parameter) => parameter.Name === 'ResetType')?.AllowableValues;
};

const powerOutcome = (wanted: Power, type: string, state: string | undefined): Outcome<Power> => {
  const observed = powerOf(state);
  const settled = observed === wanted;
  return { asked: wanted, observed, settled, ...(settled ? {} : { note: `the BMC took ${type} and shows ${state ?? 'no power state'}` }) };
};

/** The one reading after a command that was taken: where it fails, the command still stands, and what it did is unknown. */
const afterwards = async <T>(signal: Signal, read: () => Promise<Outcome<T>>, asked: T): Promise<Outcome<T>> => {
  try {
    return await read();
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof RemudaError)) throw error;
    return { asked, observed: 'unknown', settled: false, note: `the BMC took the command, then: ${error.message}` };
  }
};

/** Sends, and throws where the BMC does not take it. */
const demand = async (connection: Connection, ask: Ask): Promise<void> => {
  const answer = await connection.ask(ask);
  if (answer.status < 200 || answer.status > 299) throw connection.refusal(ask, answer);
};

const bootOnce = async ({ connection, host, signal }: Verb, firmware: 'bios' | 'uefi' | undefined): Promise<Outcome<'network'>> => {
  const before = await bootPlace(connection, await host(signal), signal);
  const change = bootChange(before.boot, firmware);
  await patchBoot({ connection, place: before, change, signal });
  const read = async (): Promise<Outcome<'network'>> => bootOutcome((await bootPlace(connection, await host(signal), signal)).boot, change);
  return afterwards(signal, read, 'network' as const);
};

interface BootPlace {
  readonly link: string;
  readonly etag: string | undefined;
  readonly boot: Boot;
}

/** Where the Boot object is to be changed: in the settings resource where that has one (Nokia, iDRAC10), else in the system itself. */
const bootPlace = async (connection: Connection, found: Resource<System>, signal: Signal): Promise<BootPlace> => {
  const own = found.value;
  const settings = own['@Redfish.Settings']?.SettingsObject?.['@odata.id'];
  const pending = settings === undefined ? undefined : await optional(() => connection.get(settings, settingsResource, signal));
  if (settings !== undefined && pending?.value.Boot?.BootSourceOverrideTarget !== undefined)
    return { link: settings, etag: pending.etag ?? pending.value['@odata.etag'], boot: mergedBoot(own.Boot, pending.value.Boot) };
  const link = own['@odata.id'];
  if (link === undefined || own.Boot === undefined) throw new RemudaError('bmc-refused', 'the BMC offers no boot override for this host');
  return { link, etag: found.etag ?? own['@odata.etag'], boot: own.Boot };
};

interface BootPatch {
  readonly connection: Connection;
  readonly place: BootPlace;
  readonly change: BootChange;
  readonly signal: Signal;
}

/**
 * PATCH with the ETag rules of ifMatchLadder. Two refusals with 400 are no refusals: of a value that already stands as asked (some BMCs
 * refuse the unchanged), and of a mode that needs no change (HP DL160 Gen10 wants the minimal fields).
 */
const patchBoot = async ({ connection, place, change, signal }: BootPatch): Promise<void> => {
  const { BootSourceOverrideMode: mode, ...minimal } = change;
  const shown = place.boot;
  const sameMode = mode === undefined || shown.BootSourceOverrideMode === mode;
  const bodies = mode !== undefined && sameMode ? [change, minimal] : [change];
  let refused: RemudaError | undefined;
  for (const Boot of bodies) {
    const ask: Ask = { method: 'PATCH', link: place.link, body: { Boot }, signal };
    const answer = await patchWithEtag(connection, ask, place.etag);
    if (answer.status >= 200 && answer.status < 300) return;
    refused = connection.refusal(ask, answer);
    if (answer.status !== 400) throw refused;
  }
  const unchanged = shown.BootSourceOverrideTarget === 'Pxe' && shown.BootSourceOverrideEnabled === 'Once' && sameMode;
  if (refused !== undefined && !unchanged) throw refused;
};

const patchWithEtag = async (connection: Connection, ask: Ask, etag: string | undefined): ReturnType<Connection['ask']> => {
  const [first, ...others] = ifMatchLadder(etag);
  let answer = await connection.ask({ ...ask, ifMatch: first });
  for (const ifMatch of others) {
    if (answer.status !== 412 && answer.status !== 428) break;
    answer = await connection.ask({ ...ask, ifMatch });
  }
  return answer;
};
