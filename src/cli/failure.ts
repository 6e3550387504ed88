/** How a command ends that did not succeed: one line what happened, one line what to do next, and the exit code. */
import { RemudaError, reasonOf } from '../errors.ts';
import type { Code } from '../errors.ts';

/** 0 ok, 1 refused or failed, 2 wrong usage, 3 no daemon, 4 not let in or not trusted, 5 waited long enough; 130 ended by the person (128 + SIGINT), as shells say it. */
export const exits = { ok: 0, failed: 1, usage: 2, unreachable: 3, denied: 4, late: 5, interrupted: 130 } as const;
export type Exit = (typeof exits)[keyof typeof exits];

export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exit: Exit;
  readonly next: string | undefined;
  /** The daemon's own code, where it refused. */
  readonly code: string | undefined;
  constructor(exit: Exit, message: string, options: { next?: string | undefined; code?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exit = exit;
    this.next = options.next;
    this.code = options.code;
  }
}
export const usage = (message: string, next = 'see the command with --help'): CommandFailure =>
  new CommandFailure(exits.usage, message, { next });

const nextSteps: Partial<Record<Code, string>> = {
  'host-not-found': 'see which hosts there are: remuda host list',
  'claim-not-found': 'see which claims there are: remuda claim list',
  'image-not-found': 'see which images there are: remuda image list',
  'host-not-accepted': 'accept it first: remuda host accept HOST',
  'state-conflict': 'see what the host does and waits for: remuda host show HOST',
  'host-claimed': 'release the claim first (its disk is cleaned then): remuda host release HOST',
  'host-exists': 'see which host has that name or MAC: remuda host list',
  'claim-exists': 'choose another --id: an ID is never given twice',
  'version-conflict': 'something else changed the host in this moment: ask again',
  'disk-missing': 'see the disks of the hosts: remuda claim create … --dry-run; then name one by --disk serial=…',
  'disk-ambiguous': 'see the disks of the hosts: remuda claim create … --dry-run; then name one by --disk serial=…',
  'disk-too-small': 'choose a larger disk or a smaller image: remuda claim create … --dry-run shows the disks',
  'image-invalid': 'bring the image in again: remuda image import FILE --name NAME',
  'bmc-unreachable': 'check the BMC\u2019s address and that the daemon\u2019s machine reaches its network',
  'bmc-untrusted': 'renew a certificate that has ended; else compare it with the BMC\u2019s own page, and give it by --bmc-fingerprint',
  'bmc-refused': 'check the user, the password and the rights on the BMC',
  'bmc-ignored': 'look at the server: its BMC said yes and did nothing; remuda host timeline HOST shows what was tried',
  'disk-full': 'make room on the daemon\u2019s disk: remuda image remove NAME',
  unauthenticated:
    'say who you are: remuda login URL, or --token-file FILE, REMUDA_TOKEN; an administrator makes tokens: remuda token create',
  forbidden: 'ask an administrator for a token with the role that this needs: remuda token create NAME --role ROLE',
  'precondition-failed': 'somebody else changed it meanwhile: look at it, then ask again',
  'rate-limited': 'wait a moment, then ask again',
  'identity-conflict': 'see which hosts it is about: remuda host show HOST; then adopt or remove the MAC where it belongs',
  'no-host-fits': 'see the hosts: remuda host list -o wide; or ask for less; remuda claim create … --dry-run shows each',
  'image-unsigned': 'sign it: remuda image sign FILE --key KEY, and import it again with its signature',
  'signature-invalid': 'import the image again with the signature that belongs to it, or add its key to images.trust in the configuration',
  'timed-out': 'see what it was doing: remuda host show HOST; then remuda host retry HOST',
  internal: 'the daemon\u2019s log says more',
};
/** What to do about a refusal of the daemon; undefined where the sentence says it all. */
export const nextFor = (code: string): string | undefined => (Object.hasOwn(nextSteps, code) ? nextSteps[code as Code] : undefined);

/** Any thrown thing as a failure of the command. */
export const failureOf = (error: unknown): CommandFailure => {
  if (error instanceof CommandFailure) return error;
  if (!(error instanceof RemudaError)) return new CommandFailure(exits.failed, reasonOf(error), { cause: error });
  const { code, message } = error;
  // What breaks here breaks in this command, and no daemon has a log of it.
  const next = error.next ?? (code === 'internal' ? undefined : nextFor(code));
  return new CommandFailure(exits.failed, message, { cause: error, code, next });
};
