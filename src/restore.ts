/** Restoring a backup on this machine: into the data folder of a daemon that is not running, which is there whole or not at all. */
import { databaseName } from './backup/make.ts';
import type { About } from './backup/make.ts';
import { removeTree, restoreBackup } from './backup/restore.ts';
import type { RestoreParts, Restored } from './backup/restore.ts';
import type { Config } from './config/config.ts';
import { RemudaError } from './errors.ts';
import { limits } from './limits.ts';
import { transition } from './host/transition.ts';
import { sealerFor } from './store/key.ts';
import type { Sealer } from './store/seal.ts';
import { schemaVersion } from './store/schema.ts';
import { openSqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';
import type { World } from './world/world.ts';

export interface RestoreWish {
  readonly file: string;
  readonly data: string;
  readonly keyFile?: string | undefined;
  readonly oldKeyFiles?: Config['oldKeyFiles'];
  /** The daemon looks for its key in the data folder: put it there, or it would make another one that opens nothing. */
  readonly keepKey?: boolean;
  /** A data folder that is there is renamed. */
  readonly replace: boolean;
  /** Unpack and prove only. */
  readonly check: boolean;
  /** Hold every host whose disk could be written: what happened since the backup is not known. */
  readonly hold: boolean;
  readonly onProgress: (doneBytes: number) => void;
}
export interface RestoreOutcome {
  /** How many hosts are held now. */
  readonly held: number;
  readonly about: About;
  readonly data: string;
  readonly files: number;
  readonly bytes: number;
  /** Where the data folder of before is now. */
  readonly kept?: string;
  /** Where the key was put. */
  readonly key?: string;
}

const pieceBytes = 1024 * 1024;
async function* piecesOf(files: World['files'], path: string): AsyncGenerator<Uint8Array> {
  const stat = await files.stat(path);
  if (stat?.kind !== 'file')
    throw new RemudaError('not-found', `there is no backup at ${path}: ${stat === undefined ? 'no such file' : 'that is a folder'}`, {
      next: 'name the file that `remuda backup` wrote',
    });
  for (let offset = 0; offset < stat.sizeBytes; offset += pieceBytes) yield await files.read(path, { offset, length: pieceBytes });
}

/**
 * Since the backup a host may have been given to another owner, and a disk that was to be cleaned may carry somebody's data. So nothing is
 * done to any host that was more than discovered until a person who knows says so.
 */
const holdAll = async (store: Store, madeAt: number, now: number): Promise<number> => {
  let held = 0;
  const why = `restored from the backup of ${new Date(madeAt).toISOString()}: what happened to it since is not known here. Compare, then: remuda host unhold`;
  for (const host of await store.hosts()) {
    if (host.state === 'discovered') continue;
    // Whoever held it before the backup had a reason, which must not get lost with ours.
    if (host.held !== null) {
      held += 1;
      continue;
    }
    const verdict = transition(host, { type: 'hold', by: 'restore', why }, now);
    if ('refused' in verdict) throw new RemudaError(verdict.refused, verdict.reason);
    await store.save(verdict.host, verdict.entries);
    held += 1;
  }
  return held;
};

/** `restoreBackup`; what is no whole backup is told by its name. */
const unpacked = async (file: string, parts: RestoreParts): Promise<Restored> => {
  try {
    return await restoreBackup(parts);
  } catch (error) {
    if (!(error instanceof RemudaError) || error.code !== 'bad-request') throw error;
    throw new RemudaError(error.code, `${file}: ${error.message}`, {
      cause: error,
      next: 'take another backup; whether one is whole is told by: remuda restore FILE --check',
    });
  }
};

/** The exclusive lock of the database tells whether a daemon runs on it. */
const refuseRunning = async (data: string, sealer: Sealer): Promise<void> => {
  const path = `${data}/${databaseName}`;
  try {
    await (await openSqliteStore(path, { ...limits, storeBusyMs: 0 }, { sealer })).close();
  } catch (error) {
    // Broken, or sealed under another key: there may be every reason to replace it.
    if (error instanceof RemudaError && error.code === 'conflict')
      throw new RemudaError('conflict', `a daemon serves ${data}: stop it before its data is replaced`, {
        cause: error,
        next: 'stop it (systemctl stop remuda) and restore then; --check only proves the backup, while it serves',
      });
  }
};

/** A new key would open nothing. */
const keyAdvice = 'name your copy of the key of the daemon that was backed up: --key-file FILE';

/** Throws `conflict` where there is data already (without `replace`) or a daemon runs on it, and what `restoreBackup` throws. */
export const restore = async (world: World, wish: RestoreWish): Promise<RestoreOutcome> => {
  const { files } = world;
  const { data } = wish;
  const isThere = (await files.list(data)).some((name) => name !== 'key');
  if (isThere && !wish.replace && !wish.check)
    throw new RemudaError(
      'conflict',
      `${data} holds data already: say --replace to keep it beside under another name, or name another folder with --data`,
    );
  const stamp = new Date(world.clock.now()).toISOString().slice(0, 19).replaceAll(':', '-');
  const [into, kept] = [`${data}.restoring-${stamp}`, `${data}.before-${stamp}`];
  const keyFile = wish.keyFile ?? ((await files.stat(`${data}/key`)) === undefined ? undefined : `${data}/key`);
  if (keyFile === undefined)
    throw new RemudaError(
      'bad-config',
      `there is no key: the secrets of a backup open only with the one they were sealed with (--key-file, or ${data}/key)`,
      { next: keyAdvice },
    );
  if ((await files.stat(keyFile)) === undefined)
    throw new RemudaError('bad-config', `there is no key at ${keyFile}, and a backup opens only with the key it was sealed with`, {
      next: keyAdvice,
    });
  const sealer = await sealerFor(world, { data, keyFile, oldKeyFiles: wish.oldKeyFiles });
  if (!wish.check && (await files.stat(`${data}/${databaseName}`)) !== undefined) await refuseRunning(data, sealer);
  let held = 0;
  const done = await unpacked(wish.file, {
    files,
    archive: piecesOf(files, wish.file),
    into,
    schemaVersion,
    tryDatabase: async (path, { madeAt }) => {
      // Brings an older schema up to date, and opens every secret.
      const store = await openSqliteStore(path, limits, { sealer });
      try {
        if (wish.hold) held = await holdAll(store, madeAt, world.clock.now());
        // What was handed out after the backup (tickets, credentials) must not fit a boot that gets the same number again.
        await store.dropSetting('secret');
      } finally {
        await store.close();
      }
    },
    onProgress: wish.onProgress,
  });
  if (wish.check) {
    await removeTree(files, into);
    return { ...done, data, held };
  }
  const own = `${data}/key`;
  const isOwn = keyFile === own || wish.keepKey === true;
  if (isOwn) await files.write(`${into}/key`, await files.read(keyFile), 0o600);
  // Between the two renames there is no data folder: whoever is cut off there finds both beside it, whole.
  const wasThere = (await files.stat(data)) !== undefined;
  if (wasThere) await files.rename(data, kept);
  await files.rename(into, data);
  return { ...done, data, held, ...(wasThere ? { kept } : {}), ...(isOwn && keyFile !== own ? { key: own } : {}) };
};
