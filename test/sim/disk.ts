/** Physics of a disk: it remembers what was written and who wrote it. */
import { createHash } from 'node:crypto';

export interface Write {
  readonly at: number;
  readonly by: 'install' | 'clean' | 'seed';
  readonly job: string;
}
export class SimDisk {
  readonly serial: string;
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly writes: Write[] = [];
  constructor(path: string, serial: string, sizeBytes: number, fill = 0) {
    this.path = path;
    this.serial = serial;
    this.bytes = new Uint8Array(sizeBytes).fill(fill);
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  write(offset: number, bytes: Uint8Array, write: Write): void {
    this.bytes.set(bytes, offset);
    this.writes.push(write);
  }
  digest(length: number): string {
    return `sha256:${createHash('sha256').update(this.bytes.subarray(0, length)).digest('hex')}`;
  }
  isZero(): boolean {
    return Buffer.compare(this.bytes, new Uint8Array(this.bytes.length)) === 0;
  }
}
