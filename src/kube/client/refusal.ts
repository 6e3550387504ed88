/** Why the API server said no, or nothing at all, in words that say what was asked and what to do. */
import { KubeError } from '../api.ts';

/** What was asked, for messages: `patch BareMetalMachine ns/m1`. */
export interface Asked {
  readonly what: string;
  readonly server: string;
}
/** metav1.Status, as far as we read it. */
interface Status {
  readonly kind?: unknown;
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly code?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown; readonly kind?: unknown } | null;
}
const advice: Readonly<Record<number, string>> = {
  0: 'check that the server runs and can be reached from here; it is tried again',
  401: 'check the credentials of the kubeconfig',
  403: 'grant it to the role of the controller (deploy/cluster-api), or install the package anew',
  404: 'check that the kind is installed (its CustomResourceDefinition) and that the object is there',
  409: 'it is tried again with what stands there now',
  410: 'it is read anew',
  422: 'mend the object as the message says',
  429: 'the server asks for patience; it is tried again',
  504: 'it is tried again',
};
const adviceFor = (status: number): string =>
  advice[status] ?? (status >= 500 ? 'it is tried again; the log of the server says more' : 'mend the request');

/** `reason` of a status whose answer had none. */
const reasonFor: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

export const refused = (
  { what, server }: Asked,
  more: {
    readonly status: number;
    readonly reason?: string;
    readonly why: string;
    readonly retryAfterMs?: number | undefined;
    readonly cause?: unknown;
  },
): KubeError => {
  const { status, reason = reasonFor[status] ?? '', why, retryAfterMs, cause } = more;
  const said = status === 0 ? why : `${status} ${reason}: ${why}`;
  return new KubeError(`could not ${what} at ${server}: ${said}; ${adviceFor(status)}`, {
    status,
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(cause === undefined ? {} : { cause }),
  });
};

export const isStatus = (body: unknown): body is Status =>
  typeof body === 'object' && body !== null && 'kind' in body && body.kind === 'Status';
/** Seconds, as Kubernetes writes it; a date is not its way. */
const retryAfterOf = (header: string | undefined, body: unknown): number | undefined => {
  const seconds =
    isStatus(body) && typeof body.details?.retryAfterSeconds === 'number' ? body.details.retryAfterSeconds : Number(header ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
};
const shown = 512;
/** From an answer that is no success; `body` is its JSON or its text. */
export const refusedWith = (asked: Asked, status: number, body: unknown, retryAfter?: string): KubeError => {
  const text = typeof body === 'string' ? body.trim().slice(0, shown) : '';
  const told = isStatus(body) ? body : {};
  return refused(asked, {
    status,
    ...(typeof told.reason === 'string' && told.reason !== '' ? { reason: told.reason } : {}),
    why: typeof told.message === 'string' && told.message !== '' ? told.message : text === '' ? 'no word why' : text,
    retryAfterMs: retryAfterOf(retryAfter, body),
  });
};
/** An ERROR event of a watch: a Status as well. */
export const refusedEvent = (asked: Asked, object: unknown): KubeError =>
  refusedWith(asked, isStatus(object) && typeof object.code === 'number' ? object.code : 500, object);
