/** The mirror of the rack: one RackHost a host, written by us alone; what others change of it is changed back. */
import { limits } from '../../limits.ts';
import type { Reconciler, Result, Tools, Watch } from '../controller.ts';
import { RackView } from '../machine/rack-view.ts';
import { Quiet } from '../machine/show.ts';
import { apiVersionOf, kinds, splitKey } from '../objects.ts';
import type { KubeObject } from '../objects.ts';
import { writerOf } from '../runtime/writer.ts';
import { hostIdLabel, objectNames, rackHostStatusOf } from './rack-host.ts';

const kind = kinds.rackHost;
export const mirrorWatches: readonly Watch[] = [{ kind }];

const plain = (value: unknown): Readonly<Record<string, unknown>> => JSON.parse(JSON.stringify(value)) as Readonly<Record<string, unknown>>;
const objectFor = (name: string, hostId: string): KubeObject => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  metadata: { name, labels: { [hostIdLabel]: hostId } },
});
/** Each key is the name of an object: `/r1-u07`. */
export const mirrorReconcilers = (tools: Tools): readonly Reconciler[] => {
  const { clock } = tools.world;
  const rack = new RackView(tools.metal, clock);
  const quiet = new Quiet(() => clock.now(), limits.kubeMirrorMs);
  const writer = writerOf(tools);
  return [
    {
      kind,
      async reconcile(key): Promise<Result> {
        const { name } = splitKey(key);
        const known = tools.cache.get(kind, key);
        // Hosts are asked for before anything is deleted: a rack that cannot be reached has not forgotten its hosts.
        const host = objectNames(await rack.hosts()).get(name);
        if (host === undefined) {
          quiet.forget(name);
          if (known !== undefined) await tools.api.delete(kind, key, known.metadata.uid === undefined ? {} : { uid: known.metadata.uid });
          return {};
        }
        const leftMs = quiet.leftMs(name);
        if (leftMs > 0) return { requeueAfterMs: leftMs };
        const object = await writer.apply(kind, objectFor(name, host.id));
        const after = plain(rackHostStatusOf(host));
        const written = await writer.setStatus(kind, object, after);
        if (written !== known) quiet.wrote(name);
        return {};
      },
    },
  ];
};
