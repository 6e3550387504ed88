/** Where a laboratory keeps its things, and the note by which another process finds it again. */
import { z } from 'zod';
import type { LabWorld } from '../world/lab-world.ts';

export interface Place {
  readonly name: string;
  readonly folder: string;
  /** The daemon's API. */
  readonly socket: string;
  readonly config: string;
  readonly rackSpec: string;
  readonly note: string;
  /** What Node compiled, kept for all laboratories of this cache. */
  readonly compiled: string;
}
export const placeOf = (cache: string, name: string): Place => {
  const folder = `${cache}/lab/${name}`;
  return {
    name,
    folder,
    socket: `${folder}/remuda.sock`,
    config: `${folder}/remuda.yaml`,
    rackSpec: `${folder}/rack.json`,
    note: `${folder}/lab.json`,
    compiled: `${cache}/node`,
  };
};

const noteSchema = z.object({ pid: z.number(), startTime: z.number(), api: z.string(), startedAt: z.number() });
/** The process that holds the laboratory up. */
export type Note = z.infer<typeof noteSchema>;
/** That this process is the one. */
export const writeNote = (lab: LabWorld, place: Place, about: Pick<Note, 'api' | 'startedAt'>): Promise<void> => {
  const note: Note = { pid: process.pid, startTime: lab.processes.startTimeOf(process.pid) ?? 0, ...about };
  return lab.files.write(place.note, JSON.stringify(note));
};
/** undefined where no laboratory of that name is up. */
export const readNote = async (lab: LabWorld, place: Place): Promise<Note | undefined> => {
  if ((await lab.files.stat(place.note)) === undefined) return undefined;
  const note = noteSchema.safeParse(JSON.parse(new TextDecoder().decode(await lab.files.read(place.note))));
  return note.success && lab.processes.alive(note.data.pid, note.data.startTime) ? note.data : undefined;
};

/** What `remuda lab rack` tells of each host, one JSON line when all BMCs listen. */
export const rackLine = z.object({
  hosts: z.array(
    z.object({
      name: z.string(),
      mac: z.string(),
      firmware: z.enum(['bios', 'uefi']),
      bmc: z.object({
        protocol: z.enum(['redfish', 'ipmi']),
        url: z.string(),
        username: z.string(),
        password: z.string(),
        fingerprint: z.string().optional(),
      }),
      serialLog: z.string(),
    }),
  ),
});
export type RackLine = z.infer<typeof rackLine>;
export const rackSpec = z.object({
  name: z.string(),
  hosts: z.number(),
  firmware: z.array(z.enum(['bios', 'uefi'])),
  /** What the BMCs speak; Redfish unless said. */
  bmc: z.array(z.enum(['redfish', 'ipmi'])).optional(),
  /** One unless said; of two the second is behind a DHCP relay. */
  subnets: z.union([z.literal(1), z.literal(2)]).optional(),
  folder: z.string(),
  accel: z.enum(['tcg', 'kvm']),
  /** For all hosts, or one after another and the last for the rest; CPUs likewise, one unless said. */
  memoryMiB: z.union([z.number(), z.array(z.number())]),
  cpus: z.union([z.number(), z.array(z.number())]).optional(),
  diskMiB: z.number(),
  foreignDiskMiB: z.number().optional(),
  quirks: z.record(z.string(), z.unknown()).optional(),
});
export type RackSpec = z.infer<typeof rackSpec>;
