import { type Launch, outcomeUris, outputLink, type PhaseReport } from '@aloft/backend-kit';
import type { BlobStore } from '@aloft/blob';
import { errorMapping, toAloftError } from '@aloft/errors';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Connection } from './connection.js';
import type { ConnectorJob } from './connector-api.js';
import { usageOfMetrics } from './metrics-usage.js';

export interface ObserverOptions {
  /** Milliseconds between two looks at a job that runs; it is looked at when it ends besides. */
  everyMs: number;
  /** Of a log, in bytes: its end is what is kept. */
  maxLogBytes: number;
  publicUrl: () => string;
}

/** For how long a connector that cannot answer for a task type is not asked about it again. */
const quietMs = 600_000;

/**
 * What a connector tells of a job besides how it is: its log becomes the attempt's output.log, its metrics stand in the custom
 * information as `metrics`, and tell what it used. Few connectors have either: what fails is left out, and no attempt ends by it.
 */
export class Observer {
  private readonly quietUntil = new Map<string, number>();
  private readonly lookedAt = new WeakMap<Launch, number>();
  /** When a job was first seen to run. */
  private readonly since = new WeakMap<Launch, Date>();

  constructor(private readonly options: ObserverOptions) {}

  /** The report with what there is to see. */
  async observed(
    report: PhaseReport,
    { connection, job, launch, blob }: { connection: Connection; job: ConnectorJob; launch: Launch; blob: BlobStore },
  ): Promise<PhaseReport> {
    const before = this.lookedAt.get(launch) ?? -Infinity;
    const runs = report.phase === Phase.RUNNING;
    if (!runs && !ended.has(report.phase)) return report;
    if (runs && !this.since.has(launch)) this.since.set(launch, new Date());
    if (runs && performance.now() - before < this.options.everyMs) return report;
    this.lookedAt.set(launch, performance.now());
    const [metrics, hasLog] = await Promise.all([
      this.unlessQuiet('metrics', connection, job, () => metricsOf(connection, job)),
      this.unlessQuiet('logs', connection, job, () => this.storeLog(connection, job, launch, blob)),
    ]);
    const until = new Date();
    const usage = metrics && !runs ? usageOfMetrics(metrics, { since: this.since.get(launch), until }) : undefined;
    const link = hasLog ? [outputLink(launch.attempt, this.options.publicUrl())] : [];
    return {
      ...report,
      ...(metrics ? { customInfo: { ...report.customInfo, metrics } } : {}),
      ...(usage ? { usage } : {}),
      ...(link.length > 0 ? { logs: [...link, ...(report.logs ?? [])] } : {}),
    };
  }

  private async storeLog(connection: Connection, job: ConnectorJob, launch: Launch, blob: BlobStore): Promise<boolean> {
    const text = await logOf(connection, job, this.options.maxLogBytes);
    if (text === '') return false;
    await blob.put(outcomeUris(launch.outputPrefix).log, Buffer.from(text));
    return true;
  }

  private async unlessQuiet<T>(what: string, connection: Connection, job: ConnectorJob, ask: () => Promise<T>) {
    const key = `${what} ${connection.server.name} ${job.type}@${job.version}`;
    if ((this.quietUntil.get(key) ?? 0) > performance.now()) return undefined;
    try {
      return await ask();
    } catch (error) {
      // What is away may be back the next time; whoever has no answer will not have one.
      if (errorMapping[toAloftError(error).code].bus !== 'retry') this.quietUntil.set(key, performance.now() + quietMs);
      return undefined;
    }
  }
}

const ended: ReadonlySet<Phase> = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.RETRYABLE_FAILED, Phase.ABORTED]);

const named = (job: ConnectorJob) => ({
  taskType: job.type,
  taskCategory: { name: job.type, version: job.version },
  resourceMeta: Buffer.from(job.meta),
});

/** By name; `undefined` where there are none. */
async function metricsOf(connection: Connection, job: ConnectorJob): Promise<Record<string, unknown> | undefined> {
  const { results } = await connection.tasks.getTaskMetrics(
    { ...named(job), queries: [], startTime: undefined, endTime: undefined, step: undefined },
    { deadlineMs: connection.server.timeoutsMs.get },
  );
  const metrics = results.map(({ metric, data }) => [metric, data ?? {}]);
  return metrics.length === 0 ? undefined : (Object.fromEntries(metrics) as Record<string, unknown>);
}

/** All pages of a log, of which the last bytes are kept. */
async function logOf(connection: Connection, job: ConnectorJob, maxBytes: number): Promise<string> {
  let text = '';
  let token = '';
  const seen = new Set<string>();
  do {
    seen.add(token);
    const pages = connection.tasks.getTaskLogs(
      { ...named(job), lines: 0n, token },
      { deadlineMs: connection.server.timeoutsMs.get },
    );
    token = '';
    for await (const { part } of pages) {
      if (part?.$case === 'header') token = part.value.token;
      if (part?.$case !== 'body') continue;
      const { structuredLines, results } = part.value;
      const lines = structuredLines.length > 0 ? structuredLines.map(({ message }) => message) : results;
      text = `${text}${lines.map(terminated).join('')}`.slice(-maxBytes);
    }
    // A token that comes again would be asked for without end.
  } while (token !== '' && !seen.has(token));
  return text;
}

/** Lines come with their ends; older connectors leave them out. */
const terminated = (line: string) => (/[\r\n]$/.test(line) ? line : `${line}\n`);
