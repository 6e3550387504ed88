/** What a machine's conditions say: the host's own plain reason, a documented `reason`, and what to do next. Pure. */
import type { HostJson } from '../../api/types.ts';
import { conditionTypes as types, reasons } from '../names.ts';
import type { ConditionWish } from '../runtime/conditions.ts';
import type { Report } from './view.ts';

type Said = Omit<ConditionWish, 'type'>;
const no = (reason: string, message: string): Said => ({ status: 'False', reason, message });
const yes = (reason: string, message = ''): Said => ({ status: 'True', reason, message });
const of = (type: string, said: Said): ConditionWish => ({ type, ...said });

export const notPaused: ConditionWish = { type: types.paused, status: 'False', reason: reasons.notPaused, message: '' };
/** The only thing that is written of a paused object. */
export const pausedReport = (message: string): Report => ({ conditions: [of(types.paused, yes(reasons.paused, message))] });

/** Nothing is claimed, for this reason. */
export const waitingReport = (reason: string, message: string): Report => ({
  conditions: [
    of(types.ready, no(reason, message)),
    of(types.hostClaimed, no(reason, message)),
    of(types.provisioned, no(reason, '')),
    notPaused,
  ],
});
/** The claim is over, or the rack does not know it any more: the Machine's owner has to replace it. */
export const goneReport = (message: string): Report => ({
  conditions: [
    of(types.ready, no(reasons.hostGone, message)),
    of(types.hostClaimed, no(reasons.hostGone, message)),
    of(types.provisioned, no(reasons.hostGone, '')),
    notPaused,
  ],
});
const failedSaid = ({ name, failed }: HostJson): Said | undefined => {
  if (failed === null) return undefined;
  const told = `host ${name} failed at ${failed.step}: ${failed.reason}`;
  if (failed.step === 'bootstrap') return no(reasons.bootstrapFailed, `${told}; delete the Machine, or mend what its bootstrap data say`);
  const help = `; retry the host (\`remuda retry ${name}\`), or delete the Machine`;
  return no(failed.code === 'timed-out' ? reasons.timedOut : reasons.hostFailed, `${told}${help}`);
};
const provisionedSaid = (host: HostJson): Said => {
  const failed = failedSaid(host);
  if (failed !== undefined) return failed;
  const { name, held } = host;
  if (host.state === 'provisioned') return yes(reasons.provisioned, held === null ? '' : `host ${name} is held by ${held.by}: ${held.why}`);
  if (held !== null)
    return no(reasons.hostHeld, `host ${name} is held by ${held.by}: ${held.why}; lift the hold (\`remuda unhold ${name}\`)`);
  return no(reasons.provisioning, `host ${name}: ${host.doing}`);
};
/** It holds this host. `isWhole`: its provider ID is told, too. */
export const hostReport = (
  host: HostJson,
  { isWhole, isUpdating }: { readonly isWhole: boolean; readonly isUpdating: boolean },
): Report => {
  const said = provisionedSaid(host);
  const runs = said.status === 'True';
  const ready = runs ? yes(reasons.ready, said.message) : said;
  return {
    conditions: [
      of(
        types.ready,
        isUpdating && (runs || said.reason === reasons.provisioning)
          ? no(reasons.updating, `updated in place; ${runs ? `host ${host.name} runs its image` : (said.message ?? '')}`)
          : ready,
      ),
      of(types.hostClaimed, yes(reasons.claimed, `host ${host.name}`)),
      of(types.provisioned, said),
      notPaused,
    ],
    host,
    ...(runs && isWhole ? { isProvisioned: true } : {}),
  };
};
/** The rack was asked for something that cannot be about this machine. */
export const invalidReport = (message: string): Report => waitingReport(reasons.invalid, message);

const deletingReport = (released: Said, host?: HostJson): Report => ({
  conditions: [of(types.ready, no(reasons.deleting, released.message ?? '')), of(types.released, released), notPaused],
  ...(host === undefined ? {} : { host }),
});
export const poweringOffReport = (host: HostJson): Report =>
  deletingReport(no(reasons.poweringOff, `released; host ${host.name} must be seen off first`), host);
/** Nobody knows whether it still runs: the old kubelet may be there yet. */
export const offNotVerifiedReport = (host: HostJson, claimId: string, annotation: string): Report =>
  deletingReport(
    no(
      reasons.offNotVerified,
      `host ${host.name} was not seen off since its release (${host.failed === null ? host.doing : host.failed.reason}). Look after its BMC; ` +
        `or cut its power by hand and then annotate this object with ${annotation}=${claimId}`,
    ),
    host,
  );
export const rackAwayWhileDeleting = (message: string): Report =>
  deletingReport({ status: 'Unknown', reason: reasons.rackUnreachable, message });
