/** Completion: bash itself completes by the generated script; all three scripts know every command and option of the tree. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { placesOf, shells } from '../../src/cli/completion.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { claimOn, readyHost } from '../api/admin-rack.ts';
import { FakeLocal, FakeTerminal, bench } from './bench.ts';

const complete = (script: string, words: readonly string[]): readonly string[] => {
  const line = words.map((word) => `'${word}'`).join(' ');
  const ask = `${script}\nCOMP_WORDS=(remuda ${line}); COMP_CWORD=${words.length}; _remuda; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', ask], { encoding: 'utf8', timeout: 10_000 });
  assert.equal(`${stderr}${status ?? ''}`, '0');
  return stdout.split('\n').filter((word) => word !== '');
};

describe('names from the daemon', async () => {
  const { run, rack } = await bench();
  rack.put(claimOn(readyHost('h2')));
  const { out: script } = await run('completion bash');
  const fake = 'remuda() { if [ "$1" = __names ]; then echo "$2-1 $2-2"; fi; }\n';
  const cases: readonly [readonly string[], readonly string[]][] = [
    [
      ['host', 'show', 'ho'],
      ['host-1', 'host-2'],
    ],
    [
      ['hosts', 'get', 'ho'],
      ['host-1', 'host-2'],
    ],
    [
      ['claim', 'release', 'c'],
      ['claim-1', 'claim-2'],
    ],
    [
      ['claim', 'create', '--image', ''],
      ['image-1', 'image-2'],
    ],
    [
      ['claim', 'create', '--host', ''],
      ['host-1', 'host-2'],
    ],
    [
      ['context', 'use', ''],
      ['context-1', 'context-2'],
    ],
    [
      ['host', 'power', ''],
      ['host-1', 'host-2'],
    ],
    [
      ['host', 'power', '--yes', '--token-file', 'x', 'h1', ''],
      ['on', 'off', 'soft', 'cycle', 'reset', 'status'],
    ],
    [
      ['claim', 'create', '--image', '=', ''],
      ['image-1', 'image-2'],
    ],
    [
      ['claim', 'create', '--image', '='],
      ['image-1', 'image-2'],
    ],
    [['host', 'show', '--watc'], ['--watch']],
    [['host', 'list', '--token', ''], []],
    [
      ['host', 'l'],
      ['list', 'label', 'locate'],
    ],
  ];
  for (const [words, expected] of cases)
    test(`remuda ${words.join(' ')}`, () => assert.deepEqual(complete(fake + script, words).toSorted(), [...expected].toSorted()));
  test('the hidden command prints what there is; nothing, and no noise, where there is no daemon', async () => {
    assert.equal((await run('__names host')).out, 'h1\nh2\n');
    assert.equal((await run('__names claim')).out, 'c-h2\n');
    assert.equal((await run('__names image')).out, 'debian\n');
    for (const line of ['__names host --socket /none', '__names colour', '__names context']) {
      const { exit, out, err } = await run(line);
      assert.deepEqual([exit, out, err], [0, '', ''], line);
    }
    assert.ok(!(await run('--help')).out.includes('__names'));
  });
});

describe('bash', async () => {
  const { run } = await bench();
  const { out: script } = await run('completion bash');
  const cases: readonly [readonly string[], readonly string[]][] = [
    [['ho'], ['host']],
    [
      ['host', 're'],
      ['retry', 'reprovision', 'release'],
    ],
    [
      ['host', 'power', 'h1', 'o'],
      ['on', 'off'],
    ],
    [['host', 'enrol', 'h1', '--firm'], ['--firmware']],
    [
      ['host', 'enrol', 'h1', '--firmware', ''],
      ['bios', 'uefi'],
    ],
    [['host', 'enrol', '--mac', 'host', 'acc'], []],
    [['claim', 'create', '--dry'], ['--dry-run']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    // The sub-commands alone: an option is offered once it was begun.
    [
      ['image', ''],
      ['import', 'build', 'key', 'sign', 'list', 'show', 'verify', 'remove', 'gc'],
    ],
    [['image', '-'], ['--help']],
    [
      ['config', 'check', '--'],
      ['--output', '--json', '--quiet', '--help'],
    ],
    // A path is the shell's own affair.
    [['image', 'import', ''], []],
    [['restore', ''], []],
    [['host', 'enrol', '--file', ''], []],
    [['host', 'list', '-l', ''], []],
    [
      ['host', 'list', '-o', ''],
      ['text', 'wide', 'json', 'yaml', 'name'],
    ],
    // Where there is nothing else to say, the options.
    [
      ['config', 'example', ''],
      ['--minimal', '--help'],
    ],
    [['image', 'import', '--phone-home', 'n'], ['none']],
  ];
  for (const [words, expected] of cases)
    test(`remuda ${words.join(' ')}`, () => assert.deepEqual([...complete(script, words)].toSorted(), [...expected].toSorted()));
});

test('each script names every place of the tree', async () => {
  const { run } = await bench();
  const deps = { terminal: new FakeTerminal(), local: new FakeLocal() } as unknown as Parameters<typeof buildProgram>[0]['deps'];
  const places = placesOf(buildProgram({ deps, outcome: { exit: 0 } }));
  assert.ok(places.length > 30, `${places.length} places`);
  for (const shell of Object.keys(shells)) {
    const { out, exit } = await run(`completion ${shell}`);
    assert.equal(exit, 0);
    for (const place of places) {
      if (place.path !== '') assert.ok(out.includes(place.path), `${shell} does not know ${place.path}`);
      for (const { flag } of place.options) assert.ok(out.includes(flag.slice(2)), `${shell} does not know ${flag}`);
    }
  }
});
