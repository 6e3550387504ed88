/** `--placement` and `--reuse`: where a claim's host is to stand as seen from others, and whose host it may have again. */
import { Option } from 'commander';
import type { Command } from 'commander';
import type { ClaimBody } from '../api/types.ts';
import { usage } from './failure.ts';

export interface PlacementOptions {
  readonly reuse?: string;
  readonly reuseWait?: boolean;
  readonly placement?: string;
}
export const placementOptions = (command: Command): Command =>
  command
    .option('--reuse <word>', 'first a host that a release kept for this word')
    .option('--reuse-wait', 'with --reuse: no other while such a host is being cleaned')
    .addOption(
      new Option(
        '--placement <rule>',
        'spread=GROUP, require-spread=GROUP or together=GROUP: apart from the hosts of this group, or with them; by failure domain, or …,by=rack, …,by=LABEL',
      ),
    );

const modes = ['spread', 'require-spread', 'together'] as const;
/** `spread=web,by=rack` */
export const parsePlacement = (text: string): NonNullable<ClaimBody['placement']> => {
  const [, said = '', group = '', by = 'failureDomain'] = /^([a-z-]+)=(.+?)(?:,by=([^,]+))?$/.exec(text) ?? [];
  const mode = modes.find((one) => one === said);
  if (mode === undefined || group === '')
    throw usage(
      `--placement ${text}: not a placement`,
      'write spread=GROUP, require-spread=GROUP or together=GROUP, then ,by=rack or ,by=LABEL',
    );
  return { group, by, mode };
};
export const placementOf = ({ reuse, reuseWait, placement }: PlacementOptions): Pick<ClaimBody, 'reuse' | 'placement'> => {
  if (reuseWait === true && reuse === undefined) throw usage('--reuse-wait is for --reuse', 'say the word: --reuse WORD');
  return {
    ...(reuse === undefined ? {} : { reuse: { of: reuse, mode: reuseWait === true ? 'wait' : 'prefer' } }),
    ...(placement === undefined ? {} : { placement: parsePlacement(placement) }),
  };
};
