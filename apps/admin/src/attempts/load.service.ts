import type { Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type { GetLoadRequest, GetLoadResponse } from '@aloft/idl/aloft/v1/attempts';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { requireScope } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';
import type { AttemptsRepository, TimesRow } from './attempts.repository.js';
import { LoadCurves } from './load-curves.js';

const bounds = { seconds: { usual: 3_600, most: 31 * 86_400 }, parts: { usual: 60, most: 1_000 } };
/** Runs and attempts that are read at most for one answer. */
const most = { runs: 20_000, attempts: 200_000 };
/** Runs whose attempts one statement reads. */
const runsAtOnce = 500;

/** How many attempts ran at once on each backend (S-2). */
export class LoadService {
  constructor(
    private readonly database: Database,
    private readonly attempts: AttemptsRepository,
  ) {}

  async load(request: GetLoadRequest, signal: AbortSignal): Promise<GetLoadResponse> {
    const scope = requireScope({ ...request, name: '' }, 'request');
    const seconds = bounded(request.seconds, 'seconds');
    const parts = bounded(request.parts, 'parts');
    const until = Date.now();
    const since = until - seconds * 1000;
    const curves = new LoadCurves(since, until, parts);
    const runs = await this.attempts.runsSince(this.database, scope, new Date(since), most.runs + 1);
    let attempts = 0;
    for (let at = 0; at < Math.min(runs.length, most.runs) && attempts <= most.attempts; at += runsAtOnce) {
      signal.throwIfAborted();
      const some = runs.slice(at, Math.min(at + runsAtOnce, most.runs));
      const rows = await this.attempts.times(this.database, some, most.attempts + 1 - attempts);
      for (const row of rows) curves.add(ranOf(row, until));
      attempts += rows.length;
    }
    return {
      since: timestampOf(new Date(since)),
      partSeconds: seconds / parts,
      backends: curves.answer(),
      attempts,
      isPartial: runs.length > most.runs || attempts > most.attempts,
    };
  }
}

function bounded(asked: number, what: keyof typeof bounds): number {
  const { usual, most } = bounds[what];
  if (asked > most) throw invalidArgument(`${what}: ${asked} is more than ${most}, which is the most`);
  return asked || usual;
}

function ranOf(row: TimesRow, now: number) {
  const usage = row.usage ? TaskUsage.decode(row.usage) : undefined;
  const from = row.startedAt.getTime();
  const to = row.durationMs === null ? (row.isOver ? from : now) : from + row.durationMs;
  const seconds = (to - from) / 1000;
  const width = usage?.itemSeconds && seconds > 0 ? usage.itemSeconds / seconds : 1;
  return { backend: row.route ? Route.decode(row.route).backend : '', from, to: row.isOver ? to : Infinity, width };
}
