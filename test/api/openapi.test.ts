/** The description of the API: a foreign judge finds it valid, every route is in it, and what is answered is as it says. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { z } from 'zod';
import { adminTable } from '../../src/api/admin-routes.ts';
import { openApi } from '../../src/api/openapi.ts';
import type { ReplyShape } from '../../src/api/route.ts';
import { codes } from '../../src/errors.ts';
import type { Method } from '../../src/world/world.ts';
import { claimOn, fakeDeps, image, readyHost } from './admin-rack.ts';
import { asking } from './asking.ts';

type Json = { readonly [name: string]: Json };
const table = adminTable(fakeDeps().deps);
const document = JSON.parse(JSON.stringify(openApi(table, '0.1.0'))) as Json;

test('a foreign judge finds it valid OpenAPI 3.1', async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, undefined, 2));
  assert.equal(validator.version, '3.1');
});
test('the judge sees a fault', async () => {
  const { valid } = await new Validator().validate({ ...document, paths: { '/v1/hosts': { get: { responses: 'none' } } } });
  assert.equal(valid, false);
});
test('every route is in it, with its role, and nothing else', () => {
  const said = Object.entries(document['paths'] ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => `${method.toUpperCase()} ${path} ${JSON.stringify(operation['operationId'])}`),
  );
  const served = table.map(({ method, path, id }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')} "${id}"`);
  assert.deepEqual(said.toSorted(), served.toSorted());
});
test('every reference leads somewhere, and every schema is needed or named', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to = '']) => to);
  assert.ok(references.length > 50);
  for (const to of new Set(references)) {
    const found = to
      .slice(2)
      .split('/')
      .reduce<Json | undefined>((at, name) => at?.[name], document);
    assert.ok(found !== undefined, to);
  }
});
test('every stable code stands in the words for refusals', () => {
  const words = JSON.stringify(document['components']?.['responses']?.['Problem']?.['description']);
  for (const code of Object.keys(codes)) assert.ok(words.includes(`\`${code}\``), code);
});
test('no schema carries what only a body of a request may: passwords and user data', () => {
  for (const name of ['Host', 'Claim', 'Bmc', 'Token']) {
    const text = JSON.stringify(document['components']?.['schemas']?.[name]);
    assert.doesNotMatch(text, /"(password|userData|token|hash)":/, name);
  }
});

describe('what is answered is as the table says', () => {
  const bmc = { url: 'https://10.0.0.5', username: 'u', password: 'p' };
  const claim = { image: 'debian', host: 'h1' };
  /** Each is asked of a rack whose host h1 is claimed as c-h1. */
  const asks: readonly (readonly [Method, string, unknown?])[] = [
    ['GET', '/v1/hosts'],
    ['GET', '/v1/hosts?limit=1'],
    ['GET', '/v1/hosts/h1'],
    ['GET', '/v1/hosts/h1/timeline'],
    ['POST', '/v1/hosts', { name: 'h2', macs: ['52:54:00:00:00:02'] }],
    ['POST', '/v1/enrolments', { hosts: [{ name: 'h2', macs: ['52:54:00:00:00:02'] }], dryRun: true }],
    ['PATCH', '/v1/hosts/h1', { labels: { tier: 'web' }, note: 'a new fan' }],
    ['DELETE', '/v1/hosts/h1'],
    ['PUT', '/v1/hosts/h1/bmc', bmc],
    ['DELETE', '/v1/hosts/h1/bmc'],
    ['POST', '/v1/hosts/h1/accept', {}],
    ['POST', '/v1/hosts/h1/power', { power: 'on' }],
    ['POST', '/v1/hosts/h1/locate', { on: true }],
    ['POST', '/v1/hosts/h1/hold', { why: 'w' }],
    ['POST', '/v1/hosts/h1/unhold', {}],
    ['POST', '/v1/hosts/h1/retry', {}],
    ['POST', '/v1/hosts/h1/unreserve', {}],
    ['POST', '/v1/hosts/h1/reprovision', { image: 'debian' }],
    ['POST', '/v1/hosts/h1/reprovision', { image: 'debian', dryRun: true }],
    ['POST', '/v1/hosts/h1/macs', { adopt: '52:54:00:00:00:09' }],
    ['POST', '/v1/bmc-probe', { host: '10.0.0.5' }],
    ['POST', '/v1/bmc-probe', { host: '10.0.0.6' }],
    ['GET', '/v1/claims'],
    ['GET', '/v1/claims/c-h1'],
    ['GET', '/v1/claims/c-h1/standing'],
    ['GET', '/v1/claims/c-h9/standing'],
    ['POST', '/v1/claims', { ...claim, id: 'c2' }],
    ['POST', '/v1/claims', { ...claim, id: 'c-h1' }],
    ['POST', '/v1/claims', { image: 'debian', dryRun: true }],
    ['PUT', '/v1/claims/c2', claim],
    ['PUT', '/v1/claims/c-h1', claim],
    ['POST', '/v1/claims/c-h1/reprovision', { image: 'debian' }],
    ['DELETE', '/v1/claims/c-h1'],
    ['DELETE', '/v1/claims/c-h1?dryRun=true'],
    ['DELETE', '/v1/claims/c-h1?reserveFor=md-0&reserveSeconds=60'],
    ['GET', '/v1/images'],
    ['GET', '/v1/images/debian'],
    ['POST', '/v1/images', { path: '/a.raw', name: 'new' }],
    ['POST', '/v1/images/debian/verify', {}],
    ['POST', '/v1/images/collect', {}],
    ['DELETE', '/v1/images/spare'],
    ['GET', '/v1/tokens'],
    ['POST', '/v1/tokens', { name: 'ci', role: 'viewer' }],
    ['DELETE', '/v1/tokens/first'],
    ['GET', '/v1/audit'],
    ['GET', '/v1/leases'],
    ['GET', '/v1/status'],
    ['POST', '/v1/reload', {}],
    ['GET', '/v1/backup'],
    ['GET', '/v1/openapi.json'],
    ['GET', '/metrics'],
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', '/readyz?notReady'],
  ];
  const recorded = new Set<string>();
  /** As the schema has it, and with no field that it does not name. */
  const wholly = (schema: z.ZodType, value: unknown): void => assert.deepEqual(schema.parse(value), value);
  /** The row that answers, and the shape of what it answered. */
  const shapeFor = (method: Method, path: string, status: number): ReplyShape | undefined => {
    const [bare = ''] = path.split('?');
    const fits = (pattern: string): boolean => new RegExp(`^${pattern.replaceAll(/:\w+/g, '[^/]+')}$`).test(bare);
    const row =
      table.find((one) => one.method === method && one.path === bare) ?? table.find((one) => one.method === method && fits(one.path));
    if (row?.replies[status] !== undefined) recorded.add(`${row.id} ${status}`);
    return row?.replies[status];
  };
  for (const [method, path, body] of asks)
    test(`${method} ${path} ${body === undefined ? '' : JSON.stringify(body)}`, async () => {
      const { ask, rack, desk, access, tokenFor } = await asking();
      await tokenFor('admin', 'first');
      desk.entries.push(image('spare'));
      rack.put(claimOn(readyHost('h1')));
      rack.happen('h-h1', 'enrolled');
      if (path.endsWith('notReady')) access.reasons.push('the file vmlinuz is missing');
      const answer = await ask(method, path, body === undefined ? {} : { body });
      const shape = shapeFor(method, path, answer.status);
      assert.ok(shape !== undefined, `${answer.status} stands in no row: ${answer.text}`);
      if (shape === 'nothing') return assert.equal(answer.text, '');
      const media = 'media' in shape ? shape.media : 'application/json';
      assert.equal(answer.headers['content-type']?.split(';')[0], media);
      const schema = 'media' in shape ? shape.schema : shape;
      const lines = media === 'application/x-ndjson' ? answer.text.trim().split('\n') : [answer.text];
      if (schema !== undefined) for (const line of lines) wholly(schema, JSON.parse(line));
    });
  test('GET /v1/events: events of all kinds, each as the schema of the stream has it', async () => {
    const { stream, rack, access } = await asking();
    rack.put(readyHost('h2'));
    rack.happen('h-h1', 'enrolled');
    rack.onWait = async () => {
      if (rack.hosts.size === 1) return access.ending.abort();
      rack.put({ ...readyHost('h1'), version: 2 });
      rack.hosts.delete('h-h2');
    };
    const text = Buffer.concat(await Array.fromAsync(stream('/v1/events?after=0'))).toString();
    const shape = shapeFor('GET', '/v1/events', 200);
    assert.ok(typeof shape === 'object' && 'media' in shape && shape.schema !== undefined);
    const kinds = new Set<string>();
    for (const [, kind = '', data = ''] of text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)) {
      wholly(shape.schema, JSON.parse(data));
      kinds.add(kind);
    }
    assert.deepEqual([...kinds].toSorted(), ['closed', 'forgotten', 'host', 'timeline']);
  });
  test('no operation, and no success of one, is without a recorded answer', () => {
    const told = table.flatMap(({ id, replies }) => Object.keys(replies).map((status) => `${id} ${status}`));
    assert.deepEqual(
      told.filter((one) => !recorded.has(one)),
      [],
    );
  });
});
