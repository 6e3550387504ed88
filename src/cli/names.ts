/** The names that a shell completes: of hosts, claims, images and tokens as the daemon has them, of contexts as the person's file has them. */
import type { Command } from 'commander';
import { z } from 'zod';
import { DaemonClient } from './client.ts';
import { nameKinds, namesCommand } from './completion.ts';
import type { NameKind } from './completion.ts';
import { readContexts } from './contexts.ts';
import { CommandFailure } from './failure.ts';
import { plainText } from './human.ts';
import { namesIn } from './output.ts';
import { does, withConnection } from './session.ts';
import type { Context, Session } from './session.ts';

/** A person waits at the Tab key. */
const patienceMs = 1_500;
const paths: Readonly<Record<Exclude<NameKind, 'context'>, string>> = {
  host: '/v1/hosts',
  claim: '/v1/claims',
  image: '/v1/images',
  token: '/v1/tokens',
};
const namesOf = async (context: Context, kind: NameKind): Promise<readonly string[]> => {
  if (kind === 'context') return Object.keys((await readContexts(context.world.files, context.terminal.env)).contexts);
  const client = new DaemonClient(context.world.http, context.client.where, undefined, patienceMs);
  try {
    return namesIn((await client.list(paths[kind], z.unknown())).raw);
  } catch (error) {
    // No daemon, or not one for this person: then there is nothing to complete, and the shell's line is no place to say why.
    if (error instanceof CommandFailure) return [];
    throw error;
  }
};

export const namesCommandOf = (session: Session, program: Command): void => {
  const names = withConnection(program.command(`${namesCommand} <kind>`, { hidden: true }));
  does(session, names, async (context, [wanted]) => {
    const kind = nameKinds.find((one) => one === wanted);
    if (kind === undefined) return;
    // A name with a space in it, or what a stranger sent as one, completes nothing.
    const plain = (await namesOf(context, kind)).filter((name) => plainText(name) === name && /^\S+$/.test(name));
    context.terminal.write(plain.map((name) => `${name}\n`).join(''));
  });
};
