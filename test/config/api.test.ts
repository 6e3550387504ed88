/** Where the API may listen: TLS wherever it is not loopback, by default and by force. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiSchema } from '../../src/config/api.ts';

const files = { certificate: '/a.pem', key: '/a.key' };
const facts: readonly { readonly name: string; readonly given: unknown; readonly tls?: unknown; readonly refused?: RegExp }[] = [
  { name: 'loopback is plain', given: { address: '127.0.0.1', port: 7470 }, tls: 'none' },
  { name: 'all of 127/8 is loopback', given: { address: '127.9.9.9', port: 7470 }, tls: 'none' },
  { name: 'loopback may have TLS', given: { address: '127.0.0.1', port: 7470, tls: 'self-signed' }, tls: 'self-signed' },
  { name: 'elsewhere TLS is the default', given: { address: '10.0.0.2', port: 7470 }, tls: 'self-signed' },
  { name: 'every address is elsewhere', given: { address: '0.0.0.0', port: 7470 }, tls: 'self-signed' },
  { name: 'files', given: { address: '10.0.0.2', port: 7470, tls: files }, tls: files },
  { name: 'no TLS elsewhere', given: { address: '10.0.0.2', port: 7470, tls: 'none' }, refused: /without TLS tokens would cross/ },
  { name: 'no TLS on every address', given: { address: '0.0.0.0', port: 7470, tls: 'none' }, refused: /without TLS/ },
  { name: 'a name is no address', given: { address: 'localhost', port: 7470 }, refused: /is not an IPv4 address/ },
  { name: 'half a pair', given: { address: '10.0.0.2', port: 7470, tls: { certificate: '/a' } }, refused: /none, self-signed, or/ },
  {
    name: 'a relative path',
    given: { address: '10.0.0.2', port: 7470, tls: { ...files, key: 'a.key' } },
    refused: /absolute path|none, self-signed, or/,
  },
];
for (const { name, given, tls, refused } of facts)
  test(name, () => {
    const read = apiSchema.safeParse({ listen: [given] });
    if (refused === undefined) assert.deepEqual(read.data?.listen[0]?.tls, tls);
    else assert.match(read.error?.message ?? 'it was taken', refused);
  });
test('without a word only the socket listens, and metrics want a token', () => {
  assert.deepEqual(apiSchema.parse(undefined), { listen: [], names: [], publicMetrics: false });
});
