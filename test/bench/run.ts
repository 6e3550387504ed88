/** `npm run bench -- NAME [--runs N] [--json] …`: measures, prints a table or one JSON object a line. */
import { parseArgs } from 'node:util';
import { capi } from './capi.ts';
import { imageKinds, provision } from './provision.ts';
import { rack } from './rack.ts';
import { table } from './row.ts';

const usage = `npm run bench -- provision [--runs N] [--hosts 1,4] [--firmware bios,uefi] [--image ${imageKinds.join(',')}] [--json]
npm run bench -- rack [--hosts 1000] [--json]
npm run bench -- capi [--hosts 300] [--json]`;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    hosts: { type: 'string' },
    firmware: { type: 'string', default: 'bios,uefi' },
    image: { type: 'string', default: 'tiny' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const [name] = positionals;
const firmware = values.firmware.split(',').filter((kind) => kind === 'bios' || kind === 'uefi');
const images = imageKinds.filter((kind) => values.image.split(',').includes(kind));
const usualHosts: Readonly<Record<string, string>> = { rack: '1000', capi: '300' };
const hosts = (values.hosts ?? usualHosts[name ?? ''] ?? '1,4').split(',').map(Number);
const runs = Number(values.runs);
const isWrong =
  positionals.length !== 1 ||
  firmware.length === 0 ||
  images.length !== values.image.split(',').length ||
  !hosts.every((count) => Number.isInteger(count) && count > 0) ||
  !(runs >= 1);
const benches: Readonly<Record<string, () => ReturnType<typeof provision>>> = {
  provision: () => provision({ runs, hosts, firmware, images, say }),
  rack: async () => {
    const rows: Awaited<ReturnType<typeof rack>>[number][] = [];
    for (const count of hosts) rows.push(...(await rack({ hosts: count, say })));
    return rows;
  },
  capi: async () => {
    const rows: Awaited<ReturnType<typeof capi>>[number][] = [];
    for (const count of hosts) rows.push(...(await capi({ hosts: count, say })));
    return rows;
  },
};
const bench = name === undefined ? undefined : benches[name];
if (values.help || isWrong || bench === undefined) {
  console.error(usage);
  process.exit(values.help ? 0 : 2);
}
const rows = await bench();
if (values.json) for (const row of rows) console.log(JSON.stringify(row));
else console.log(table(rows));
