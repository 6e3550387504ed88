/** Raises the plane that all files of a run share, and says by a file where it is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RemudaError, reasonOf } from '../../../src/errors.ts';
import { planeBinaries } from '../../../src/lab/plane/binaries.ts';
import { startPlane } from '../../../src/lab/plane/management.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';

/** The environment's name for the file in which a plane is described. */
export const planeNoteName = 'REMUDA_TEST_PLANE';

export interface Raised {
  /** The file. */
  readonly note: string;
  stop(): Promise<void>;
}
/** Or why there is none: neither a cache nor Go to build one. Whatever else goes wrong is thrown. */
export const raisePlane = async (signal?: AbortSignal): Promise<Raised | { readonly skip: string }> => {
  const life = new AbortController();
  const lab = realLabWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
  const say = (line: string): void => console.error(line);
  const options = signal === undefined ? { say } : { say, signal };
  let binaries: string;
  try {
    binaries = await planeBinaries(lab, options);
  } catch (error) {
    if (error instanceof RemudaError && error.code === 'not-found') return { skip: reasonOf(error) };
    throw error;
  }
  const folder = mkdtempSync(join(tmpdir(), 'remuda-plane-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const plane = await startPlane(lab, { binaries, folder: join(folder, 'plane'), say });
    const note = join(folder, 'note.json');
    const { folder: place, kubeconfig, access, ports } = plane;
    const told = { folder: place, binaries, kubeconfig, access, ports, members: plane.members() };
    writeFileSync(note, JSON.stringify(told), { mode: 0o600 });
    const stop = async (): Promise<void> => {
      await plane.stop();
      life.abort(new DOMException('the plane is down', 'AbortError'));
      remove();
    };
    return { note, stop };
  } catch (error) {
    remove();
    throw error;
  }
};
