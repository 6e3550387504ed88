/** Claims on the screen: the list, one claim, and the dry run with every disk and what would become of it. */
import type { ClaimJson, DryRunJson, LeaseJson } from '../api/types.ts';
import { diskText, stateCell } from './host-view.ts';
import type { Look } from './host-view.ts';
import { ageText, durationText, plainText } from './human.ts';
import { renderDetails, renderTable } from './table.ts';
import type { Cell, Detail } from './table.ts';

export const renderClaims = (claims: readonly ClaimJson[], { style, now }: Look): string =>
  claims.length === 0
    ? 'No claims. Take a host by: remuda claim create --image NAME\n'
    : renderTable(
        ['id', 'owner', 'host', 'state', 'image', 'hostname', 'age', 'doing'],
        claims.map((claim): Cell[] => [
          claim.id,
          claim.owner,
          claim.host.name,
          stateCell(claim.host),
          `${claim.image.name} #${claim.generation}`,
          claim.hostName,
          durationText(now - claim.createdAt),
          claim.host.doing,
        ]),
        style,
      );

export const renderClaim = (claim: ClaimJson, { style, now }: Look): string => {
  const details: Detail[] = [
    ['host', `${claim.host.name} (${claim.host.id})`],
    ['state', stateCell(claim.host)],
    ['doing', claim.host.doing],
    ['owner', claim.owner],
    ['image', `${claim.image.name} ${claim.image.digest}`],
    ['generation', String(claim.generation)],
    ['hostname', claim.hostName],
    ['disk', diskText(claim.disk)],
    ['asked for', JSON.stringify(claim.rule)],
    ['user data', claim.hasUserData ? 'yes' : 'no'],
    ...(claim.metaData === undefined ? [] : [['meta-data', JSON.stringify(claim.metaData)] satisfies Detail]),
    ['phone home', claim.phoneHome],
    ['created', ageText(claim.createdAt, now)],
  ];
  return `${style('bold', plainText(claim.id))}\n${renderDetails(details, style)}`;
};

/** Nothing was changed: what a claim, a generation or a release would do, disk by disk, the written ones in red. */
export const renderDryRun = (runs: readonly DryRunJson[], { style }: Look): string => {
  if (runs.length === 0) return 'No host could be taken: none is available. See: remuda host list\n';
  const parts = runs.map((run) => {
    const verdict = run.allowed ? style('good', 'would be done') : style('bad', 'would be refused');
    const head = `${style('bold', plainText(run.host))}  ${verdict}: ${plainText(run.reason)}${run.image === null ? '' : `  (image ${plainText(run.image)})`}\n`;
    const disks =
      run.disks.length === 0
        ? '  no disk is known of this host\n'
        : renderTable(
            ['  disk', 'fate', 'why'],
            run.disks.map(({ disk, fate, why }): Cell[] => [
              `  ${diskText(disk)}`,
              { text: fate.toUpperCase(), tone: fate === 'untouched' ? 'good' : 'bad' },
              why,
            ]),
            style,
          );
    return head + disks;
  });
  return `${parts.join('\n')}\nNothing was changed.\n`;
};

export const renderLeases = (leases: readonly LeaseJson[], { style, now }: Look): string =>
  leases.length === 0
    ? 'No leases.\n'
    : renderTable(
        ['address', 'mac', 'host', 'hostname', 'ends'],
        leases.map((lease): Cell[] => [
          lease.address,
          lease.mac,
          lease.host?.name ?? '-',
          lease.hostName ?? '-',
          lease.endsAt <= now ? { text: ageText(lease.endsAt, now), tone: 'dim' } : `in ${durationText(lease.endsAt - now)}`,
        ]),
        style,
      );
