/** The way into a BMC: which cipher suite and privilege it takes, tried in order; one attempt per password; lost messages begin it anew. */
import { RemudaError } from '../../errors.ts';
import type { BmcAddress } from '../../wire/words.ts';
import type { LoginPause } from '../login.ts';
import { suites, usualSuites } from './crypt.ts';
import type { Suite } from './crypt.ts';
import { handshake } from './handshake.ts';
import type { HandshakeResult } from './handshake.ts';
import type { IpmiLimits, IpmiWorld, Line } from './line.ts';
import { resends } from './line.ts';
import { OpeningStatus, passwordBytesMax, Privilege, usernameBytesMax } from './opening.ts';
import { capabilitiesOf, toldSuites } from './outside.ts';
import type { Session } from './session.ts';

/** One thing to try. */
export interface Candidate {
  readonly suite: Suite;
  readonly level: number;
}
export interface Entered extends Candidate {
  readonly session: Session;
}
export interface Entry {
  readonly world: IpmiWorld;
  readonly line: Line;
  readonly address: BmcAddress;
  readonly limits: IpmiLimits;
  readonly login: LoginPause;
  /** What let us in last time; tried first. */
  readonly last: Candidate | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The bytes that stand in the handshake. Throws `bad-config` where IPMI has no room for them. */
const credentialsOf = ({ username, password, url }: BmcAddress): { readonly username: Uint8Array; readonly password: Uint8Array } => {
  const [name, secret] = [Buffer.from(username), Buffer.from(password)];
  if (name.length > usernameBytesMax)
    throw new RemudaError('bad-config', `${url}: a user's name in IPMI has at most ${usernameBytesMax} bytes`);
  if (secret.length > passwordBytesMax)
    throw new RemudaError('bad-config', `${url}: a password in IPMI has at most ${passwordBytesMax} bytes; set a shorter one on the BMC`);
  return { username: name, password: secret };
};

/** Suites in the order of their strength. Of those that the operator allows, suite 0 and what we cannot speak are left out. */
const allowedSuites = ({ suites: more = [] }: BmcAddress): readonly Suite[] =>
  [...new Set([...usualSuites, ...more])].flatMap((id) => suites.get(id) ?? []);

/** The list that the BMC tells narrows ours, but is only a hint: where nothing would be left, all are tried. */
const candidatesOf = (entry: Entry, told: readonly { readonly id: number }[]): readonly Candidate[] => {
  const allowed = allowedSuites(entry.address);
  const shared = allowed.filter(({ id }) => told.some((one) => one.id === id));
  const levels = [Privilege.administrator, Privilege.operator];
  const all = (shared.length > 0 ? shared : allowed).flatMap((suite) => levels.map((level) => ({ suite, level })));
  const { last } = entry;
  if (last === undefined) return all;
  return [last, ...all.filter(({ suite, level }) => suite.id !== last.suite.id || level !== last.level)];
};

/** What a status of a handshake means for what comes next. */
const verdicts: Readonly<Record<number, 'next-suite' | 'next' | 'full' | 'again' | 'login'>> = {
  0x01: 'full',
  0x0b: 'full',
  0x02: 'again',
  0x08: 'again',
  0x04: 'next-suite',
  0x05: 'next-suite',
  0x06: 'next-suite',
  0x07: 'next-suite',
  0x10: 'next-suite',
  0x11: 'next-suite',
  // Privileges, by the book; but what some BMCs say to a suite they do not want (FreeIPMI, Ironic bug 2085137).
  0x09: 'next',
  0x0a: 'next',
  0x12: 'next',
  0x0c: 'login',
  0x0d: 'login',
  0x0f: 'login',
};
const statusText = (status: number): string => OpeningStatus[status] ?? `status ${status.toString(16)}h`;

/** One candidate, begun anew while messages are lost, until `deadline`. */
const persist = async (entry: Entry, candidate: Candidate, deadline: number): Promise<HandshakeResult> => {
  const { world, line, limits, signal } = entry;
  const credentials = credentialsOf(entry.address);
  for (let tries = 0; ; tries++) {
    const left = deadline - world.clock.now();
    if (left <= 0) return { kind: 'silence' };
    const waitMs = Math.min(left, limits.ipmiResendMostMs, limits.ipmiResendFirstMs * 2 ** Math.min(tries, 10));
    const result = await handshake({ line, random: world.random, ...candidate, ...credentials, waitMs, signal });
    const again = result.kind === 'silence' || (result.kind === 'refused' && verdicts[result.status] === 'again');
    if (!again) return result;
    // A status comes at once; without a pause it would be asked for in a circle.
    if (result.kind === 'refused') await world.clock.sleep(Math.min(waitMs, left), signal);
  }
};

const silent = ({ address, limits }: Entry, asked: string): RemudaError =>
  new RemudaError(
    'bmc-unreachable',
    `${address.url}: no answer to ${asked} within ${limits.bmcTimeoutMs} ms; is IPMI over LAN enabled there? Some BMCs have it off, and answer Redfish`,
    { values: { url: address.url } },
  );

/** Throws for what ends the search; returns what to leave out of it. */
const judged = (entry: Entry, result: Exclude<HandshakeResult, { readonly kind: 'open' }>): 'next' | 'next-suite' => {
  const { address, login } = entry;
  // Some BMCs drop what asks for a suite that they do not have.
  if (result.kind === 'silence') return 'next-suite';
  if (result.kind === 'wrong-password') throw login.refused('the BMC knows another password');
  if (result.kind === 'wrong-key')
    throw login.refused('the BMC let the user in and then proved itself by another key: clear its BMC key, K_G, which is not supported');
  const verdict = verdicts[result.status];
  if (verdict === 'login') throw login.refused(statusText(result.status), { status: result.status });
  if (verdict === 'next' || verdict === 'next-suite') return verdict;
  throw new RemudaError(
    verdict === 'full' ? 'bmc-unreachable' : 'bmc-refused',
    `${address.url} opens no session: ${statusText(result.status)}${verdict === 'full' ? '; all its sessions are taken, one ends by itself after a minute of silence' : ''}`,
    { values: { url: address.url, status: result.status } },
  );
};

/**
 * Opens a session. Throws `bmc-unreachable` (silence, all sessions taken), `bmc-refused` (no common suite, the credentials: then once and
 * not again for a while), `bad-config`.
 */
export const enter = async (entry: Entry): Promise<Entered> => {
  const { world, line, address, limits, login, signal } = entry;
  login.check();
  credentialsOf(address);
  const waitsMs = resends(limits, limits.bmcTimeoutMs);
  const capabilities = entry.last === undefined ? await capabilitiesOf(line, { waitsMs, signal }) : { v20: true, needsKg: false };
  if (capabilities === undefined) throw silent(entry, 'Get Channel Authentication Capabilities');
  if (!capabilities.v20)
    throw new RemudaError('bmc-refused', `${address.url} speaks IPMI 1.5 only, which protects nothing; RMCP+ (IPMI 2.0) is needed`);
  if (capabilities.needsKg) world.log.debug('the BMC says that it has a key of its own (K_G)', { bmc: address.url });
  const told = entry.last === undefined ? await toldSuites(line, { waitsMs: [limits.ipmiResendFirstMs], signal }) : [];
  const candidates = candidatesOf(entry, told);
  const shareMs = limits.bmcTimeoutMs / new Set(candidates.map(({ suite }) => suite.id)).size;
  let deadline = 0;
  let current: number | undefined;
  let skipped: number | undefined;
  let result: Exclude<HandshakeResult, { readonly kind: 'open' }> = { kind: 'silence' };
  for (const candidate of candidates) {
    if (candidate.suite.id === skipped) continue;
    if (candidate.suite.id !== current) deadline = world.clock.now() + shareMs;
    current = candidate.suite.id;
    const came = await persist(entry, candidate, deadline);
    if (came.kind === 'open') {
      login.accepted();
      return { ...candidate, session: came.session };
    }
    result = came;
    if (judged(entry, result) === 'next-suite') skipped = candidate.suite.id;
  }
  throw exhausted(entry, told, result);
};

/** Nothing is left to try. */
const exhausted = (
  entry: Entry,
  told: readonly { readonly id: number }[],
  last: Exclude<HandshakeResult, { readonly kind: 'open' }>,
): RemudaError => {
  if (last.kind !== 'refused') return silent(entry, 'the session handshake');
  const { address } = entry;
  const tried = allowedSuites(address).map(({ id }) => id);
  return new RemudaError(
    'bmc-refused',
    `${address.url} takes none of the cipher suites ${tried.join(', ')} for this user, neither as administrator nor as operator (${statusText(last.status)}); it tells ${told.map(({ id }) => id).join(', ') || 'none'}. Enable suite 17 on the BMC`,
    { values: { url: address.url, tried, told: told.map(({ id }) => id) } },
  );
};
