/** Every error the product raises on purpose: a stable code, a status for HTTP, and the values that explain it. */
export const codes = {
  'bad-request': 400,
  'bad-config': 400,
  'credential-invalid': 401,
  unauthenticated: 401,
  forbidden: 403,
  'ticket-invalid': 403,
  'boot-contested': 403,
  'host-not-accepted': 409,
  'not-found': 404,
  'host-not-found': 404,
  'claim-not-found': 404,
  'image-not-found': 404,
  conflict: 409,
  'version-conflict': 409,
  'state-conflict': 409,
  'host-claimed': 409,
  'host-exists': 409,
  'claim-exists': 409,
  'job-stale': 409,
  'generation-stale': 409,
  'no-host-fits': 409,
  'identity-conflict': 409,
  'precondition-failed': 412,
  'ticket-expired': 410,
  'ticket-stale': 410,
  'too-large': 413,
  'disk-missing': 422,
  'disk-ambiguous': 422,
  'disk-too-small': 422,
  'image-invalid': 422,
  'image-unsigned': 422,
  'signature-invalid': 422,
  'source-refused': 422,
  'rate-limited': 429,
  'source-failed': 502,
  'kube-failed': 502,
  'rack-unreachable': 502,
  'bmc-unreachable': 502,
  'bmc-refused': 502,
  'bmc-untrusted': 502,
  'bmc-ignored': 502,
  'timed-out': 504,
  'disk-full': 507,
  internal: 500,
} as const;
export type Code = keyof typeof codes;

interface ErrorOptions {
  readonly cause?: unknown;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly next?: string;
}
/** What was attempted, on what, and what the operator can do about it. */
export class RemudaError extends Error {
  override readonly name = 'RemudaError';
  readonly code: Code;
  readonly values: Readonly<Record<string, unknown>>;
  /** What to do in this very case, on a line of its own, where the code alone would advise something else. */
  readonly next: string | undefined;
  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.values = options.values ?? {};
    this.next = options.next;
  }
  get status(): number {
    return codes[this.code];
  }
}

/** The code of any thrown thing; what we did not raise on purpose is `internal`. */
export const codeOf = (error: unknown): Code => (error instanceof RemudaError ? error.code : 'internal');
/** The sentence an operator reads. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
