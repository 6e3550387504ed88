/** What the log says, and what it must never say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RemudaError } from '../../src/errors.ts';
import { prettyLine, realLog, secretNames } from '../../src/world/log.ts';

const logged = (level = 'debug') => {
  const lines: string[] = [];
  return { lines, log: realLog({ level }, { write: (line) => lines.push(line) }) };
};

for (const name of secretNames)
  test(`${name} is replaced down to the third level, in fields and in bound fields`, () => {
    const { lines, log } = logged();
    log.with({ [name]: 's3cret' }).info('said', { [name]: 's3cret', bmc: { [name]: 's3cret', inner: { [name]: 's3cret' } } });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0] ?? '', /s3cret/);
    assert.equal(lines[0]?.match(/\[secret\]/g)?.length, 4);
  });

test('secrets in the values of an error stay out', () => {
  const { lines, log } = logged();
  log.error('call failed', { error: new RemudaError('bmc-refused', 'wrong password', { values: { password: 's3cret', user: 'root' } }) });
  assert.doesNotMatch(lines[0] ?? '', /s3cret/);
  assert.match(lines[0] ?? '', /"code":"bmc-refused"/);
});

test('one JSON object per entry: level by name, time in ISO 8601, bound fields', () => {
  const { lines, log } = logged('info');
  log.debug('too fine');
  log.with({ host: 'r1' }).warn('slow', { ms: 12 });
  const { time, ...entry } = JSON.parse(lines.join('')) as Record<string, unknown>;
  assert.deepEqual(entry, { level: 'warn', host: 'r1', ms: 12, msg: 'slow' });
  assert.equal(new Date(String(time)).toISOString(), time);
});

test('a line for a person', () => {
  const line = '{"level":"info","time":"2026-11-21T12:00:01.250Z","mac":"52:54:00:12:34:56","n":3,"msg":"lease given"}\n';
  assert.equal(prettyLine(line), '12:00:01.250 info  lease given mac=52:54:00:12:34:56 n=3\n');
  assert.equal(prettyLine('no JSON\n'), 'no JSON\n');
});

test('the level may be changed while the log is used, for bound fields too', () => {
  const lines: string[] = [];
  const level = { current: 'warn' };
  const log = realLog({ level }, { write: (line) => lines.push(line) });
  const bound = log.with({ host: 'r1' });
  bound.info('not heard');
  level.current = 'debug';
  bound.debug('heard');
  level.current = 'silent';
  bound.error('not heard');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['heard'],
  );
});
