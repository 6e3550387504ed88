/** Each thing that must be refused has its own clear refusal: exit code, problem code, what to do next; nothing is left behind, and no secret is told. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { bmcUser } from '../bmc/bench.ts';
import { run } from '../deploy/place.ts';
import { seededImage } from '../image/disk.ts';
import { Appliance, onTcp, problem, refused, silent, until, url, wireMac } from './appliance.ts';
import type { Running, Said } from './appliance.ts';
import { places } from './neighbour-places.ts';
import type { Seen } from './neighbour-places.ts';

const wrongPassword = 'wrong horse';
const settings = {
  ...onTcp,
  limits: {
    imageBytesMax: 16 * 1024 * 1024,
    // A step that fails is tried again at once and often: what is not sent again is kept back on purpose.
    retryFirstMs: 20,
    retryMostMs: 50,
    bmcTimeoutMs: 5_000,
    dhcpProbeMs: 500,
  },
};
const appliance = new Appliance('refusals');
const neighbourSocket = appliance.at('neighbours.sock');
const seen = (): Promise<Seen> => appliance.neighbour<Seen>(neighbourSocket);

/** The image that everybody wants, and two key pairs: one is trusted here. */
const image = appliance.put('disk.raw', seededImage(Buffer.from('the image that was signed')));
const other = appliance.put('other.raw', seededImage(Buffer.from('another image')));
const keys = { trusted: appliance.at('trusted.key'), unknown: appliance.at('unknown.key') };
const publicLine = (key: string): string => readFileSync(`${key}.pub`, 'utf8').split('\n')[1] ?? '';

let neighbours: Running | undefined;

before(async () => {
  for (const key of Object.values(keys)) assert.equal((await appliance.remuda('image', 'key', 'generate', key)).exit, 0);
  for (const at of Object.values(places)) appliance.ip('addr', 'add', `${at}/32`, 'dev', 'lo');
  neighbours = appliance.inside(process.execPath, new URL('neighbours.ts', import.meta.url).pathname, neighbourSocket, image);
  appliance.configure({
    ...settings,
    images: {
      trust: [{ name: 'builders', publicKey: publicLine(keys.trusted) }],
      requireSignature: true,
      sources: { allowPrivate: [`${places.images}/32`] },
    },
  });
  await appliance.start();
  await until(() => neighbours?.said().includes('the neighbours serve'), 'the neighbours serve');
});
after(async () => {
  neighbours?.child.kill('SIGTERM');
  await neighbours?.ended;
  await appliance[Symbol.asyncDispose]();
});

describe('images', () => {
  const importing = (source: string, ...more: readonly string[]): Promise<Said> =>
    appliance.remuda('image', 'import', source, '--name', 'wanted', '--json', ...more);
  /** Refused, and the store holds not one file more than before. */
  const leavesNothing = async (asked: () => Promise<Said>, code: string, says: RegExp): Promise<void> => {
    const files = appliance.imageFiles();
    const said = await asked();
    assert.equal(said.exit, 1, said.out + said.err);
    const { code: told, detail, next } = problem(said);
    assert.equal(told, code, detail);
    assert.match(`${detail}\n${next ?? ''}`, says);
    assert.deepEqual(appliance.imageFiles(), files);
    assert.equal((await appliance.api('GET', '/v1/images/wanted')).status, 404);
  };
  const signatureOf = async (file: string, key: string): Promise<string> => {
    const out = appliance.at(`${file.split('/').at(-1) ?? ''}.${key.split('/').at(-1) ?? ''}.signature`);
    const { exit, err } = await appliance.remuda('image', 'sign', file, '--key', key, '--out', out);
    assert.equal(exit, 0, err);
    return out;
  };

  test('unsigned, where signatures are required', () =>
    leavesNothing(
      () => importing(image),
      'image-unsigned',
      /is not signed, and images\.requireSignature asks for it[^]*remuda image sign FILE --key KEY/,
    ));
  test('signed by a key that is not trusted here', async () => {
    const signature = await signatureOf(image, keys.unknown);
    await leavesNothing(
      () => importing(image, '--signature', signature),
      'image-unsigned',
      /is signed by key [0-9a-f]{16}, which is not among images\.trust/,
    );
  });
  test('the signature of another image', async () => {
    const signature = await signatureOf(other, keys.trusted);
    await leavesNothing(
      () => importing(image, '--signature', signature),
      'signature-invalid',
      /the signature is that of image sha256:[^]*import the image again with the signature that belongs to it/,
    );
  });
  test('a signature of the trusted key that was changed, and one that is none', async () => {
    const signature = await signatureOf(image, keys.trusted);
    const file = JSON.parse(readFileSync(signature, 'utf8')) as { signatures: [{ signature: string }] };
    const [one] = file.signatures;
    one.signature = `${one.signature.startsWith('A') ? 'B' : 'A'}${one.signature.slice(1)}`;
    const changed = appliance.put('changed.signature', JSON.stringify(file));
    await leavesNothing(
      () => importing(image, '--signature', changed),
      'signature-invalid',
      /the signature of builders does not fit image/,
    );
    const none = appliance.put('none.signature', 'signed, me');
    await leavesNothing(() => importing(image, '--signature', none), 'signature-invalid', /is not JSON; make it by: remuda image sign/);
  });

  test('zeros far above the limit, packed by gzip, zstd and xz', async () => {
    const zeros = Buffer.alloc(96 * 1024 * 1024);
    appliance.put('bomb.gz', gzipSync(zeros, { level: 1 }));
    appliance.put('bomb.zst', zstdCompressSync(zeros));
    run('sh', '-c', `head -c ${zeros.length} /dev/zero | xz -0 -c > ${appliance.at('bomb.xz')}`);
    for (const kind of ['gz', 'zst', 'xz'])
      await leavesNothing(() => importing(appliance.at(`bomb.${kind}`)), 'too-large', /16777216[^]*limits\.imageBytesMax/);
  });
  test('a qcow2 that qemu-img made on top of another', async () => {
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/shadow', '-u', appliance.at('backed.qcow2'), '1M');
    await leavesNothing(() => importing(appliance.at('backed.qcow2')), 'image-invalid', /backing file[^]*qemu-img convert/);
  });

  test('redirects to a metadata service, to a private address, to the daemon itself', async () => {
    const from =
      (path: string): (() => Promise<Said>) =>
      () =>
        importing(`http://${places.images}${path}`, '--sha256', 'a'.repeat(64));
    await leavesNothing(from('/to-metadata'), 'source-refused', /169\.254\.169\.254 is a link-local address/);
    await leavesNothing(
      from('/to-private'),
      'source-refused',
      /10\.91\.2\.11 is a private address; to allow it, add it[^]*images\.sources\.allowPrivate/,
    );
    await leavesNothing(from('/to-itself'), 'source-refused', /127\.0\.0\.1 is this machine itself/);
    await leavesNothing(
      () => importing(`http://${places.metadata}/latest/meta-data/`, '--sha256', 'a'.repeat(64)),
      'source-refused',
      /link-local/,
    );
    await leavesNothing(() => importing('file:///etc/shadow'), 'source-refused', /http: and https: only/);
    assert.deepEqual((await seen()).forbidden, []);
  });
  test('without a hash by plain HTTP, and with the hash of another file', async () => {
    const from = `http://${places.images}/disk.raw`;
    await leavesNothing(() => importing(from), 'source-refused', /give its SHA-256/);
    await leavesNothing(() => importing(from, '--sha256', 'a'.repeat(64)), 'image-invalid', /not the expected a{64}: it is another file/);
  });
  test('the same image, signed by the trusted key, is taken from the same server', async () => {
    const [hash = ''] = run('sha256sum', image).split(' ');
    const signature = await signatureOf(image, keys.trusted);
    const { exit, err } = await appliance.remuda(
      'image',
      'import',
      `http://${places.images}/disk.raw`,
      '--sha256',
      hash,
      '--name',
      'good',
      '--signature',
      signature,
    );
    assert.equal(exit, 0, err);
    assert.match((await appliance.remuda('image', 'show', 'good')).out, /signed by +builders/);
  });
});

interface HostJson {
  readonly attempt: { readonly step: string; readonly reason: string; readonly tries: number } | null;
  readonly identified: unknown;
  readonly bmc: unknown;
}
describe('BMCs', () => {
  const passwordFile = (text: string): string => appliance.put(`password-${text.split(' ')[0] ?? ''}`, `${text}\n`, 0o600);
  const access = (password: string): readonly string[] => [
    '--bmc-username',
    bmcUser.username,
    '--bmc-password-file',
    passwordFile(password),
  ];
  const show = (name: string): Promise<HostJson> => appliance.read<HostJson>(`/v1/hosts/${name}`);
  /** Enrols a host and returns why its BMC is not used, after the daemon has tried a few times. */
  const enrol = async (name: string, ...bmc: readonly string[]): Promise<string> => {
    const { exit, err } = await appliance.remuda('host', 'enrol', name, ...bmc);
    assert.equal(exit, 0, err);
    return until(async () => {
      const { attempt } = await show(name);
      return attempt !== null && attempt.tries > 3 && attempt.reason;
    }, `${name} was tried a few times`);
  };

  const power = (name: string, ...more: readonly string[]): Promise<Said> => appliance.remuda('host', 'power', name, 'on', ...more);
  const pin = (name: string, bmc: readonly string[], fingerprint: string): Promise<Said> =>
    appliance.remuda('host', 'bmc', 'set', name, ...bmc, '--bmc-fingerprint', fingerprint);

  const protocols = [
    {
      name: 'redfish',
      bmc: async () => ['--bmc-url', `https://${places.redfish}`, '--bmc-fingerprint', (await seen()).fingerprints.redfish],
      attempts: async () => (await seen()).redfishLogins,
    },
    { name: 'ipmi', bmc: async () => ['--bmc-url', `ipmi://${places.ipmi}`], attempts: async () => (await seen()).ipmiLogins },
  ] as const;
  for (const { name, bmc, attempts } of protocols)
    test(`a wrong password (${name}): the BMC counts one attempt, then it is left alone until it is told another`, async () => {
      const host = `wrong-${name}`;
      const reason = await enrol(host, ...(await bmc()), ...access(wrongPassword));
      assert.match(
        reason,
        /refuses the user "admin" with the password it was given[^]*nothing was sent now[^]*not tried again for \d+ s, lest the BMC lock/,
      );
      assert.equal(await attempts(), 1);
      // Also when a person is impatient.
      const asked = await power(host);
      refused(asked, 1, /refuses the user[^]*nothing was sent now[^]*next: {2}check the user, the password/, [wrongPassword]);
      assert.equal(await attempts(), 1);
      const shown = await appliance.remuda('host', 'show', host);
      assert.match(shown.out, /refuses the user "admin"[^]*check its user and password/);
      silent(shown.out, [wrongPassword]);

      const set = await appliance.remuda('host', 'bmc', 'set', host, ...(await bmc()), ...access(bmcUser.password));
      assert.equal(set.exit, 0, set.err);
      await until(async () => (await show(host)).identified !== null, 'the right password is let in at once');
    });

  test('a certificate that has ended, though its authority is given, or it is pinned: nothing is sent', async () => {
    const { authority, fingerprints } = await seen();
    const at = ['--bmc-url', `https://${places.expired}`, ...access(wrongPassword)];
    const byAuthority = await enrol('expired', ...at, '--bmc-ca', appliance.put('authority.pem', authority));
    assert.match(byAuthority, /its certificate expired on \d{4}-\d\d-\d\d; renew it there[^]*nothing was sent/);
    const asked = await power('expired', '--json');
    refused(asked, 1, /certificate expired on/, [wrongPassword]);
    assert.equal(problem(asked).code, 'bmc-untrusted');
    refused(await pin('expired', at, fingerprints.expired), 1, /certificate expired on[^]*next: {2}renew a certificate that has ended/, [
      wrongPassword,
    ]);
    assert.equal((await seen()).expiredRequests, 0);
  });
  test('another certificate than the pinned one: not even the right password is sent', async () => {
    const { fingerprints, redfishLogins } = await seen();
    const { bmc } = await show('wrong-redfish');
    const asked = await pin('wrong-redfish', ['--bmc-url', `https://${places.redfish}`, ...access(bmcUser.password)], fingerprints.expired);
    refused(asked, 1, /another certificate than the pinned one; nothing was sent[^]*--bmc-fingerprint/, [bmcUser.password]);
    assert.deepEqual((await show('wrong-redfish')).bmc, bmc);
    assert.equal((await seen()).redfishLogins, redfishLogins);
  });
  test('no password was told by the log, the timeline or the files', async () => {
    const secrets = [wrongPassword, bmcUser.password];
    silent(appliance.said(), secrets);
    silent((await appliance.remuda('host', 'timeline', 'wrong-redfish')).out, secrets);
    silent(appliance.dataBytes().toString('latin1'), secrets);
  });
});

describe('tokens', () => {
  const made = async (name: string, ...more: readonly string[]): Promise<string> =>
    (await appliance.json<{ token: string }>('token', 'create', name, ...more)).token;

  test('one without the role, for each role', async () => {
    const viewer = await made('looks', '--role', 'viewer');
    const operator = await made('works', '--role', 'operator');
    const asks: readonly (readonly [token: string, args: readonly string[], says: RegExp])[] = [
      [viewer, ['claim', 'create', '--image', 'good', '--owner', 'ann'], /needs the role operator, and looks has viewer/],
      [viewer, ['host', 'enrol', 'mine', '--mac', '52:54:00:00:00:01'], /needs the role operator, and looks has viewer/],
      [operator, ['token', 'create', 'more', '--role', 'viewer'], /needs the role admin, and works has operator/],
      [operator, ['audit'], /needs the role admin, and works has operator/],
      [operator, ['image', 'import', '/etc/shadow', '--name', 'shadow'], /needs the role admin, and works has operator/],
      [operator, ['backup', appliance.at('stolen.tar')], /needs the role admin, and works has operator/],
    ];
    for (const [token, args, says] of asks) {
      const said = await appliance.asked(args, { token });
      refused(said, 4, says, [viewer, operator]);
      assert.match(said.err, /next: {2}ask an administrator for a token with the role/);
    }
    assert.equal((await appliance.asked(['host', 'list'], { token: viewer })).exit, 0);
    assert.equal((await appliance.remuda('host', 'show', 'mine')).exit, 1);
    assert.deepEqual(
      (await appliance.json<{ items: { name: string }[] }>('token', 'list')).items
        .map(({ name }) => name)
        .filter((name) => name === 'more'),
      [],
    );
  });

  test('none, one that has expired, one that was revoked, one that nobody made', async () => {
    const brief = await made('brief', '--expires', '1s');
    const gone = await made('gone', '--role', 'admin');
    assert.equal((await appliance.remuda('token', 'revoke', 'gone')).exit, 0);
    await sleep(1_100);
    const unknown = `remuda_bcdfghjk_${'A'.repeat(43)}`;
    const next = /next: {2}say who you are: remuda login URL/;
    const asks: readonly (readonly [token: string | undefined, says: RegExp])[] = [
      [undefined, /this needs a token/],
      [brief, /the token brief has expired: ask an admin for another/],
      [gone, /the token gone was revoked: ask an admin for another/],
      [unknown, /this token is not known here/],
    ];
    for (const [token, says] of asks) {
      const said = await appliance.asked(['host', 'list'], token === undefined ? {} : { token });
      refused(said, 4, says, [brief, gone, unknown]);
      assert.match(said.err, next);
    }
  });

  test('a daemon whose certificate is another than the pinned one is told nothing', async () => {
    const token = await made('careful', '--role', 'viewer');
    refused(
      await appliance.asked(['host', 'list'], { token, fingerprint: 'a'.repeat(64) }),
      4,
      /shows another certificate than the pinned one; nothing was sent/,
      [token],
    );
    refused(
      await appliance.remote(['host', 'list', '--url', url, '--token', token]).ended,
      4,
      /certificate of https:\/\/10\.91\.0\.1:7471 is not trusted[^]*remuda login/,
      [token],
    );
    refused(
      await appliance.remote(['host', 'list', '--url', url.replace('https', 'http'), '--token', token]).ended,
      2,
      /in plain text[^]*write https/,
      [token],
    );
  });

  test('the audit log names who was refused what; neither it nor the log holds a token', async () => {
    const { items } = await appliance.json<{ items: { actor: string; action: string; outcome: string }[] }>('audit', '--most', '200');
    const outcomes = items.map(({ actor, action, outcome }) => `${actor} ${action} ${outcome}`);
    for (const row of [
      'looks createClaim forbidden',
      'looks enrolHost forbidden',
      'works createToken forbidden',
      'anonymous listHosts unauthenticated',
    ])
      assert.ok(outcomes.includes(row), `${row} in:\n${outcomes.join('\n')}`);
    const tokens = appliance.said().match(/remuda_[a-z0-9]{8}_[\w-]{43}/g) ?? [];
    assert.equal(tokens.length, 1, 'only the first token, once');
  });
});

test('another DHCP server on the wire is named by the doctor', async () => {
  const alone = ['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--no-ping', '--user=root', '--log-facility=-'];
  const files = [`--dhcp-leasefile=${appliance.at('leases')}`, `--pid-file=${appliance.at('pid')}`];
  const offers = ['--interface=rack0', '--dhcp-range=10.91.0.200,10.91.0.210,120', '--dhcp-boot=rogue.0'];
  const rogue = appliance.onWire('10.91.0.66', 'dnsmasq', ...alone, ...files, ...offers);
  try {
    const says = new RegExp(
      `another DHCP server, 10\\.91\\.0\\.66 \\(${wireMac}\\), is heard at boot0: offered to us .*boot file rogue\\.0[^]*?out of this network`,
    );
    await until(async () => says.test((await appliance.remuda('doctor')).out), 'the other server is found and named');
    assert.match(appliance.said(), /10\.91\.0\.66/);
  } finally {
    rogue.child.kill('SIGTERM');
    await rogue.ended;
  }
});

test('all of that cost the daemon nothing: it is ready, and ends in good order', async () => {
  assert.equal((await appliance.api('GET', '/readyz')).status, 200);
  assert.deepEqual(await appliance.end(), { exit: 0, signal: null });
});

test('a full disk: the import is refused, takes away what it wrote, and the daemon goes on', async () => {
  await using small = new Appliance('full');
  const big = small.put('big.raw', Buffer.concat([seededImage(), randomBytes(40 * 1024 * 1024)]));
  // A disk of its own in a mount namespace of the daemon's own.
  const disk = `mkdir -p "$1" && mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@"`;
  const daemon = await small.start(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', disk, 'sh', small.data]);
  const data = `/proc/${daemon.child.pid}/root${small.data}`;
  const said = await small.remuda('image', 'import', big, '--name', 'big', '--json');
  assert.equal(said.exit, 1, said.err);
  const { code, detail, next } = problem(said);
  assert.equal(code, 'disk-full', detail);
  assert.match(next ?? '', /make room on the daemon\u2019s disk: remuda image remove/);
  assert.deepEqual(small.imageFiles(data), []);
  assert.equal((await small.remuda('host', 'enrol', 'still', '--mac', '52:54:00:00:00:09')).exit, 0);
  const fits = small.put('fits.raw', seededImage());
  assert.equal((await small.remuda('image', 'import', fits, '--name', 'fits')).exit, 0);
  assert.equal((await small.remuda('image', 'verify', 'fits')).exit, 0);
  assert.deepEqual(await small.end(), { exit: 0, signal: null });
});
