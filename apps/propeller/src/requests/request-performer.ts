import { setMaxListeners } from 'node:events';
import type { AbortChildEffect, ReleaseReservation, Request } from '@aloft/engine';
import { toAloftError } from '@aloft/errors';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { isRecorded, runFields, spanFrom, withTrace, type Logger } from '@aloft/telemetry';
import type { CommitBatch } from '../commit/batch.js';
import type { PropellerMetrics } from '../metrics.js';
import type { RunEntry } from '../runs/run-entry.js';
import type { ChildAbort } from '../runs/runs.repository.js';
import type { Timing } from '../runs/timing.js';
import { nodeTrace } from '../trace/run-trace.js';
import { failedAnswer, RequestFailed, systemFault, type Answer } from './answers.js';
import type { CatalogRequests } from './catalog-requests.js';
import type { ChildRequests } from './child-requests.js';
import type { DynamicRequests } from './dynamic-requests.js';
import type { HeldReservations } from './held-reservations.js';
import { Limiter } from './limiter.js';
import type { LiteralRequests } from './literal-requests.js';
import type { RecoveryRequests } from './recovery-requests.js';
import { storagePolicy, withRetries } from './retry.js';

/** Does the work of a request such that its calls are part of a trace. */
export type InTrace = typeof withTrace;

export interface RequestPerformerOptions {
  catalog: CatalogRequests;
  children: ChildRequests;
  dynamics: DynamicRequests;
  literals: LiteralRequests;
  recovery: RecoveryRequests;
  reservations: HeldReservations;
  /** A child was told to stop: the row that remembers it goes. */
  childAborted(abort: { uid: string; child: string }): Promise<void>;
  partitionOf(shard: number): number;
  metrics: PropellerMetrics;
  logger: Logger;
  now(): number;
  timing: Timing;
  probe?: (point: string) => Promise<void> | void;
  /** Default: {@link withTrace}. */
  inTrace?: InTrace;
  /** Requests performed at once: to the catalog, to admin, to blob storage. */
  concurrency: { catalog: number; admin: number; blob: number };
}

/**
 * Performs what runs ask for, bounded, and repeats what fails for a passing reason. Everything here is harmless when done twice,
 * so what was not answered before a crash is simply done again.
 */
export class RequestPerformer {
  private readonly catalogCalls: Limiter;
  private readonly adminCalls: Limiter;
  private readonly blobCalls: Limiter;
  private readonly stopping = new AbortController();

  constructor(
    private readonly options: RequestPerformerOptions,
    private readonly answered: (entry: RunEntry, request: bigint, answer: RequestAnswered['answer']) => void,
  ) {
    this.catalogCalls = new Limiter(options.concurrency.catalog);
    this.adminCalls = new Limiter(options.concurrency.admin);
    this.blobCalls = new Limiter(options.concurrency.blob);
    // Each request that waits listens; the limiters bound how many do.
    setMaxListeners(0, this.stopping.signal);
  }

  perform(entry: RunEntry, { request, ask }: Request): void {
    const end = this.options.metrics.requestTime.startTimer({ kind: ask.kind });
    this.tracedAnswerTo(entry, ask)
      .catch((thrown: unknown) => this.failure(entry, ask, thrown))
      .then(async (answer) => {
        end();
        await this.options.probe?.('before-answer');
        if (!this.stopping.signal.aborted) this.answered(entry, request, answer);
      })
      .catch((error: unknown) => {
        if (!this.stopping.signal.aborted)
          this.options.logger.error({ err: error, ...fieldsOf(entry, ask) }, 'answer was lost');
      });
  }

  mayStartEarly(ask: Request['ask']): boolean {
    return (
      ask.kind === 'load' || ask.kind === 'recovered-node' || (ask.kind === 'cache-lookup' && ask.reserve === false)
    );
  }

  abortChild(entry: RunEntry, { child, cause }: AbortChildEffect): void {
    this.stopChild({ uid: entry.uid, child, cause });
  }

  /** Told to stop in an earlier life of this process, or by an owner before it. */
  resumeChildAborts(aborts: readonly ChildAbort[]): void {
    for (const abort of aborts) this.stopChild(abort);
  }

  reservationOver(effect: ReleaseReservation): void {
    this.options.catalog.over(effect.attempt);
  }

  releaseReservation(_entry: RunEntry, effect: ReleaseReservation): void {
    void this.catalogCalls.run(() => this.options.catalog.release(effect, this.stopping.signal));
  }

  takeReservations(batch: CommitBatch): void {
    if (this.options.reservations.dirty) this.options.reservations.take(batch, this.options.partitionOf);
  }

  resume(rows: Parameters<HeldReservations['resume']>[0]): void {
    this.options.reservations.resume(rows);
  }

  forget(uid: string): void {
    this.options.reservations.forget(uid);
  }

  drop(partition: number): void {
    this.options.reservations.drop((shard) => this.options.partitionOf(shard) === partition);
  }

  stop(): void {
    this.stopping.abort();
    this.options.reservations.stop();
  }

  private stopChild({ uid, child, cause }: Omit<ChildAbort, 'shard'>): void {
    const { signal } = this.stopping;
    const { children, childAborted, timing } = this.options;
    this.adminCalls
      .run(() => children.abort(child, cause, signal))
      // Else its row would stay until the next owner stops the child once more.
      .then(() => withRetries(() => childAborted({ uid, child: child.name }), storagePolicy, signal, timing))
      .catch((error: unknown) => {
        if (!signal.aborted) this.options.logger.error({ err: error, child: child.name }, 'child could not be stopped');
      });
  }

  /**
   * In the context of the node that asks. Its span is told whatever becomes of this process, so that what is called has a parent; the
   * time that the request took is a leaf beside.
   */
  private tracedAnswerTo(entry: RunEntry, ask: Request['ask']): Promise<Answer> {
    const { trace } = entry.identity!;
    const { inTrace = withTrace } = this.options;
    if (!isRecorded(trace)) return inTrace(trace, () => this.answerTo(entry, ask));
    const node = nodeOf(ask);
    const parent = node === undefined ? trace : nodeTrace(entry.identity!, node);
    const span = spanFrom(parent, `request ${ask.kind}`, { 'aloft.node': node }, { scope: 'aloft.propeller' });
    return inTrace(parent, () => this.answerTo(entry, ask)).then(
      (answer) => {
        span.end();
        return answer;
      },
      (error: unknown) => {
        span.fail(error);
        span.end();
        throw error;
      },
    );
  }

  private answerTo(entry: RunEntry, ask: Request['ask']): Promise<Answer> {
    const { catalog, children, dynamics, literals, recovery } = this.options;
    const { signal } = this.stopping;
    const identity = entry.identity!;
    const run = { uid: entry.uid, shard: identity.shard };
    const stored = <T>(work: () => Promise<T>) =>
      this.blobCalls.run(() => withRetries(work, storagePolicy, signal, this.options.timing));
    switch (ask.kind) {
      case 'cache-lookup':
        return this.catalogCalls.run(() => catalog.lookUp(ask, run, signal));
      case 'cache-store':
        return this.catalogCalls.run(() => catalog.store(ask, signal));
      case 'start-child':
        return this.adminCalls.run(() => children.start(ask, identity.id, signal));
      case 'resolve-graph':
        return stored(() => dynamics.resolve(ask));
      case 'load':
        return stored(() => literals.load(ask));
      case 'store':
        return stored(() => literals.store(ask));
      case 'recovered-node':
        return stored(() => recovery.lookUp(ask, identity.id));
      case 'recall-outputs':
        return stored(() => recovery.recall(ask, { uid: entry.uid, id: identity.id }));
    }
  }

  private failure(entry: RunEntry, ask: Request['ask'], thrown: unknown): Answer {
    if (this.stopping.signal.aborted) throw thrown;
    const error = toAloftError(thrown);
    this.options.logger.warn({ err: error, ...fieldsOf(entry, ask), request: ask.kind }, 'request failed');
    const failure = thrown instanceof RequestFailed ? thrown : systemFault(error.code, error);
    return failedAnswer(failure, this.options.now());
  }
}

/** Unique id of the node that asks, where one does. */
function nodeOf(ask: Request['ask']): string | undefined {
  if (ask.kind === 'cache-lookup' || ask.kind === 'cache-store') return ask.attempt.nodeId;
  return ask.kind === 'start-child' ? ask.nodeId : undefined;
}

function fieldsOf(entry: RunEntry, ask: Request['ask']) {
  const attempt = ask.kind === 'cache-lookup' || ask.kind === 'cache-store' ? ask.attempt : { nodeId: nodeOf(ask) };
  return runFields(entry.identity?.id, entry.uid, attempt);
}
