/** A stage for scripted faults: a rack in calm weather, what an operator asks of it, and somebody else on the boot network. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimSchema } from '../../src/control/rack.ts';
import type { Daemon } from '../../src/daemon.ts';
import type { Host } from '../../src/host/host.ts';
import type { Ipv4 } from '../../src/wire/address.ts';
import { SimRack, secretWord } from './rack.ts';
import type { RackOptions } from './rack.ts';
import { describe, noSecrets } from './scenarios.ts';

export const second = 1000;
export const minute = 60 * second;

/** A test in a rack of its own, in which no secret may show and every invariant holds after every event. */
export const scene = (name: string, act: (rack: SimRack) => Promise<void>, options: Partial<RackOptions> = {}): void => {
  test(name, async () => {
    const rack = await SimRack.make({ seed: 1, calm: true, ...options });
    try {
      rack.start();
      await reach(rack, 'served', () => rack.daemon !== undefined);
      await act(rack);
      await noSecrets(rack);
    } finally {
      rack.dispose();
    }
  });
};

export const reach = async (rack: SimRack, what: string, shown: () => boolean, withinMs = 30 * minute): Promise<void> => {
  const came = await rack.scheduler.run({ untilMs: withinMs, done: shown });
  assert.ok(
    came,
    `never ${what}: ${rack.metals.map(({ name }) => `${name} ${describe(rack, name)}`).join('; ')}\n${rack.scheduler.tail(40)}`,
  );
};
export const pass = async (rack: SimRack, ms: number): Promise<void> => {
  await rack.scheduler.run({ untilMs: ms });
};
/** What the daemon answers; a refusal is thrown as it is. */
export const ask = async <T>(rack: SimRack, act: (daemon: Daemon) => Promise<T>): Promise<T> => {
  assert.ok(rack.daemon !== undefined);
  let settled = false;
  const answer = act(rack.daemon).finally(() => {
    settled = true;
  });
  answer.catch(() => undefined);
  await reach(rack, 'answered', () => settled, 5 * minute);
  return answer;
};
export const refused = (code: string, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && 'code' in error, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, words);
  return true;
};
export const hostOf = (rack: SimRack, name = 'h1'): Host => {
  const host = rack.host(name);
  assert.ok(host !== undefined, `there is no ${name}`);
  return host;
};
export const timeline = async (rack: SimRack, name = 'h1'): Promise<string> => {
  const rows = await ask(rack, (daemon) => daemon.rack.timeline(name, { most: 1000 }));
  return rows.map(({ text, data }) => `${text} ${JSON.stringify(data ?? {})}`).join('\n');
};
export const writes = (rack: SimRack): number =>
  rack.metals.flatMap(({ disks }) => disks).reduce((sum, disk) => sum + disk.writes.length, 0);

export const state = (rack: SimRack, name: string, wanted: Host['state']) => (): boolean => rack.host(name)?.state === wanted;
export const failed =
  (rack: SimRack, name = 'h1') =>
  (): boolean =>
    (rack.host(name)?.failed ?? null) !== null;
export const available = async (rack: SimRack, name = 'h1'): Promise<void> => {
  rack.enrol(name);
  await reach(rack, 'available', state(rack, name, 'available'));
};
/** Available and switched off again, so that the next work needs a boot. */
export const asleep = async (rack: SimRack, name = 'h1'): Promise<void> => {
  await available(rack, name);
  await reach(rack, 'asleep', () => rack.metal(name).power() === 'off' && rack.host(name)?.facts.power === 'off');
};
export const claim = async (rack: SimRack, more: Record<string, unknown> = {}): Promise<Host> => {
  const request = { id: 'c1', host: 'h1', image: 'alpha', disk: { serial: 'disk-1' }, userData: `# ${secretWord}`, ...more };
  return (await ask(rack, (daemon) => daemon.rack.claim(claimSchema.parse(request), { by: 'test' }))).host;
};
export const provisioned = (rack: SimRack, generation = 1, name = 'h1'): Promise<void> =>
  reach(rack, `provisioned ${generation}`, () => state(rack, name, 'provisioned')() && rack.host(name)?.claim?.generation === generation);
export const writing = (rack: SimRack, name = 'h1'): Promise<void> => {
  const disk = rack.metal(name).disks[0];
  const before = disk?.writes.length ?? 0;
  return reach(rack, 'writing', () => (disk?.writes.length ?? 0) >= before + 2);
};

/** The calls of the boot network, as somebody hears them who can read them all. */
export const sniff = (rack: SimRack): { tickets: string[]; phoneHomes: string[] } => {
  const heard = { tickets: [] as string[], phoneHomes: [] as string[] };
  rack.network.onCall = ({ url }) => {
    const [, kind, word] = /\/(boot|phone-home)\/([^/]+)$/.exec(url) ?? [];
    if (word !== undefined) (kind === 'boot' ? heard.tickets : heard.phoneHomes).push(word);
  };
  return heard;
};
export interface Heard {
  readonly status: number;
  readonly code: string;
  readonly text: string;
}
export interface Shout {
  readonly path: string;
  /** A body makes it a POST. */
  readonly body?: unknown;
  readonly credential?: string;
}
/** A call by somebody who has taken this address. */
export const shout = async (rack: SimRack, address: Ipv4, { path, body, credential }: Shout): Promise<Heard> => {
  const party = { name: 'outsider', address, signal: new AbortController().signal };
  const agent = path.startsWith('/agent/');
  const answer = await ask(rack, () =>
    rack.network.call(party, {
      method: body === undefined ? 'GET' : 'POST',
      url: `${agent ? 'https' : 'http'}://10.77.0.1:${agent ? 7443 : 7480}${path}`,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
      timeoutMs: 30_000,
      replyBytesMax: 1e8,
    }),
  );
  const text = Buffer.from(answer.body).toString('latin1');
  const isJson = (answer.headers['content-type'] ?? '').includes('json');
  return { status: answer.status, code: isJson ? ((JSON.parse(text) as { code?: string }).code ?? '') : '', text };
};
