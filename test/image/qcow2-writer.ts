/** QCOW2 images made here, small and as wrong as a test wants them: header, one L1 table, L2 tables, clusters. */
import { deflateRawSync, zstdCompressSync } from 'node:zlib';

export interface Qcow2Wish {
  /** Of the guest's disk; default the length of the data. */
  readonly sizeBytes?: number;
  readonly clusterBits?: number;
  readonly version?: number;
  readonly packing?: 'none' | 'deflate' | 'zstd';
}

/** Every cluster of zeros is a hole; packed clusters follow each other without a gap. */
export const qcow2Image = (
  data: Uint8Array,
  { sizeBytes = data.length, clusterBits = 9, version = 3, packing = 'none' }: Qcow2Wish = {},
): Buffer => {
  const clusterBytes = 2 ** clusterBits;
  const perTable = clusterBytes / 8;
  const clusters = Math.ceil(sizeBytes / clusterBytes);
  const tables = Math.ceil(clusters / perTable);
  const l1Clusters = Math.max(1, Math.ceil((tables * 8) / clusterBytes));
  const metadata = Buffer.alloc((1 + l1Clusters + tables) * clusterBytes);
  metadata.write('QFI\xfb', 0, 'latin1');
  metadata.writeUInt32BE(version, 4);
  metadata.writeUInt32BE(clusterBits, 20);
  metadata.writeBigUInt64BE(BigInt(sizeBytes), 24);
  metadata.writeUInt32BE(tables, 36);
  metadata.writeBigUInt64BE(BigInt(clusterBytes), 40);
  if (version >= 3) {
    metadata.writeBigUInt64BE(packing === 'zstd' ? 8n : 0n, 72);
    metadata.writeUInt32BE(112, 100);
    metadata.writeUInt8(packing === 'zstd' ? 1 : 0, 104);
  }
  for (let table = 0; table < tables; table++)
    metadata.writeBigUInt64BE(BigInt((1 + l1Clusters + table) * clusterBytes) | (1n << 63n), clusterBytes + table * 8);
  const parts: Buffer[] = [];
  let end = metadata.length;
  for (let index = 0; index < clusters; index++) {
    const there = data.subarray(index * clusterBytes, (index + 1) * clusterBytes);
    if (there.every((byte) => byte === 0)) continue;
    const cluster = Buffer.alloc(clusterBytes);
    cluster.set(there);
    const at = (1 + l1Clusters) * clusterBytes + index * 8;
    const packed = packing === 'zstd' ? zstdCompressSync(cluster) : deflateRawSync(cluster);
    if (packing === 'none' || packed.length >= clusterBytes) {
      const gap = (clusterBytes - (end % clusterBytes)) % clusterBytes;
      metadata.writeBigUInt64BE(BigInt(end + gap) | (1n << 63n), at);
      parts.push(Buffer.alloc(gap), cluster);
      end += gap + clusterBytes;
    } else {
      const sectors = Math.floor(((end % 512) + packed.length - 1) / 512);
      metadata.writeBigUInt64BE((1n << 62n) | (BigInt(sectors) << BigInt(62 - (clusterBits - 8))) | BigInt(end), at);
      parts.push(packed);
      end += packed.length;
    }
  }
  return Buffer.concat([metadata, ...parts]);
};
