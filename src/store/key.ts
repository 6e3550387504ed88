/** Where the key of the sealed secrets comes from: a file that the operator names, or one made at the first start. */
import { RemudaError, codeOf } from '../errors.ts';
import type { Files, Log, Random } from '../world/world.ts';
import { Sealer, parseSealKey, sealedPrefix } from './seal.ts';
import type { SealKey } from './seal.ts';

interface KeyWorld {
  readonly files: Pick<Files, 'read' | 'stat' | 'write'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly log: Pick<Log, 'info' | 'warn'>;
}
export interface KeyPlaces {
  readonly data: string;
  /** A file that holds the key, such as a systemd credential. */
  readonly keyFile?: string | undefined;
  /** Earlier keys, which still open what they sealed; the store is sealed anew at once. */
  readonly oldKeyFiles?: readonly string[] | undefined;
}

const readKey = async (files: KeyWorld['files'], path: string): Promise<SealKey> => {
  try {
    return parseSealKey(new TextDecoder().decode(await files.read(path, { offset: 0, length: 4096 })), path);
  } catch (cause) {
    if (codeOf(cause) !== 'not-found') throw cause;
    throw new RemudaError('bad-config', `there is no key at ${path}`, {
      cause,
      next: `put your copy of the key there, as a new one does not open what is sealed; for a new daemon make one, once: openssl rand -hex 32 > ${path}`,
    });
  }
};

const rangeBytes = 1024 * 1024;
/** Was anything in this database sealed? Looked for in its bytes, because it cannot be asked without a key. */
const isSealed = async (files: KeyWorld['files'], path: string): Promise<boolean> => {
  const sizeBytes = (await files.stat(path))?.sizeBytes ?? 0;
  // The ranges overlap, so that a word on their border is found.
  for (let offset = 0; offset < sizeBytes; offset += rangeBytes - sealedPrefix.length)
    if (Buffer.from(await files.read(path, { offset, length: rangeBytes })).includes(sealedPrefix)) return true;
  return false;
};

/** A key beside the database keeps backups safe, not a stolen disk: the log says so once. */
const ownKey = async ({ files, random, log }: KeyWorld, data: string): Promise<SealKey> => {
  const path = `${data}/key`;
  if ((await files.stat(path)) === undefined) {
    for (const database of [`${data}/remuda.db`, `${data}/remuda.db-wal`])
      if (await isSealed(files, database))
        throw new RemudaError(
          'bad-config',
          `the secrets in ${data}/remuda.db are sealed, and their key is gone from ${path}: put your copy of it there`,
          { next: `put your copy of the key there, or name it as keyFile in the configuration; a new key would open nothing` },
        );
    await files.write(path, `${Buffer.from(random.bytes(32)).toString('hex')}\n`, 0o600);
    log.warn('a key for the secrets in the database was made; keep a copy of it: a backup cannot be read without it', { path });
  }
  return readKey(files, path);
};

/** The sealer of this daemon. Throws `bad-config` where a named key is missing or is none. */
export const sealerFor = async (world: KeyWorld, { data, keyFile, oldKeyFiles = [] }: KeyPlaces): Promise<Sealer> => {
  const first = keyFile === undefined ? await ownKey(world, data) : await readKey(world.files, keyFile);
  const old = await Promise.all(oldKeyFiles.map((path) => readKey(world.files, path)));
  return new Sealer([first, ...old], world.random);
};
