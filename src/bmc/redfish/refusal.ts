/** What a BMC says when it does not do what was asked, and which of our errors that is. */
import { RemudaError } from '../../errors.ts';
import type { HttpAnswer } from '../../world/world.ts';

/** As much of a BMC's words as an operator needs. */
const wordsMax = 300;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const sentencesOf = (info: unknown): readonly string[] => {
  if (typeof info === 'string') return [info];
  if (Array.isArray(info)) return info.flatMap(sentencesOf);
  if (!isRecord(info)) return [];
  const said = info['Message'] ?? info['message'] ?? info['MessageId'];
  return typeof said === 'string' ? [said] : [];
};

/**
 * The message texts of an error body (DSP0266 §8.6 "Error responses"), bounded, on one line; undefined where there are none.
 * `@Message.ExtendedInfo` should be a list, but is a single object or a bare string on some BMCs (sushy).
 */
export const messageOf = (body: unknown): string | undefined => {
  if (!isRecord(body)) return undefined;
  const error = isRecord(body['error']) ? body['error'] : body;
  const extended = sentencesOf(error['@Message.ExtendedInfo'] ?? body['@Message.ExtendedInfo']);
  const said = (extended.length > 0 ? extended : sentencesOf(error)).join(' ');
  // oxlint-disable-next-line no-control-regex -- what a BMC sends must not paint an operator's terminal.
  const plain = said.replaceAll(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim();
  return plain === '' ? undefined : plain.slice(0, wordsMax);
};

/** The seconds of a Retry-After header; its form as a date is not used by BMCs and counts as absent (RFC 9110 §10.2.3). */
export const retryAfterOf = (answer: HttpAnswer): number | undefined => {
  const seconds = answer.headers['retry-after']?.trim() ?? '';
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined;
};

/** JSON of a body; undefined where it is none. */
export const jsonOf = (body: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as unknown;
  } catch {
    return undefined;
  }
};

export interface Attempt {
  /** `PATCH https://…/Systems/1` */
  readonly what: string;
  /** Words that must not leave the daemon, even where a BMC repeats them. */
  readonly secrets: readonly string[];
  /** The answer to a login: what to check is said by login.ts. */
  readonly isLogin?: boolean;
}

/** The same text without the secrets. */
export const redacted = (text: string, secrets: readonly string[]): string =>
  secrets.reduce((safe, secret) => (secret === '' ? safe : safe.replaceAll(secret, '…')), text);

/** Turns an answer that is no success into our error: 5xx and 429 are a BMC that cannot just now, all others a BMC that will not. */
export const refusal = (attempt: Attempt, answer: HttpAnswer): RemudaError => {
  const said = messageOf(jsonOf(answer.body));
  const words = said === undefined ? '' : `: ${redacted(said, attempt.secrets)}`;
  const busy = answer.status >= 500 || answer.status === 429;
  const login = attempt.isLogin !== true && (answer.status === 401 || answer.status === 403) ? '; check its user and password' : '';
  const retryAfterSeconds = retryAfterOf(answer);
  return new RemudaError(busy ? 'bmc-unreachable' : 'bmc-refused', `${attempt.what} was answered with ${answer.status}${words}${login}`, {
    values: { status: answer.status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) },
  });
};
