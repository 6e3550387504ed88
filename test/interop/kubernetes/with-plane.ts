/** How tests get at the one plane of a run, and a namespace of their own in it. `test/run.ts` starts it; a file run alone starts its own. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { openDoor } from '../../../src/lab/plane/door.ts';
import type { Door, PlaneObject } from '../../../src/lab/plane/door.ts';
import type { PlaneNote } from '../../../src/lab/plane/management.ts';
import { startWorkloadPlane } from '../../../src/lab/plane/workload.ts';
import type { WorkloadOptions, WorkloadPlane } from '../../../src/lab/plane/workload.ts';
import { realLabWorld } from '../../../src/world/real-lab.ts';
import type { LabWorld } from '../../../src/world/lab-world.ts';
import { planeNoteName, raisePlane } from './raise.ts';

const run = promisify(execFile);
const kubectlMs = 60_000;
const pollMs = 100;

const life = new AbortController();
/** Ends with this file's tests. */
const lab: LabWorld = realLabWorld({ signal: life.signal, log: { level: 'warn', destination: 'stderr', pretty: false } });
after(() => life.abort(new DOMException('the tests are over', 'AbortError')));

export interface TestPlane extends PlaneNote {
  /** As system:masters. */
  readonly door: Door;
  /** `pid` of each process, by its name. */
  readonly members: readonly { readonly name: string; readonly pid: number; readonly log: string }[];
  /** Deleted when the test is over; its name. */
  readonly newNamespace: (t: TestContext) => Promise<string>;
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  /** The object as kubectl prints it; undefined where there is none. */
  readonly read: (resource: string, name: string, namespace?: string) => Promise<PlaneObject | undefined>;
  readonly apply: (...objects: readonly PlaneObject[]) => Promise<void>;
  /** A stand-in control plane for a Cluster; ends with the test. */
  readonly workload: (t: TestContext, options: Omit<WorkloadOptions, 'plane' | 'folder'>) => Promise<WorkloadPlane>;
}

/** `{ skip: 'why' }` where there is no plane; to be given to `test` and `describe`. */
const raised = await findPlane();
export const ground: { readonly skip: string | false } = { skip: 'skip' in raised ? raised.skip : false };

async function findPlane(): Promise<Awaited<ReturnType<typeof raisePlane>> | { readonly note: string }> {
  const note = process.env[planeNoteName];
  if (note !== undefined && note !== '') return { note };
  const own = await raisePlane();
  if (!('skip' in own)) after(() => own.stop());
  return own;
}

interface Told extends PlaneNote {
  readonly members: TestPlane['members'];
}

let names = 0;
/** The plane of this run. Throws where there is none: give `ground` to the test. */
export const plane = (): TestPlane => {
  assert.ok('note' in raised, 'there is no plane: give `ground` to this test, so that it is skipped');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- raise.ts wrote it
  const told = JSON.parse(readFileSync(raised.note, 'utf8')) as Told;
  const door = openDoor(lab, told.access);
  const kubectl = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await run(`${told.binaries}/kubectl`, ['--kubeconfig', told.kubeconfig, ...args], {
      timeout: kubectlMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  };
  return {
    ...told,
    door,
    kubectl,
    newNamespace: async (t) => {
      const name = `test-${process.pid}-${names++}`;
      await door.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }]);
      t.after(async () => void (await door.call('DELETE', `/api/v1/namespaces/${name}`)));
      return name;
    },
    read: async (resource, name, namespace) => {
      const where = namespace === undefined ? [] : ['--namespace', namespace];
      const text = await kubectl('get', resource, name, ...where, '--ignore-not-found', '-o', 'json');
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- kubectl prints objects
      return text === '' ? undefined : (JSON.parse(text) as PlaneObject);
    },
    apply: (...objects) => door.apply(objects),
    workload: async (t, options) => {
      const folder = `${told.folder}-${options.namespace}-${options.name}`;
      const workload = await startWorkloadPlane(lab, { ...options, plane: told, folder });
      t.after(() => workload.stop());
      return workload;
    },
  };
};

/** Looks until `seen` gives something; what was wanted stands in the error of the time limit. */
export const eventually = async <T>(what: string, seen: () => Promise<T | undefined | false>, withinMs = 60_000): Promise<T> => {
  const until = Date.now() + withinMs;
  for (;;) {
    const value = await seen();
    if (value !== undefined && value !== false) return value;
    assert.ok(Date.now() < until, `${what}: not within ${withinMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
};
