/** The tokens of the API: made once, known by their hash, compared in constant time, let in until they end. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { RemudaError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import type { Store, TokenRow } from '../store/store.ts';
import type { Clock, Random } from '../world/world.ts';
import { roles } from './route.ts';
import type { Caller, Role } from './route.ts';

export interface TokenParts {
  readonly store: Pick<Store, 'tokens' | 'createToken' | 'revokeToken'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly limits: Pick<Limits, 'tokensMax'>;
}
export interface TokenWish {
  readonly name: string;
  readonly role: Role;
  /** ms since 1970; null: until it is revoked. */
  readonly expiresAt: number | null;
}
/** A token as it may be shown: never its secret, not even its hash. */
export interface TokenView extends Omit<TokenRow, 'hash' | 'role'> {
  readonly role: Role;
  /** Since the daemon started; null where it was not used. */
  readonly lastUsedAt: number | null;
}

const secretBytes = 32;
const idLetters = 'bcdfghjkmnpqrstvwxz23456789bcdfg';
const form = /^remuda_([a-z0-9]{8})_[A-Za-z0-9_-]{43}$/;
const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();
/** Compared with where there is no such token, so that the time of an answer does not tell whether an ID exists. */
const nobody = Buffer.alloc(32);

const invalid = (why: string): RemudaError => new RemudaError('unauthenticated', why);

/** All tokens in memory, written through to the store. */
export class TokenBook {
  readonly #parts: TokenParts;
  readonly #tokens = new Map<string, TokenRow>();
  readonly #lastUsed = new Map<string, number>();

  constructor(parts: TokenParts, rows: readonly TokenRow[]) {
    this.#parts = parts;
    for (const row of rows) this.#tokens.set(row.id, row);
  }
  /** With all tokens of the store. */
  static async open(parts: TokenParts): Promise<TokenBook> {
    return new TokenBook(parts, await parts.store.tokens());
  }
  /** Was none ever made? Then this is the daemon's first start. */
  get isEmpty(): boolean {
    return this.#tokens.size === 0;
  }
  list(): readonly TokenView[] {
    return [...this.#tokens.values()].map((row) => this.#view(row));
  }
  /** The token itself is in this answer and nowhere else. `conflict` where the name is in use. */
  async create(wish: TokenWish): Promise<{ readonly token: string; readonly view: TokenView }> {
    const { store, clock, random, limits } = this.#parts;
    if (this.#tokens.size >= limits.tokensMax)
      throw new RemudaError('conflict', `there are ${limits.tokensMax} tokens already, the revoked ones among them: no more can be made`);
    const id = Array.from(random.bytes(8), (byte) => idLetters[byte & 31]).join('');
    const token = `remuda_${id}_${Buffer.from(random.bytes(secretBytes)).toString('base64url')}`;
    const row: TokenRow = { id, ...wish, hash: hashOf(token).toString('hex'), createdAt: clock.now(), revokedAt: null };
    await store.createToken(row);
    this.#tokens.set(id, row);
    return { token, view: this.#view(row) };
  }
  /** By ID, or by name where one token of that name is not revoked; `not-found`. */
  async revoke(idOrName: string): Promise<TokenView> {
    const { store, clock } = this.#parts;
    const named = [...this.#tokens.values()].find(({ name, revokedAt }) => name === idOrName && revokedAt === null);
    const row = await store.revokeToken(this.#tokens.has(idOrName) ? idOrName : (named?.id ?? idOrName), clock.now());
    this.#tokens.set(row.id, row);
    return this.#view(row);
  }
  /** Who holds this token; `unauthenticated` where nobody may come in with it. */
  judge(token: string): Caller {
    const [, id = ''] = form.exec(token) ?? [];
    const row = this.#tokens.get(id);
    const isSame = timingSafeEqual(hashOf(token), row === undefined ? nobody : Buffer.from(row.hash, 'hex'));
    if (row === undefined || !isSame) throw invalid('this token is not known here: ask an admin for one (remuda token create)');
    const now = this.#parts.clock.now();
    if (row.revokedAt !== null) throw invalid(`the token ${row.name} was revoked: ask an admin for another`);
    if (row.expiresAt !== null && row.expiresAt <= now) throw invalid(`the token ${row.name} has expired: ask an admin for another`);
    this.#lastUsed.set(id, now);
    return { name: row.name, role: roleOf(row), isGood: () => this.#isGood(id) };
  }
  #isGood(id: string): boolean {
    const row = this.#tokens.get(id);
    return row !== undefined && row.revokedAt === null && (row.expiresAt ?? Infinity) > this.#parts.clock.now();
  }
  #view(row: TokenRow): TokenView {
    const { id, name, createdAt, expiresAt, revokedAt } = row;
    return { id, name, role: roleOf(row), createdAt, expiresAt, revokedAt, lastUsedAt: this.#lastUsed.get(id) ?? null };
  }
}

/** A role that this program does not know may the least. */
const roleOf = ({ role }: TokenRow): Role => roles.find((known) => known === role) ?? 'viewer';
