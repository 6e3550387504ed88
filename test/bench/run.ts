/** `npm run bench -- NAME [--runs N] [--json] …`: measures, prints a table or one JSON object a line. */
import { parseArgs } from 'node:util';
import { provision } from './provision.ts';
import { table } from './row.ts';

const usage = 'npm run bench -- provision [--runs N] [--hosts 1,4] [--firmware bios,uefi] [--json]';
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    hosts: { type: 'string', default: '1,4' },
    firmware: { type: 'string', default: 'bios,uefi' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const [name] = positionals;
const firmware = values.firmware.split(',').filter((kind) => kind === 'bios' || kind === 'uefi');
const hosts = values.hosts.split(',').map(Number);
const wrong =
  name !== 'provision' ||
  firmware.length === 0 ||
  !hosts.every((count) => Number.isInteger(count) && count > 0) ||
  !(Number(values.runs) >= 1);
if (values.help || wrong) {
  console.error(usage);
  process.exit(values.help ? 0 : 2);
}
const rows = await provision({ runs: Number(values.runs), hosts, firmware, say: (line) => process.stderr.write(`${line}\n`) });
if (values.json) for (const row of rows) console.log(JSON.stringify(row));
else console.log(table(rows));
