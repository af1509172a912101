import { adminWorkload } from '../admin/admin-workload.js';
import { arrayWorkload } from './array.js';
import { graphWorkload } from './graph.js';
import { handoverWorkload } from './handover.js';
import { readModelWorkload } from './read-model.js';
import { recoveryWorkload } from './recovery.js';
import { waitingWorkload } from './waiting.js';

/** How large it is when nobody says; and what it does: rows to print, each when it is known. */
interface ScaleWorkload {
  size: number;
  run(size: number, only: readonly string[]): AsyncIterable<object>;
}

const workloads: Record<string, ScaleWorkload> = {
  graph: { size: 100_000, run: graphWorkload },
  array: { size: 1_000_000, run: arrayWorkload },
  recovery: { size: 100_000, run: recoveryWorkload },
  waiting: { size: 1_000_000, run: waitingWorkload },
  admin: { size: 2_000, run: adminWorkload },
  handover: { size: 10, run: handoverWorkload },
  'read-model': { size: 1_000_000, run: readModelWorkload },
};

/**
 * One of the workloads that ask how far the platform reaches, each on a platform of its own (embedded). `size`: nodes, items, nodes
 * in flight, waiting runs, calls of each rpc, or runs in the read model. `only`: of `admin`, the rpcs that are called; of
 * `read-model`, parts of its queries' names; all, if none is named.
 */
export function scaleWorkload(name: string, size?: number, only: readonly string[] = []): AsyncIterable<object> {
  const workload = workloads[name];
  if (!workload) throw new Error(`--workload is "${name}", must be one of ${Object.keys(workloads).join(', ')}`);
  if (size !== undefined && !(Number.isInteger(size) && size > 0))
    throw new Error('--size must be a whole number above 0');
  return workload.run(size ?? workload.size, only);
}
