/** How long to wait before the next try: twice as long each time, and never all at once. */
import type { Limits } from '../../limits.ts';
import type { Random } from '../../world/world.ts';

/** After so many failures in a row (1 is the first): between a half and the whole of first·2ⁿ, at most `limits.kubeBackoffMostMs`. */
export const backoffMs = (failures: number, random: Pick<Random, 'next'>, limits: Limits): number => {
  const whole = Math.min(limits.kubeBackoffFirstMs * 2 ** Math.min(30, Math.max(0, failures - 1)), limits.kubeBackoffMostMs);
  return Math.round(whole * (0.5 + random.next() / 2));
};
