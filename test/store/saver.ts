/** A child process that saves host h1 without end and says each version once it is saved; somebody kills it. */
import { reasonOf } from '../../src/errors.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { claimOf, complianceLimits, entry } from '../compliance/store.ts';
import { testSealer } from './sealer.ts';

const savesMost = 50_000;
try {
  const store = await openSqliteStore(process.argv[2] ?? '', complianceLimits, { sealer: testSealer });
  let host = await store.host('h1');
  for (let save = 0; save < savesMost && host !== undefined; save += 1) {
    const version = host.version + 1;
    host = await store.save({ ...host, claim: claimOf(`c${version}`) }, [entry('h1', `${version}`)]);
    process.stdout.write(`${version}\n`);
  }
} catch (error) {
  process.stdout.write(`refused: ${reasonOf(error)}\n`);
}
