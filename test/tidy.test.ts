/** The shape of the tree: who may import whom, what every file must have, and that nothing reaches the outside but through the world. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

/**
 * The rooms of src, each with what it may import: a room, or one file of a room. ARCHITECTURE.md quotes this table.
 * Every room may import its own files, limits.ts and errors.ts.
 */
const interfaces = [
  'world/world.ts',
  'world/lab-world.ts',
  'world/terminal.ts',
  'world/http-problem.ts',
  'world/metrics.ts',
  'world/ending.ts',
];
const rooms: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  world: ['wire'],
  host: ['wire'],
  dhcp: ['wire', ...interfaces],
  tftp: ['wire', ...interfaces],
  bmc: ['wire', ...interfaces],
  boot: ['host', 'wire'],
  image: ['wire', ...interfaces],
  store: ['host', 'wire', 'image', ...interfaces],
  backup: ['store', 'wire', ...interfaces],
  control: ['host', 'boot', 'bmc', 'image', 'store', 'wire', ...interfaces],
  // Of control only the two ports: the rack for people and controllers, the desk for agents.
  api: ['host', 'boot', 'image', 'store', 'control/rack.ts', 'control/desk.ts', 'wire', ...interfaces],
  config: ['wire', 'boot/decide.ts', ...interfaces],
  kube: ['host', 'wire', 'control/rack.ts', 'api/types.ts', 'api/admin-json.ts', ...interfaces],
  lab: ['wire', 'bmc', 'image', 'api/types.ts', ...interfaces],
  web: ['api/types.ts', 'api/access-types.ts'],
  cli: ['api/types.ts', 'api/access-types.ts', 'wire', ...interfaces],
};
/** The files beside the rooms. */
const doors: Readonly<Record<string, readonly string[] | 'everything'>> = {
  'main.ts': 'everything',
  'serve.ts': 'everything',
  'daemon.ts': 'everything',
  'provider.ts': 'everything',
  'provider-here.ts': 'everything',
  'controller.ts': 'everything',
  'boot-files.ts': 'everything',
  'host-ports.ts': 'everything',
  'metering.ts': ['bmc', 'control', 'host', ...interfaces],
  'status.ts': 'everything',
  'warnings.ts': 'everything',
  'restore.ts': 'everything',
  'limits.ts': [],
  'errors.ts': [],
};
const forAll = ['limits.ts', 'errors.ts'];

/** Node's modules that only compute; all others are the outside, and stand in src/world alone. */
const computing = ['node:assert', 'node:path', 'node:url', 'node:util', 'node:zlib', 'node:crypto', 'node:string_decoder', 'node:buffer'];
/** The part of node:crypto that is chance. */
const chance = /^(random\w*|generate\w*|webcrypto|getRandomValues|default)$/;
/** Where a native driver or a platform stream makes the door senseless. */
const exceptions: Readonly<Record<string, { readonly of: readonly string[]; readonly why: string }>> = {
  'image/unpack.ts': {
    of: ['node:stream'],
    why: 'zlib decompresses a stream only as a Node stream; its input and output are the async iterables of world.files',
  },
  'store/sqlite.ts': {
    of: ['process.umask'],
    why: 'better-sqlite3 opens the database itself, and the file must be private from its first moment',
  },
};
/** Packages that are doors themselves, with the only room that may hold them. */
const packageDoors: Readonly<Record<string, string>> = {
  fastify: 'world',
  pino: 'world',
  koffi: 'world',
  'prom-client': 'world',
  '@kubernetes/client-node': 'kube',
  'better-sqlite3': 'store',
  kysely: 'store',
};
/** Time, chance and the process, reached without an import. */
const outsideWords =
  /\bnew Date\(\)|\bDate\.now\b|\bMath\.random\b|\bperformance\.now\b|\bcrypto\.(?:randomUUID|getRandomValues)\b|\bglobalThis\.|(?<![.\w])process\.(?:env|argv|exit|on|once|cwd|umask|stdout|stderr|stdin|kill|hrtime|nextTick)\b/g;

const namelessWords = ['util', 'utils', 'helper', 'helpers', 'common', 'misc', 'shared', 'manager', 'service', 'base', 'index', 'lib'];

interface Import {
  readonly from: string;
  /** Named as a place by `new URL(…)`, to be started as a program of its own. */
  readonly started?: boolean;
  /** Empty for a type, a side effect or a dynamic import. */
  readonly names: readonly string[];
}
const withoutComments = (text: string): string => text.replaceAll(/\/\*[^]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1');
const withoutTexts = (text: string): string => text.replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''");
const importsOf = (text: string): readonly Import[] => {
  const code = withoutComments(text);
  const named = [...code.matchAll(/^(?:import|export)\b([^'"`;=]*?)\bfrom\s*['"]([^'"]+)['"]/gm)].map(([, what = '', from = '']) => ({
    from,
    names: /^\s*type\b/.test(what)
      ? []
      : [...what.matchAll(/(?:^|[{,\s])(?!type\b|as\b)([\w$]+)(?:\s+as\s+[\w$]+)?\s*(?=[,}]|$)/g)].map(([, name = '']) => name),
  }));
  const bare = [...code.matchAll(/^import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]/gm)];
  return [
    ...named,
    ...bare.map(([, effect, dynamic, url]) => ({ from: effect ?? dynamic ?? url ?? '', names: [], started: url !== undefined })),
  ];
};
/** `src/boot/decide.ts` + `../host/host.ts` → `host/host.ts`; undefined outside src. */
const target = (path: string, from: string): string | undefined => {
  const to = normalize(join(dirname(path), from));
  return to.startsWith('src/') ? to.slice('src/'.length) : undefined;
};

const relativeOffence = (path: string, { from, started }: Import): string | undefined => {
  const [room = '', ...inner] = path.slice('src/'.length).split('/');
  const to = target(path, from);
  // A process of its own is no import: the laboratory runs the daemon as anybody would. And the door may say its version.
  if ((started === true && to === 'main.ts') || (room === 'main.ts' && from === '../package.json')) return undefined;
  if (to === undefined) return `${path} imports ${from}, which is outside src`;
  const allowed = inner.length === 0 ? doors[room] : rooms[room];
  if (allowed === undefined) return `${path} is in no room of the table`;
  const sameRoom = inner.length > 0 && to.startsWith(`${room}/`);
  if (allowed === 'everything' || sameRoom || forAll.includes(to) || allowed.some((entry) => to === entry || to.startsWith(`${entry}/`)))
    return undefined;
  return `${path} must not import ${to}: ${room} may import ${[...allowed, ...forAll].join(', ')}`;
};
const outsideOffence = (path: string, { from, names }: Import): string | undefined => {
  const place = path.slice('src/'.length);
  const [room = ''] = place.split('/');
  const door = packageDoors[from];
  if (door !== undefined && door !== room) return `${path} must not import ${from}: it belongs to ${door}`;
  if (!from.startsWith('node:') || room === 'world' || exceptions[place]?.of.includes(from) === true) return undefined;
  if (!computing.includes(from)) return `${path} must not import ${from}: ask the world`;
  const lucky = from === 'node:crypto' ? names.find((name) => chance.test(name)) : undefined;
  return lucky === undefined ? undefined : `${path} must not import ${lucky} from ${from}: ask world.random`;
};
const wordOffences = (path: string, text: string): readonly string[] => {
  const place = path.slice('src/'.length);
  if (place.startsWith('world/') || place === 'main.ts') return [];
  const code = withoutTexts(withoutComments(text));
  // The laboratory has processes of its own, and calls them so.
  const ownProcess = /\b(?:const|let)\s+process\b|[({,]\s*process\s*[:,)}]/.test(code);
  const words = [...code.matchAll(outsideWords)].map(([word]) => word).filter((word) => !(ownProcess && word.startsWith('process.')));
  return words.filter((word) => exceptions[place]?.of.includes(word) !== true).map((word) => `${path} must not use ${word}: ask the world`);
};
/** Every breach of the tables in one file of src. */
const offences = (path: string, text: string): readonly string[] => {
  const found = importsOf(text).map((one) => (one.from.startsWith('.') ? relativeOffence(path, one) : outsideOffence(path, one)));
  return [...found.filter((offence) => offence !== undefined), ...wordOffences(path, text)];
};
const shapeOffences = (path: string, text: string): readonly string[] => {
  const words = path.split(/[/.-]/);
  const nameless = namelessWords.filter((word) => words.includes(word));
  return [
    ...(/^(#!.*\n)?\/\*\*(?: |\n \* )\S/.test(text) ? [] : [`${path} does not begin by saying what it shows`]),
    ...nameless.map((word) => `${path}: "${word}" says nothing about what is inside`),
  ];
};

const read = (pattern: string): readonly { readonly path: string; readonly text: string }[] =>
  globSync(pattern, { exclude: (path) => /node_modules|fixtures/.test(path) })
    .toSorted()
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const sources = read('src/**/*.ts');
const proofs = read('test/**/*.ts');

test('the table holds: nobody imports what it may not, nothing but the world touches the outside', () => {
  assert.deepEqual(
    sources.flatMap(({ path, text }) => offences(path, text)),
    [],
  );
});

test('every file begins by saying what it shows, and its name says something', () => {
  assert.deepEqual(
    [...sources, ...proofs].flatMap(({ path, text }) => shapeOffences(path, text)),
    [],
  );
});

test('every file of src is reached from main.ts', { plan: 1 }, (t) => {
  const byPath = new Map(sources.map(({ path, text }) => [path, text]));
  // Before the door is built there is nothing to be reached from.
  const roots = existsSync('src/main.ts') ? ['src/main.ts'] : [...byPath.keys()];
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const text = byPath.get(path);
    if (text === undefined || reached.has(path)) return;
    reached.add(path);
    for (const { from } of importsOf(text)) if (from.startsWith('.')) visit(normalize(join(dirname(path), from)));
  };
  for (const root of roots) visit(root);
  t.assert.deepEqual(
    [...byPath.keys()].filter((path) => !reached.has(path)),
    [],
  );
});

test('every room of the table that exists is named, and every exception is still needed', () => {
  const existing = new Set(sources.filter(({ path }) => path.split('/').length > 2).map(({ path }) => path.split('/')[1] ?? ''));
  assert.deepEqual(
    [...existing].filter((room) => rooms[room] === undefined),
    [],
  );
  for (const [place, { of }] of Object.entries(exceptions)) {
    const text = sources.find(({ path }) => path === `src/${place}`)?.text ?? '';
    for (const one of of) assert.ok(text.includes(one), `${place} no longer needs its exception for ${one}`);
  }
});

/** The checks themselves: each of these must be seen. */
const breaches: readonly { readonly path: string; readonly text: string; readonly says: RegExp }[] = [
  { path: 'src/wire/mac.ts', text: "import { x } from '../world/world.ts';", says: /wire\/mac\.ts must not import world\/world\.ts/ },
  { path: 'src/dhcp/server.ts', text: "import type { Tftp } from '../tftp/server.ts';", says: /must not import tftp/ },
  { path: 'src/dhcp/server.ts', text: "import { realNet } from '../world/udp.ts';", says: /must not import world\/udp\.ts/ },
  {
    path: 'src/api/routes.ts',
    text: "export { reconcile } from '../control/reconcile.ts';",
    says: /must not import control\/reconcile\.ts/,
  },
  { path: 'src/kube/watch.ts', text: "const a = await import('../store/store.ts');", says: /must not import store/ },
  { path: 'src/lab/a.ts', text: "import { main } from '../main.ts';", says: /must not import main/ },
  { path: 'src/host/a.ts', text: "import {\n  a,\n  b,\n} from '../../test/world/fake.ts';", says: /outside src/ },
  { path: 'src/drawer/a.ts', text: "import '../wire/address.ts';", says: /in no room/ },
  { path: 'src/config/a.ts', text: "import { x } from '../store/store.ts';", says: /config\/a\.ts must not import store/ },
  { path: 'src/tftp/a.ts', text: "import { readFile } from 'node:fs/promises';", says: /node:fs\/promises: ask the world/ },
  { path: 'src/boot/a.ts', text: "import { createHash, randomBytes } from 'node:crypto';", says: /must not import randomBytes/ },
  { path: 'src/api/a.ts', text: "import { fastify } from 'fastify';", says: /fastify: it belongs to world/ },
  { path: 'src/control/a.ts', text: 'const at = new Date();', says: /new Date\(\): ask/ },
  { path: 'src/control/a.ts', text: 'const home = process.env.HOME;', says: /process\.env: ask/ },
];
for (const { path, text, says } of breaches)
  test(`the check sees: ${path}: ${text.replaceAll('\n', ' ')}`, () => {
    assert.match(offences(path, text).join('\n'), says);
  });
test('the check sees what is well too', () => {
  const text = `/** Why. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Host } from '../host/host.ts';
import { limits } from '../limits.ts';
import { other } from './other.ts';
// import { readFile } from 'node:fs';
const said = 'process.env and new Date() in a sentence';
`;
  assert.deepEqual(offences('src/boot/decide.ts', text), []);
  assert.deepEqual(offences('src/lab/crew.ts', "const main = new URL('../main.ts', import.meta.url);"), []);
  assert.deepEqual(offences('src/daemon.ts', "import { x } from './control/loop.ts';"), []);
  assert.deepEqual(shapeOffences('src/boot/decide.ts', text), []);
  assert.equal(shapeOffences('src/boot/http-utils.ts', 'export const x = 1;').length, 2);
});
