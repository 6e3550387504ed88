/**
 * The simulation as a process of its own: node:test watches every promise of the process it runs in, which costs the simulation a third of
 * its speed. It only computes, in a time of its own: tests that live in the real one go first.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface SimEnd {
  readonly ok: boolean;
  /** Everything it said. */
  readonly said: string;
}
/** Runs run.ts of the given folder (this one by default) and tells how it ended. */
export const simEnd = (words: readonly string[], script = fileURLToPath(new URL('run.ts', import.meta.url))): Promise<SimEnd> =>
  new Promise((resolve) => {
    execFile('nice', ['-n', '10', process.execPath, script, ...words], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, said: stdout + stderr }),
    );
  });
/** Runs it and fails with what it said when it fails. */
export const runSim = async (...words: readonly string[]): Promise<void> => {
  const { ok, said } = await simEnd(words);
  assert.ok(ok, said);
  console.log(said.trimEnd());
};
