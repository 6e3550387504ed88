/** `remuda token …` and `remuda audit`: who may ask the daemon, and what was asked. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { z } from 'zod';
import { auditRowJson, newTokenJson, tokenJson } from '../api/access-types.ts';
import type { AuditRowJson, TokenJson } from '../api/access-types.ts';
import { confirm, withConfirmation } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { seconds } from './duration.ts';
import type { Look } from './host-view.ts';
import { ageText, durationText, momentText, plainText } from './human.ts';
import { does, leaf, number, segment } from './session.ts';
import type { Session } from './session.ts';
import { renderTable } from './table.ts';
import type { Cell } from './table.ts';

const standing = ({ revokedAt, expiresAt }: TokenJson, now: number): Cell => {
  if (revokedAt !== null) return { text: `revoked ${ageText(revokedAt, now)}`, tone: 'dim' };
  if (expiresAt === null) return 'good until revoked';
  return expiresAt <= now ? { text: `expired ${ageText(expiresAt, now)}`, tone: 'dim' } : `for ${durationText(expiresAt - now)}`;
};
const renderTokens = (tokens: readonly TokenJson[], { style, now }: Look): string =>
  tokens.length === 0
    ? 'No tokens: only the Unix socket lets anybody in. Make one by: remuda token create NAME --role ROLE\n'
    : renderTable(
        ['id', 'name', 'role', 'good', 'made', 'last used'],
        tokens.map((token): Cell[] => [
          token.id,
          token.name,
          { text: token.role, tone: token.role === 'admin' ? 'warn' : 'good' },
          standing(token, now),
          ageText(token.createdAt, now),
          token.lastUsedAt === null ? '-' : ageText(token.lastUsedAt, now),
        ]),
        style,
      );

const tokenCommands = (session: Session, program: Command): void => {
  const token = program.command('token').alias('tokens').description('who may ask the daemon from elsewhere');
  const create = leaf(token, 'create <name>', 'make one; it is shown this once and never again')
    .addOption(
      new Option('--role <role>', 'viewer reads; operator changes hosts, claims and images; admin makes tokens too')
        .choices(tokenJson.shape.role.options)
        .default('viewer'),
    )
    .option('--expires <time>', 'good for so long: 12h, 90d; else until it is revoked', seconds);
  does<{ role: string; expires?: number }>(session, create, async (context, [name = ''], { role, expires }) => {
    const body = { name, role, ...(expires === undefined ? {} : { expiresInSeconds: expires }) };
    const answer = await context.client.post('/v1/tokens', body, newTokenJson);
    // The token alone on standard output, so that `> file` keeps what is needed and nothing else.
    context.show(answer, ({ token: secret }) => `${plainText(secret)}\n`);
    if (!context.json)
      context.terminal.error(
        `token ${answer.value.id} of ${plainText(name)}, ${role}: keep it, it is not shown again. With it: remuda login URL\n`,
      );
  });
  does(session, leaf(token, 'list', 'all ever made, without their secrets').alias('ls'), async (context) =>
    context.show(await context.client.list('/v1/tokens', tokenJson), ({ items }, look) => renderTokens(items, look)),
  );
  const revoke = withConfirmation(leaf(token, 'revoke <token>', 'nobody comes in with it any more; by its ID or name'))
    .alias('remove')
    .alias('rm');
  does<ConfirmOptions>(session, revoke, async (context, [wanted], options) => {
    await confirm(context, `Whoever uses token ${wanted ?? ''} is shut out at once, and it cannot be given back.`, options);
    const answer = await context.client.delete(`/v1/tokens/${segment(wanted)}`, tokenJson);
    context.show(answer, ({ id, name }) => `token ${id} of ${plainText(name)} is revoked\n`);
  });
};

const detailText = (detail: AuditRowJson['detail'] = {}): string =>
  Object.entries(detail)
    .filter(([name]) => name !== 'dryRun')
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
const outcomeCell = ({ outcome, detail }: AuditRowJson): Cell => {
  if (outcome === 'dry-run') return { text: 'dry run', tone: 'dim' };
  const said = detail?.['dryRun'] === true ? `${outcome}, dry run` : outcome;
  return { text: said, tone: outcome === 'ok' ? 'good' : 'bad' };
};
const renderAudit = (rows: readonly AuditRowJson[], { style }: Look): string =>
  rows.length === 0
    ? 'Nothing was asked to be changed yet.\n'
    : renderTable(
        ['when', 'who', 'action', 'on', 'outcome', 'detail'],
        rows.map((row): Cell[] => [
          momentText(row.at),
          row.actor,
          row.action,
          row.subject === '' ? '-' : row.subject,
          outcomeCell(row),
          detailText(row.detail),
        ]),
        style,
      );

const pageRows = 1000;
const auditPage = z.object({ items: z.array(auditRowJson), next: z.string().optional() });
const auditCommand = (session: Session, program: Command): void => {
  const audit = leaf(program, 'audit', 'every change that was asked of the daemon, by whom, and what became of it; newest first').option(
    '--most <count>',
    'at most so many',
    number,
    50,
  );
  does<{ most: number }>(session, audit, async (context, _args, { most }) => {
    const raw: unknown[] = [];
    const items: AuditRowJson[] = [];
    for (let cursor = ''; items.length < most;) {
      const limit = Math.min(pageRows, most - items.length);
      const answer = await context.client.get(`/v1/audit?limit=${limit}${cursor}`, auditPage);
      raw.push(...(answer.raw as { readonly items: readonly unknown[] }).items);
      items.push(...answer.value.items);
      if (answer.value.next === undefined) break;
      cursor = `&cursor=${encodeURIComponent(answer.value.next)}`;
    }
    context.show({ raw: { items: raw }, value: items }, renderAudit);
  });
};

export const accessCommands = (session: Session, program: Command): void => {
  tokenCommands(session, program);
  auditCommand(session, program);
};
