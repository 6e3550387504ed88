/** The connection to one IPMI BMC: one session, opened when needed, opened anew when it died, ended when it idles; refusals in plain words. */
import { RemudaError } from '../../errors.ts';
import type { BmcAddress } from '../../wire/words.ts';
import { DecodeError } from '../../wire/reader.ts';
import { LoginPause } from '../login.ts';
import { closeSession, decodeResponse, encodeRequest, setSessionPrivilege } from './commands.ts';
import type { Command } from './commands.ts';
import { enter } from './entry.ts';
import type { Entered } from './entry.ts';
import { endpointOf, Line, resends } from './line.ts';
import type { IpmiLimits, IpmiWorld } from './line.ts';
import { Completion, completionText } from './message.ts';
import { Privilege } from './opening.ts';
import type { Reply } from './session.ts';

export interface AskOptions {
  readonly signal: AbortSignal | undefined;
  /** Sent a single time, whatever happens: twice would be something else. */
  readonly once?: boolean;
}
/** §5.2: "not now"; asked again within the time that a command has. */
const busyCodes: readonly number[] = [Completion.busy, Completion.timeout, Completion.initializing];
/** Set Session Privilege Level that will not go so high: by the book (§22.18), and as others say it (Cisco UCS, ipmitool #376). */
const tooHighCodes: readonly number[] = [Completion.parameterUnsupported, Completion.privilegeLimited, Completion.insufficientPrivilege];
/** A session that served before may have died with its BMC; so long is it believed, in sendings. */
const believed = 2;

export class Connection {
  readonly #world: IpmiWorld;
  readonly #address: BmcAddress;
  readonly #limits: IpmiLimits;
  readonly #login: LoginPause;
  #line: Line | undefined;
  #entered: Entered | undefined;
  /** What let us in last time. */
  #last: Entered | undefined;
  #stopIdling: () => void = () => {};

  constructor(world: IpmiWorld, address: BmcAddress, limits: IpmiLimits) {
    this.#world = world;
    this.#address = address;
    this.#limits = limits;
    this.#login = new LoginPause({ url: address.url, username: address.username }, world.clock, limits);
  }

  /**
   * The answer to a command. Throws `bmc-refused` with the completion code in `values.completion`; `bmc-unreachable`, with `values.broken`
   * where the answer cannot be read.
   */
  async ask<Q extends object, A extends object>(of: Command<Q, A>, request: Q, options: AskOptions): Promise<A> {
    const { code, data } = await this.#answered(of, request, options).finally(() => this.#idle());
    if (code !== Completion.ok) throw this.#refusal(of, code);
    try {
      return decodeResponse(of, data);
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      throw new RemudaError('bmc-unreachable', `${this.#address.url}: a broken answer to ${of.name}: ${cause.message}`, {
        cause,
        values: { url: this.#address.url, broken: true },
      });
    }
  }

  /** Ends the session, and the socket. Never throws; a BMC that does not answer to it (after a reset) has ended it. */
  async close(): Promise<void> {
    this.#stopIdling();
    const entered = this.#entered;
    const line = this.#line;
    this.#entered = undefined;
    this.#line = undefined;
    try {
      const request = { netFn: closeSession.netFn, command: closeSession.command };
      const data = entered && encodeRequest(closeSession, { session: entered.session.managedSession, more: new Uint8Array() });
      const waitsMs = [this.#limits.ipmiResendFirstMs];
      if (data !== undefined) await entered?.session.ask({ ...request, data }, { waitsMs, signal: undefined });
    } catch (error) {
      this.#world.log.debug('the session was not ended', { bmc: this.#address.url, why: String(error) });
    } finally {
      line?.close();
    }
  }

  #refusal({ name }: { readonly name: string }, code: number): RemudaError {
    const busy = busyCodes.includes(code);
    return new RemudaError(
      busy ? 'bmc-unreachable' : 'bmc-refused',
      `${this.#address.url} ${busy ? 'cannot serve' : 'refuses'} ${name}: ${completionText(code)}`,
      { values: { url: this.#address.url, completion: code } },
    );
  }

  /** Asks until the BMC is not busy, or the time of one command is over. */
  async #answered<Q extends object, A extends object>(of: Command<Q, A>, request: Q, options: AskOptions): Promise<Reply> {
    const { clock } = this.#world;
    const { bmcTimeoutMs, ipmiResendFirstMs, ipmiResendMostMs } = this.#limits;
    const bytes = { netFn: of.netFn, command: of.command, data: encodeRequest(of, request) };
    const deadline = clock.now() + bmcTimeoutMs;
    for (let tries = 0; ; tries++) {
      const reply = await this.#sent(of.name, bytes, options);
      // A timeout inside the BMC says nothing about whether the command was carried out.
      const again = busyCodes.includes(reply.code) && !(options.once === true && reply.code === Completion.timeout);
      const pauseMs = Math.min(ipmiResendFirstMs * 2 ** Math.min(tries, 10), ipmiResendMostMs);
      if (!again || clock.now() + pauseMs >= deadline) return reply;
      await clock.sleep(pauseMs, options.signal);
    }
  }

  async #sent(name: string, bytes: Parameters<Entered['session']['ask']>[0], { signal, once }: AskOptions): Promise<Reply> {
    const waitsMs = resends(this.#limits, this.#limits.bmcTimeoutMs);
    const served = this.#entered !== undefined;
    this.#stopIdling();
    const first = (this.#entered ??= await this.#enter(signal));
    let reply = await first.session.ask(bytes, {
      waitsMs: once === true ? [this.#limits.bmcTimeoutMs] : served ? waitsMs.slice(0, believed) : waitsMs,
      signal,
    });
    if (reply === undefined) this.#entered = undefined;
    if (reply === undefined && served && once !== true) {
      this.#world.log.debug('the BMC knows the session no more, logging in again', { bmc: this.#address.url });
      const second = (this.#entered = await this.#enter(signal));
      reply = await second.session.ask(bytes, { waitsMs, signal });
      if (reply === undefined) this.#entered = undefined;
    }
    if (reply === undefined)
      throw new RemudaError(
        'bmc-unreachable',
        `${this.#address.url}: no answer to ${name} within ${this.#limits.bmcTimeoutMs} ms${once === true ? '; it was sent once, and may have been carried out: look at the host before asking again' : ''}`,
        { values: { url: this.#address.url } },
      );
    return reply;
  }

  /** A new session at the privilege that we need: every session begins as a user's (§22.18). */
  async #enter(signal: AbortSignal | undefined): Promise<Entered> {
    const { address, world, limits, login } = { address: this.#address, world: this.#world, limits: this.#limits, login: this.#login };
    const line = (this.#line ??= new Line(world, endpointOf(address.url)));
    const entered = await enter({ world, line, address, limits, login, last: this.#last, signal });
    const waitsMs = resends(limits, limits.bmcTimeoutMs);
    for (const level of [entered.level, Privilege.operator]) {
      const data = encodeRequest(setSessionPrivilege, { privilege: { level } });
      const { netFn, command } = setSessionPrivilege;
      const reply = await entered.session.ask({ netFn, command, data }, { waitsMs, signal });
      if (reply === undefined) throw new RemudaError('bmc-unreachable', `${address.url}: the BMC opened a session and fell silent`);
      if (reply.code === Completion.ok) {
        this.#last = entered;
        return entered;
      }
      if (!tooHighCodes.includes(reply.code) || level === Privilege.operator) throw this.#refusal(setSessionPrivilege, reply.code);
      world.log.debug('the BMC gives no administrator session, asking for an operator', { bmc: address.url });
    }
    return entered;
  }

  /** Some time after the last command, whatever came of it, session and socket are ended: a BMC has four sessions. */
  #idle(): void {
    this.#stopIdling();
    this.#stopIdling = this.#world.clock.after(this.#limits.ipmiIdleMs, () => void this.close());
  }
}
