/** Files in memory: the same contract as the real ones, with a disk that outlives its process and hooks where faults can be put. */
import { RemudaError } from '../../src/errors.ts';
import type { Files, FileStat } from '../../src/world/world.ts';

interface Node {
  readonly kind: 'file' | 'directory';
  bytes: Uint8Array;
  modifiedMs: number;
}
/** What survives a crash: hand the same disk to the next `MemoryFiles`. */
export type MemoryDisk = Map<string, Node>;
export const memoryDisk = (): MemoryDisk => new Map([['/', { kind: 'directory', bytes: new Uint8Array(), modifiedMs: 0 }]]);

export type Change = 'write' | 'remove' | 'makeFolder';
export interface MemoryFilesOptions {
  readonly disk?: MemoryDisk;
  /** ms since 1970, for `modifiedMs`. */
  readonly now?: () => number;
  /** Called before anything on the disk changes; what it throws is what the caller of the files sees, and the disk stays as it was. */
  readonly beforeWrite?: (path: string, change: Change) => void | Promise<void>;
  /** Called before each read, with the range that was asked for. */
  readonly beforeRead?: (path: string, range: { readonly offset: number; readonly length: number } | undefined) => void | Promise<void>;
  /** A write that would make the sum of all files larger throws `disk-full`. */
  readonly capacityBytes?: number;
}

export class MemoryFiles implements Files {
  readonly disk: MemoryDisk;
  readonly #options: MemoryFilesOptions;

  constructor(options: MemoryFilesOptions = {}) {
    this.disk = options.disk ?? memoryDisk();
    this.#options = options;
  }

  async stat(path: string): Promise<FileStat | undefined> {
    const node = this.disk.get(plain(path));
    return node && { sizeBytes: node.bytes.length, modifiedMs: node.modifiedMs, kind: node.kind };
  }

  async read(path: string, range?: { readonly offset: number; readonly length: number }): Promise<Uint8Array> {
    await this.#options.beforeRead?.(path, range);
    const node = this.disk.get(plain(path));
    if (node?.kind !== 'file') throw new RemudaError('not-found', `there is no file ${path}`);
    // A copy, as a real read gives: what the reader does to it does not reach the disk.
    return range === undefined ? node.bytes.slice() : node.bytes.slice(range.offset, range.offset + range.length);
  }

  async write(path: string, bytes: Uint8Array | string | AsyncIterable<Uint8Array>): Promise<void> {
    const name = plain(path);
    const content =
      typeof bytes === 'string'
        ? new TextEncoder().encode(bytes)
        : bytes instanceof Uint8Array
          ? Uint8Array.from(bytes)
          : Buffer.concat(await Array.fromAsync(bytes));
    await this.#options.beforeWrite?.(path, 'write');
    if (this.disk.get(folderOf(name))?.kind !== 'directory') throw new RemudaError('not-found', `there is no folder for ${path}`);
    if (this.disk.get(name)?.kind === 'directory') throw new RemudaError('conflict', `${path} is a folder`);
    const others = [...this.disk].reduce((sum, [other, node]) => (other === name ? sum : sum + node.bytes.length), 0);
    if (others + content.length > (this.#options.capacityBytes ?? Infinity))
      throw new RemudaError('disk-full', `no space left to write ${path}`);
    this.disk.set(name, { kind: 'file', bytes: content, modifiedMs: this.#now() });
  }

  async rename(from: string, to: string): Promise<void> {
    const [source, target] = [plain(from), plain(to)];
    if (!this.disk.has(source)) throw new RemudaError('not-found', `cannot rename ${from}: there is no such file`);
    if ((await this.list(target)).length > 0) throw new RemudaError('internal', `cannot rename ${from} to ${to}: ENOTEMPTY`);
    await this.#options.beforeWrite?.(to, 'write');
    for (const [name, node] of Array.from(this.disk))
      if (name === source || name.startsWith(`${source}/`)) {
        this.disk.delete(name);
        this.disk.set(target + name.slice(source.length), node);
      }
  }

  async list(path: string): Promise<readonly string[]> {
    const prefix = plain(path) === '/' ? '/' : `${plain(path)}/`;
    const inside = [...this.disk.keys()].filter((name) => name !== '/' && name.startsWith(prefix));
    return inside
      .map((name) => name.slice(prefix.length))
      .filter((name) => !name.includes('/'))
      .toSorted();
  }

  async makeFolder(path: string): Promise<void> {
    const name = plain(path);
    if (this.disk.get(name)?.kind === 'directory') return;
    await this.#options.beforeWrite?.(path, 'makeFolder');
    for (let folder = name; !this.disk.has(folder); folder = folderOf(folder))
      this.disk.set(folder, { kind: 'directory', bytes: new Uint8Array(), modifiedMs: this.#now() });
  }

  async remove(path: string): Promise<void> {
    const name = plain(path);
    if (!this.disk.has(name)) return;
    await this.#options.beforeWrite?.(path, 'remove');
    if ((await this.list(name)).length > 0) throw new RemudaError('internal', `cannot remove ${path}: ENOTEMPTY`);
    this.disk.delete(name);
  }

  async totalBytes(path: string): Promise<number> {
    await this.freeBytes(path);
    return this.#options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
  }
  async freeBytes(path: string): Promise<number> {
    if (!this.disk.has(plain(path))) throw new RemudaError('not-found', `there is no ${path}`);
    const used = [...this.disk.values()].reduce((sum, node) => sum + node.bytes.length, 0);
    return (this.#options.capacityBytes ?? Number.MAX_SAFE_INTEGER) - used;
  }

  #now(): number {
    return this.#options.now?.() ?? 0;
  }
}

/** Absolute, without a slash at its end: one spelling for one file. */
const plain = (path: string): string => {
  if (!path.startsWith('/')) throw new RemudaError('bad-request', `the path ${path} is not absolute`);
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
};
const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
