/** Files that are whole or not there: written beside, synced, renamed, and the folder synced. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rmdir, stat, statfs, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RemudaError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Files } from './world.ts';

const codesByErrno: Readonly<Record<string, Code>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  ENOSPC: 'disk-full',
  EDQUOT: 'disk-full',
  EFBIG: 'disk-full',
};
const explain: Readonly<Partial<Record<Code, string>>> = { 'not-found': 'there is no such file', 'disk-full': 'the disk is full' };
/** Of those without a code of their own, what people meet. */
const explainErrno: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  EACCES: 'this user may not (EACCES)',
  EPERM: 'this user may not (EPERM)',
  EROFS: 'the file system is mounted read-only',
};

/** The errno name of a system error, e.g. `ENOENT`; undefined where it is none. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Runs a file operation and says in our words what went wrong with which path. */
const attempt = async <T>(what: string, path: string, run: () => Promise<T>): Promise<T> => {
  try {
    return await run();
  } catch (cause) {
    const errno = errnoOf(cause);
    // What the source of the bytes says is not about the file: only the system and Node have such codes.
    if (errno === undefined || !/^E[A-Z]/.test(errno)) throw cause;
    const code = codesByErrno[errno] ?? 'internal';
    throw new RemudaError(code, `cannot ${what} ${path}: ${explain[code] ?? explainErrno[errno] ?? errno}`, {
      cause,
      values: { path, errno },
    });
  }
};

const orUndefined = async <T>(run: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await run();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
};

/** Fewer bytes than asked only where the file ends. */
const readRange = async (handle: FileHandle, offset: number, length: number): Promise<Uint8Array> => {
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, offset + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
};

const syncFolder = async (path: string): Promise<void> => {
  await using folder = await open(path, 'r');
  await folder.sync();
};

const writeWhole = async (path: string, bytes: Uint8Array | string | AsyncIterable<Uint8Array>, mode: number): Promise<void> => {
  // In the same folder, because rename is atomic only within one file system.
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    {
      await using handle = await open(temporary, 'wx', mode);
      await handle.chmod(mode);
      await handle.writeFile(bytes);
      await handle.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await orUndefined(() => unlink(temporary));
    throw error;
  }
  await syncFolder(dirname(path));
};

/** A file, or a folder with nothing in it. */
const removeOne = async (path: string): Promise<void> => {
  try {
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'EISDIR' && errnoOf(error) !== 'EPERM') throw error;
    await rmdir(path);
  }
};

export const realFiles: Files = {
  stat: (path) =>
    attempt('look at', path, async () => {
      const found = await orUndefined(() => stat(path));
      if (found === undefined) return undefined;
      const kind = found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other';
      return { sizeBytes: found.size, modifiedMs: found.mtimeMs, kind };
    }),
  read: (path, range) =>
    attempt('read', path, async () => {
      if (range === undefined) return readFile(path);
      await using handle = await open(path, 'r');
      return await readRange(handle, range.offset, range.length);
    }),
  write: (path, bytes, mode = 0o644) => attempt('write', path, () => writeWhole(path, bytes, mode)),
  rename: (from, to) =>
    attempt('rename', from, async () => {
      await rename(from, to);
      await syncFolder(dirname(to));
    }),
  list: (path) => attempt('list', path, async () => ((await orUndefined(() => readdir(path))) ?? []).toSorted()),
  makeFolder: (path, mode = 0o755) =>
    attempt('make folder', path, async () => {
      await mkdir(path, { recursive: true, mode });
    }),
  remove: (path) =>
    attempt('remove', path, async () => {
      await orUndefined(() => removeOne(path));
    }),
  freeBytes: (path) =>
    attempt('measure', path, async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    }),
  totalBytes: (path) =>
    attempt('measure', path, async () => {
      const { blocks, bsize } = await statfs(path);
      return blocks * bsize;
    }),
};
