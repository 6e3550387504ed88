/** Which try an unhealthy machine gets next: reboots, then new images, then its owner. Pure. */
import type { RemediationSpec, RemediationStatus } from '../schema/bare-metal.ts';

export interface TryView {
  readonly spec: RemediationSpec;
  readonly status: RemediationStatus;
  /** Its host runs an OS that could be interrupted. */
  readonly canReboot: boolean;
  /** It is a worker, and its host may be written. */
  readonly canReimage: boolean;
  /** The last power command is known to have failed. */
  readonly rebootFailed: boolean;
  /** The present try came to nothing already. */
  readonly isLost: boolean;
  readonly nowMs: number;
}
export type Next =
  /** A new try: recorded before it is made. */
  | { readonly do: 'reboot' }
  | { readonly do: 'reimage' }
  /** The try of before: what was recorded and may not be done yet. */
  | { readonly do: 'reboot-again'; readonly leftMs: number }
  | { readonly do: 'reimage-on'; readonly leftMs: number }
  /** It has its time to become healthy. */
  | { readonly do: 'wait'; readonly leftMs: number }
  | { readonly do: 'give-up' };

const reboots = ['Reboot', 'RebootThenReimage'];
const reimages = ['Reimage', 'RebootThenReimage'];
const another = ({ spec, status, canReboot, canReimage }: TryView): Next => {
  if (canReboot && reboots.includes(spec.strategy) && (status.reboots ?? 0) < spec.reboots) return { do: 'reboot' };
  if (canReimage && reimages.includes(spec.strategy) && (status.reimages ?? 0) < spec.reimages) return { do: 'reimage' };
  return { do: 'give-up' };
};
/**
 * A recorded reboot counts as made: after a crash nobody knows, and the next try comes anyway. Only one that is known to have failed is
 * repeated within its time.
 */
export const nextTry = (view: TryView): Next => {
  const { spec, status, nowMs, isLost, rebootFailed } = view;
  if (status.phase === 'GivenUp') return { do: 'give-up' };
  const leftMs = status.lastTryAt === undefined ? 0 : Date.parse(status.lastTryAt) + spec.timeoutSeconds * 1000 - nowMs;
  if (leftMs <= 0 || isLost) return another(view);
  if (status.phase === 'Reimaging') return { do: 'reimage-on', leftMs };
  if (status.phase === 'Rebooting' && rebootFailed) return { do: 'reboot-again', leftMs };
  return { do: 'wait', leftMs };
};
