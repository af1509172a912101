import { createHash, randomUUID } from 'node:crypto';
import { envelope, executionKey, type Bus, type PostgresBus } from '@aloft/bus';
import { testBus, type TestBus } from '@aloft/bus/testing';
import { temporaryBlobStore } from '@aloft/blob/testing';
import type { Database } from '@aloft/database';
import {
  ExecutionCommand,
  ExecutionEvents,
  type ExecutionSettings,
  StartExecution,
  type ExecutionEvent,
} from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase, type NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { createLogger, type Logger } from '@aloft/telemetry';
import type { Probe } from '../commit/writer.js';
import { propellerConfigSchema, type PropellerConfig } from '../config.js';
import { propellerMigrations } from '../migrations.js';
import { Propeller, type PropellerDeps } from '../propeller.js';
import type { AdminClient } from '../requests/child-requests.js';
import type { CatalogClient } from '../requests/catalog-requests.js';

const terminal: ReadonlySet<Phase> = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.TIMED_OUT]);

export interface StartedRun {
  uid: string;
  name: string;
  key: string;
}

export interface StartOptions {
  name?: string;
  uid?: string;
  inputs?: Record<string, Literal>;
  settings?: Parameters<typeof ExecutionSettings.fromPartial>[0];
  start?: Parameters<typeof StartExecution.fromPartial>[0];
}

/** Follows `executions.events` like the projection: every event once, in order of sequence, or it says so. */
export class EventLog {
  readonly byRun = new Map<string, ExecutionEvent[]>();
  readonly problems: string[] = [];
  private readonly seen = new Map<string, { sequence: bigint; phase: Phase }>();
  private waiters: (() => void)[] = [];
  private readonly readers;

  constructor(bus: Bus) {
    this.readers = Array.from({ length: bus.partitions('executions.events') }, (_, partition) =>
      bus.read({ topic: 'executions.events', partition }, 0n),
    );
    for (const reader of this.readers) {
      void (async () => {
        for (let batch = await reader.next(1000); batch; batch = await reader.next(1000)) {
          for (const { envelope: message } of batch.messages) this.take(message.executionUid, message.payload);
          batch.acknowledge();
        }
      })();
    }
  }

  of(uid: string): ExecutionEvent[] {
    return this.byRun.get(uid) ?? [];
  }

  phase(uid: string): Phase {
    return this.seen.get(uid)?.phase ?? Phase.UNDEFINED;
  }

  /** Outputs or error of the run's end. */
  result(uid: string) {
    const ends = this.of(uid).flatMap(({ event }) =>
      event?.$case === 'workflow' && terminal.has(event.value.phase) ? [event.value.outputResult] : [],
    );
    return ends[ends.length - 1];
  }

  nodePhases(uid: string, nodeId: string): NodeExecution_Phase[] {
    return this.of(uid).flatMap(({ event }) =>
      event?.$case === 'node' && event.value.id?.nodeId === nodeId ? [event.value.phase] : [],
    );
  }

  async until(ready: () => boolean): Promise<void> {
    while (!ready()) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  async ended(uid: string): Promise<Phase> {
    await this.until(() => terminal.has(this.phase(uid)));
    return this.phase(uid);
  }

  async close(): Promise<void> {
    await Promise.all(this.readers.map((reader) => reader.close()));
  }

  private take(uid: string, payload: Uint8Array): void {
    const events = this.byRun.get(uid) ?? [];
    this.byRun.set(uid, events);
    const seen = this.seen.get(uid) ?? { sequence: 0n, phase: Phase.UNDEFINED };
    this.seen.set(uid, seen);
    for (const event of ExecutionEvents.decode(payload).events) {
      if (event.sequence !== 0n && event.sequence !== seen.sequence + 1n) {
        this.problems.push(`run ${uid}: event ${event.sequence} came where ${seen.sequence + 1n} was due`);
      }
      if (event.sequence !== 0n) seen.sequence = event.sequence;
      if (event.event?.$case === 'workflow') {
        const { phase } = event.event.value;
        if (terminal.has(phase) && terminal.has(seen.phase)) this.problems.push(`run ${uid}: ended twice`);
        seen.phase = phase;
      }
      events.push(event);
    }
    const { waiters } = this;
    this.waiters = [];
    for (const waiter of waiters) waiter();
  }
}

/** What a rig stands on: {@link testBus}'s database by default. */
export type Installation = Pick<TestBus, 'database' | 'url' | 'bus' | 'open' | 'openBus' | 'drop'>;

export interface RigOptions {
  /** Benchmarks bring a database that syncs; the tests' own does not. */
  installation?: Installation;
  partitions?: number;
  config?: Record<string, unknown>;
  /** Deadlines of long tests: files are not synced unless asked for. */
  durableBlob?: boolean;
}

/** An installation of bus, database and blob folder, to start (and kill) propellers on. */
export class Rig {
  readonly logger: Logger = createLogger('propeller-test', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
  readonly config: PropellerConfig;
  readonly events: EventLog;
  catalog: CatalogClient | undefined;
  admin: AdminClient | undefined;
  private readonly propellers = new Set<Propeller>();
  private readonly closers: (() => Promise<unknown> | void)[] = [];

  private constructor(
    private readonly test: Installation,
    readonly blob: ReturnType<typeof temporaryBlobStore>,
    options: RigOptions,
  ) {
    this.config = propellerConfigSchema.parse({ leaseMs: 2000, ...options.config });
    this.events = new EventLog(test.bus);
  }

  static async open(options: RigOptions = {}): Promise<Rig> {
    const test =
      options.installation ??
      (await testBus({ schema: 'propeller', migrations: propellerMigrations, partitions: options.partitions ?? 1 }));
    return new Rig(test, temporaryBlobStore({ durable: options.durableBlob ?? false }), options);
  }

  get bus(): PostgresBus {
    return this.test.bus;
  }

  get database(): Database {
    return this.test.database;
  }

  get url(): string {
    return this.test.url;
  }

  openBus(): PostgresBus {
    return this.test.openBus();
  }

  openDatabase(): Database {
    return this.test.open('propeller');
  }

  /** Also closed by `close`. */
  onClose(closer: () => Promise<unknown> | void): void {
    this.closers.push(closer);
  }

  /** A propeller as another process would have it: its own connections; not started yet. */
  propeller(
    options: { probe?: Probe; bus?: Bus; database?: Database; now?: () => number; deps?: Partial<PropellerDeps> } = {},
  ): Propeller {
    const propeller = new Propeller({
      database: options.database ?? this.openDatabase(),
      bus: options.bus ?? this.bus,
      blob: this.blob.store,
      catalog: () => this.catalog ?? fail('no catalog in this test'),
      admin: () => this.admin ?? fail('no admin in this test'),
      config: this.config,
      logger: this.logger,
      probe: options.probe,
      now: options.now,
      ...options.deps,
    });
    this.propellers.add(propeller);
    return propeller;
  }

  async started(options: Parameters<Rig['propeller']>[0] = {}): Promise<Propeller> {
    const propeller = this.propeller(options);
    await propeller.start();
    return propeller;
  }

  async closure(bytes: Uint8Array): Promise<{ uri: string; digest: Buffer }> {
    const digest = createHash('sha256').update(bytes).digest();
    const uri = `s3://aloft/metadata/closures/${digest.toString('hex')}.pb`;
    await this.blob.store.put(uri, bytes);
    return { uri, digest };
  }

  /** Starts a run of an encoded closure, by a command on the bus. */
  async start(closure: Uint8Array, options: StartOptions = {}): Promise<StartedRun> {
    const { uri, digest } = await this.closure(closure);
    const run = this.startCommand(uri, digest, options);
    await this.database.transaction((tx) => this.bus.publish(tx, [run.message]));
    return run;
  }

  startCommand(closureUri: string, closureDigest: Buffer, options: StartOptions = {}) {
    const uid = options.uid ?? randomUUID();
    const name = options.name ?? `a${uid.replace(/-/g, '').slice(0, 12)}`;
    const id = { org: '', project: 'flytesnacks', domain: 'development', name };
    const start = StartExecution.fromPartial({
      id,
      uid,
      closureUri,
      closureDigest,
      workflow: { project: 'flytesnacks', domain: 'development', name: 'wf', version: 'v1' },
      inputs: { value: { $case: 'inline', value: { literals: options.inputs ?? {} } } },
      settings: { rawOutputPrefix: 's3://aloft/raw', principal: 'tester', ...options.settings },
      ...options.start,
    });
    return { uid, name, key: executionKey(id), message: this.command({ $case: 'start', value: start }, { uid, id }) };
  }

  command(command: NonNullable<ExecutionCommand['command']>, run: { uid: string; id: WorkflowExecutionIdentifier }) {
    const payload = ExecutionCommand.encode({ command }).finish();
    return {
      topic: 'executions.commands',
      envelope: envelope({
        id: `${command.$case}-${run.uid}-${randomUUID()}`,
        type: 'aloft.v1.ExecutionCommand',
        execution: run.id,
        executionUid: run.uid,
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        principal: 'tester',
        payload,
      }),
    };
  }

  async send(run: StartedRun, command: NonNullable<ExecutionCommand['command']>): Promise<void> {
    const id = { org: '', project: 'flytesnacks', domain: 'development', name: run.name };
    await this.database.transaction((tx) => this.bus.publish(tx, [this.command(command, { uid: run.uid, id })]));
  }

  async rows<T extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.database.query<T>(sql, values)).rows;
  }

  async close(): Promise<void> {
    for (const propeller of this.propellers) await propeller.stop();
    for (const closer of this.closers) await closer();
    await this.events.close();
    await this.test.drop();
    this.blob.close();
  }
}

function fail(message: string): never {
  throw new Error(message);
}
