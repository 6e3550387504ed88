/** The connection to one Redfish service: one cached session, links that never lead away from the BMC, errors in plain words. */
import type { ZodType } from 'zod';
import { RemudaError } from '../../errors.ts';
import type { Limits } from '../../limits.ts';
import { LoginPause } from '../login.ts';
import type { LoginLimits } from '../login.ts';
import type { HttpAnswer, HttpCall, Log, Method, World } from '../../world/world.ts';
import { refusesBmc } from '../../wire/bmc-place.ts';
import type { BmcAddress } from '../../wire/words.ts';
import { serviceRoot, sessionService } from './messages.ts';
import { jsonOf, refusal } from './refusal.ts';

export type BmcWorld = Pick<World, 'http' | 'clock' | 'log'>;
export type BmcLimits = Pick<Limits, 'bmcTimeoutMs' | 'bmcReplyBytes'> & LoginLimits;

export interface Ask {
  readonly method: Method;
  /** As the BMC wrote it. */
  readonly link: string;
  readonly body?: unknown;
  readonly ifMatch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}
export interface Resource<T> {
  readonly value: T;
  /** As the ETag header has it; undefined where there is none. */
  readonly etag: string | undefined;
}

/** How we are let in: with the token of a session (DSP0266 §13.3.4), or with each request's own credentials (§13.3.3). */
type Pass = { readonly token: string; readonly session: string | undefined } | { readonly basic: string };

/** The one URI that DSP0266 §6.4 fixes; all others are followed from here. */
const rootLink = '/redfish/v1/';

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);

/** The origin to talk to. Throws `bad-config` for what is no such URL, `bmc-untrusted` where a password would go in clear. */
const originOf = (address: BmcAddress): string => {
  const url = URL.parse(address.url);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new RemudaError('bad-config', 'the address of a BMC is an https URL without user and password, such as https://10.0.0.5');
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && address.insecure !== true)
    throw new RemudaError('bmc-untrusted', `${url.origin} is not https: the BMC's password would go in clear; use https, or say insecure`, {
      values: { url: url.origin },
    });
  return url.origin;
};

const isSuccess = (answer: HttpAnswer): boolean => answer.status >= 200 && answer.status < 300;

export class Connection {
  readonly #world: BmcWorld;
  readonly #address: BmcAddress;
  readonly #limits: BmcLimits;
  readonly #login: LoginPause;
  #pass: Pass | undefined;

  constructor(world: BmcWorld, address: BmcAddress, limits: BmcLimits) {
    this.#world = world;
    this.#address = address;
    this.#limits = limits;
    this.#login = new LoginPause({ url: address.url, username: address.username }, world.clock, limits);
  }

  /** Reads a resource; throws where the answer is no success, no JSON, or not this resource. */
  async get<T>(link: string, schema: ZodType<T>, signal?: AbortSignal): Promise<Resource<T>> {
    return this.#resource({ method: 'GET', link, signal }, await this.ask({ method: 'GET', link, signal }), schema);
  }

  /** The service root, which answers without credentials. */
  async root(signal?: AbortSignal): Promise<ReturnType<typeof serviceRoot.parse>> {
    const ask: Ask = { method: 'GET', link: rootLink, signal };
    return this.#resource(ask, await this.#send(ask, {}), serviceRoot).value;
  }

  /** Any request with our credentials. Answers are returned whatever their status; a session that is gone is opened anew, once. */
  async ask(ask: Ask): Promise<HttpAnswer> {
    const remembered = this.#pass;
    const pass = (this.#pass ??= await this.#enter(ask.signal));
    if ('basic' in pass) return this.#sendBasic(ask);
    const answer = await this.#send(ask, headersFor(pass));
    if (answer.status !== 401 || remembered === undefined) return answer;
    this.#log.debug('the BMC knows the session no more, logging in again');
    this.#pass = undefined;
    const again = (this.#pass = await this.#enter(ask.signal));
    return 'basic' in again ? this.#sendBasic(ask) : this.#send(ask, headersFor(again));
  }

  /** With HTTP basic each request is a login. */
  async #sendBasic(ask: Ask): Promise<HttpAnswer> {
    this.#login.check();
    const answer = await this.#send(ask, headersFor({ basic: this.#basic() }));
    if (answer.status === 401) throw this.#loginRefused(ask, answer);
    if (isSuccess(answer)) this.#login.accepted();
    return answer;
  }

  #loginRefused(ask: Ask, answer: HttpAnswer): RemudaError {
    const attempt = { what: `${ask.method} ${this.#url(ask.link)}`, secrets: this.#secrets(), isLogin: true };
    const { message, values } = refusal(attempt, answer);
    return this.#login.refused(message, values);
  }

  /** Our error for an answer that is no success. */
  refusal(ask: Ask, answer: HttpAnswer): RemudaError {
    return refusal({ what: `${ask.method} ${this.#url(ask.link)}`, secrets: this.#secrets() }, answer);
  }

  /** Ends the session (DSP0266 §13.3.4.4): a BMC has few of them and keeps forgotten ones for half an hour. Never throws. */
  async close(): Promise<void> {
    const pass = this.#pass;
    this.#pass = undefined;
    if (pass === undefined || 'basic' in pass || pass.session === undefined) return;
    try {
      const answer = await this.#send({ method: 'DELETE', link: pass.session }, headersFor(pass));
      if (!isSuccess(answer)) this.#log.debug('the BMC did not end our session', { status: answer.status });
    } catch (error) {
      this.#log.debug('the BMC did not end our session', { code: error instanceof RemudaError ? error.code : 'internal' });
    }
  }

  get #log(): Log {
    return this.#world.log.with({ bmc: originOf(this.#address) });
  }

  #secrets(): readonly string[] {
    const pass = this.#pass;
    return [this.#address.password, this.#basic(), ...(pass !== undefined && 'token' in pass ? [pass.token] : [])];
  }

  #basic(): string {
    return Buffer.from(`${this.#address.username}:${this.#address.password}`).toString('base64');
  }

  /** A link on the BMC's own origin, whatever host it names: the token goes nowhere else. */
  #url(link: string): string {
    const origin = originOf(this.#address);
    const url = URL.parse(link, origin);
    if (url === null) throw new RemudaError('bmc-refused', `${origin} names a link that is none`, { values: { link: link.slice(0, 200) } });
    return `${origin}${url.pathname}${url.search}`;
  }

  async #enter(signal: AbortSignal | undefined): Promise<Pass> {
    const basic: Pass = { basic: this.#basic() };
    const sessions = await this.#sessionsLink(signal);
    if (sessions === undefined) {
      this.#log.info('the BMC has no session service: its password goes with every request (HTTP basic)');
      return basic;
    }
    this.#login.check();
    const body = { UserName: this.#address.username, Password: this.#address.password };
    const ask: Ask = { method: 'POST', link: sessions, body, signal };
    const answer = await this.#send(ask, {});
    if ([404, 405, 501].includes(answer.status)) {
      this.#log.info('the BMC names a session service but has none: its password goes with every request (HTTP basic)');
      return basic;
    }
    if (answer.status === 401 || answer.status === 403) throw this.#loginRefused(ask, answer);
    if (!isSuccess(answer)) throw this.refusal(ask, answer);
    this.#login.accepted();
    const token = answer.headers['x-auth-token'] ?? '';
    if (token === '') throw new RemudaError('bmc-refused', `${this.#url(sessions)} opened a session without a token`);
    return { token, session: answer.headers['location'] };
  }

  /** Links.Sessions first: the session service itself is behind the login on some BMCs (sushy). */
  async #sessionsLink(signal: AbortSignal | undefined): Promise<string | undefined> {
    const root = await this.root(signal);
    const direct = root.Links?.Sessions?.['@odata.id'];
    const service = root.SessionService?.['@odata.id'];
    if (direct !== undefined || service === undefined) return direct;
    const ask: Ask = { method: 'GET', link: service, signal };
    return this.#resource(ask, await this.#sendBasic(ask), sessionService).value.Sessions?.['@odata.id'];
  }

  #resource<T>(ask: Ask, answer: HttpAnswer, schema: ZodType<T>): Resource<T> {
    if (!isSuccess(answer)) throw this.refusal(ask, answer);
    const parsed = schema.safeParse(jsonOf(answer.body));
    if (!parsed.success)
      throw new RemudaError('bmc-unreachable', `GET ${this.#url(ask.link)} was answered with a broken body, or by no Redfish service`, {
        values: { status: answer.status, bytes: answer.body.length },
      });
    return { value: parsed.data, etag: answer.headers['etag'] };
  }

  /** No Accept-Encoding: compression turns ETags weak on some BMCs (sushy). */
  #send(ask: Ask, credentials: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const { fingerprint, ca, insecure } = this.#address;
    // A pin stands before an authority, and both before "anything goes"; what that adds to a pin is that it may have expired.
    const trust = {
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(fingerprint !== undefined || ca === undefined ? {} : { ca }),
      ...(insecure === true && (fingerprint !== undefined || ca === undefined) ? { insecure } : {}),
    };
    const json = ask.body === undefined ? {} : { 'content-type': 'application/json' };
    const match = ask.ifMatch === undefined ? {} : { 'if-match': ask.ifMatch };
    const call: HttpCall = {
      method: ask.method,
      url: this.#url(ask.link),
      headers: { accept: 'application/json', 'odata-version': '4.0', ...json, ...match, ...credentials },
      timeoutMs: this.#limits.bmcTimeoutMs,
      replyBytesMax: this.#limits.bmcReplyBytes,
      refuses: refusesBmc,
      ...trust,
      ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
      ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    };
    return this.#world.http.call(call);
  }
}

const headersFor = (pass: Pass): Readonly<Record<string, string>> =>
  'token' in pass ? { 'x-auth-token': pass.token } : { authorization: `Basic ${pass.basic}` };
