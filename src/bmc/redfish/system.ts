/** The one system behind a Redfish BMC: found by its links, read again for each verb; and what all verbs share. */
import { RemudaError } from '../../errors.ts';
import type { BmcAddress } from '../../wire/words.ts';
import type { Outcome } from '../driver.ts';
import type { Ask, Connection, Resource } from './connection.ts';
import { ifMatchLadder } from './boot-override.ts';
import { collection, system } from './messages.ts';
import type { System } from './messages.ts';

/** More members than a server has ports, or a chassis has servers; a BMC that lists more is not followed further. */
const membersMax = 64;

export type Signal = AbortSignal | undefined;
/** Reads the one system this driver is for. Its link is remembered until the BMC knows it no more. */
export type Host = (signal: Signal) => Promise<Resource<System>>;
export interface Verb {
  readonly connection: Connection;
  readonly host: Host;
  readonly signal: Signal;
}

export const hostOf = (connection: Connection, address: BmcAddress): Host => {
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

export const membersOf = async (connection: Connection, link: string, signal: Signal): Promise<readonly string[]> => {
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
    ...(members.length === 0 ? {} : { next: `say which one, by --bmc-system: ${members.slice(0, 8).map(lastPart).join(', ')}` }),
  });
};

/** undefined where the BMC does not give what it linked to; an unreachable BMC still throws. */
export const optional = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'bmc-refused') return undefined;
    throw error;
  }
};

/** The one reading after a command that was taken: where it fails, the command still stands, and what it did is unknown. */
export const afterwards = async <T>(signal: Signal, read: () => Promise<Outcome<T>>, asked: T): Promise<Outcome<T>> => {
  try {
    return await read();
  } catch (error) {
    if (signal?.aborted === true || !(error instanceof RemudaError)) throw error;
    return { asked, observed: 'unknown', settled: false, note: `the BMC took the command, then: ${error.message}` };
  }
};

/** Sends, and throws where the BMC does not take it. */
export const demand = async (connection: Connection, ask: Ask): Promise<void> => {
  const answer = await connection.ask(ask);
  if (answer.status < 200 || answer.status > 299) throw connection.refusal(ask, answer);
};

/** A change of a resource, with the ETag rules of ifMatchLadder. The answer is returned whatever its status. */
export const patchWithEtag = async (connection: Connection, ask: Ask, etag: string | undefined): ReturnType<Connection['ask']> => {
  const [first, ...others] = ifMatchLadder(etag);
  let answer = await connection.ask({ ...ask, ifMatch: first });
  for (const ifMatch of others) {
    if (answer.status !== 412 && answer.status !== 428) break;
    answer = await connection.ask({ ...ask, ifMatch });
  }
  return answer;
};
