import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type AttemptContext,
  attemptKey,
  type BackendPlugin,
  type Capacity,
  type HeldAttempt,
  failure,
  failureOf,
  limitsOf,
  outputLink,
  type PhaseReport,
  requestOf,
  timestampOf,
} from '@aloft/backend-kit';
import { AloftError, resourceExhausted, toAloftError, unavailable } from '@aloft/errors';
import { TaskUsage, type LaunchTask, type TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Logger } from '@aloft/telemetry';
import { asRegistered } from './as-registered.js';
import { AttemptFiles } from './attempt-files.js';
import { CodeBundles } from './code-bundle.js';
import { commandLine } from './command-line.js';
import { baseEnvironment, neededBeforeStart, taskEnvironment } from './environment.js';
import { GpuPool } from './gpu-pool.js';
import { StoredInputs, type InputValues } from './stored-inputs.js';
import { isInlineType, runInline } from './inline-types.js';
import { placeInputs, readsInputs } from './inputs.js';
import { AttemptFolder } from './launcher/attempt-folder.js';
import type { ExitRecord, LaunchSpec } from './launcher/protocol.js';
import { type AttemptListener, interrupted, LauncherClient } from './launcher-client.js';
import type { LocalProcessOptions } from './options.js';
import { endOf } from './outcome.js';
import { RawContainer } from './raw-container/raw-container.js';
import type { Starter } from './starter.js';

/** One attempt that this process looks after. */
interface Live {
  readonly id: string;
  readonly launch: LaunchTask;
  readonly context: AttemptContext;
  readonly files: AttemptFiles;
  readonly container: RawContainer | undefined;
  spec?: LaunchSpec;
  aborted: boolean;
  over: boolean;
  /** Its outcome is being read. */
  finishing?: Promise<void>;
  started: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void };
}

/** Runs tasks as processes of this machine: see README.md. */
export class LocalProcessBackend implements BackendPlugin {
  readonly name: string;
  private launcher: LauncherClient | undefined;
  private readonly live = new Map<string, Live>();
  /** Folders of attempts that are not forgotten yet. */
  private readonly ids = new Map<string, string>();
  private leaseUntil: number | undefined;
  private readonly starter: Starter;
  private readonly gpus: GpuPool;
  private readonly bundles: CodeBundles;
  /** Environments that attempts start from; known once the platform's own addresses are. */
  private base: Record<string, string> = {};
  private nodeBase: Record<string, string> = {};

  private readonly storedInputs = new StoredInputs();

  constructor(
    private readonly options: LocalProcessOptions,
    private readonly logger: Logger,
  ) {
    this.starter = options.starter ?? asRegistered(options);
    this.name = this.starter.name;
    this.gpus = new GpuPool(options.capacity.gpuDevices);
    this.bundles = new CodeBundles(options.workDir);
  }

  /** The helper process; attempts outlive it. */
  get launcherPid(): number | undefined {
    return this.launcher?.pid;
  }

  capacity(): Capacity {
    const { cpu, memoryBytes, slots, gpuDevices } = this.options.capacity;
    return { cpu, memoryBytes, slots, gpu: gpuDevices.length };
  }

  taskTypes(): readonly string[] {
    return this.starter.taskTypes;
  }

  refuse(launch: LaunchTask): string | undefined {
    const { template } = launch;
    if (isInlineType(template?.type)) return undefined;
    if (template?.target?.$case === 'k8sPod')
      return `The task's pod template cannot run as a local process: register it with a container, or run it on Kubernetes.`;
    return this.starter.refuse(launch);
  }

  runInline(launch: LaunchTask): PhaseReport | undefined {
    return runInline(launch, (uri) => this.storedInputs.peek(uri));
  }

  async start(): Promise<void> {
    const { options } = this;
    await this.starter.open();
    const bundles = join(options.workDir, 'bundles-node');
    this.base = baseEnvironment(options);
    this.nodeBase = { ...this.base, ALOFT_BUNDLE_DIR: bundles };
    await mkdir(options.workDir, { recursive: true });
    this.launcher = new LauncherClient(
      {
        workDir: options.workDir,
        graceMs: options.graceMs,
        ...(this.leaseUntil === undefined ? {} : { leaseUntil: this.leaseUntil }),
        baseEnv: this.base,
        node: {
          command: [process.execPath, '--enable-source-maps', '--disable-warning=ExperimentalWarning'],
          executor: options.nodeExecutor ?? '',
          keep: options.nodeExecutor === undefined ? 0 : options.warmNode,
          env: this.nodeBase,
          bundles,
          ...(options.nodeModules === undefined ? {} : { modules: options.nodeModules }),
        },
      },
      this.logger,
    );
    await this.launcher.start();
  }

  async stop(): Promise<void> {
    await this.launcher?.stop();
    const error = unavailable(`the backend "${this.name}" was stopped`);
    for (const live of this.live.values()) live.started.reject(error);
  }

  holdUntil(uptimeSeconds: number): void {
    this.leaseUntil = uptimeSeconds;
    this.launcher?.holdUntil(uptimeSeconds);
  }

  private get client(): LauncherClient {
    if (!this.launcher) throw unavailable(`the backend "${this.name}" was not started`);
    return this.launcher;
  }

  async launch(launch: LaunchTask & { attempt?: TaskAttempt }, context: AttemptContext): Promise<void> {
    if (isInlineType(launch.template?.type)) return this.runStored(launch, context);
    const attempt = launch.attempt as TaskAttempt;
    const id = this.remember(attempt, context);
    const known = this.live.get(id);
    if (known) return known.started.promise;
    const live = this.track(id, launch, context);
    try {
      const spec = await this.prepare(live, attempt);
      if (live.aborted) return;
      live.spec = spec;
      this.client.launch(spec, this.listen(live));
    } catch (error) {
      this.drop(live);
      throw storageError(error);
    }
    await live.started.promise;
  }

  /** One that needs no process, but its stored inputs: they are here after the first. */
  private async runStored(launch: LaunchTask, context: AttemptContext): Promise<void> {
    const { value } = launch.inputs ?? {};
    let inputs: InputValues | undefined;
    try {
      if (value?.$case === 'stored') inputs = await this.storedInputs.load(value.value.uri, context.blob);
    } catch (error) {
      throw storageError(error);
    }
    const report = runInline(launch, () => inputs);
    if (report) context.report(report);
  }

  /** What was begun has a folder, whose name ends in what follows from the attempt's key. */
  async begun(attempts: readonly HeldAttempt[]): Promise<string[]> {
    const folders = await readdir(join(this.options.workDir, 'attempts')).catch(nothingThere);
    const marks = new Set(folders.map((folder) => /[0-9a-f]{10}\.\d+(?:\.r\d+)?$/.exec(folder)?.[0]));
    if (marks.size === 0) return [];
    return attempts.flatMap(({ key, generation, losses }) => (marks.has(markOf(key, generation, losses)) ? [key] : []));
  }

  async adopt(
    launches: readonly LaunchTask[],
    contextOf: (attempt: TaskAttempt) => AttemptContext,
    { exclusive }: { exclusive: boolean },
  ): Promise<TaskAttempt[]> {
    const known = new Map<string, { launch: LaunchTask; restarts: number }>();
    for (const launch of launches) {
      const attempt = launch.attempt as TaskAttempt;
      const { restarts } = contextOf(attempt);
      const id = folderName(attempt, restarts);
      this.ids.set(generationKey(attempt), id);
      this.reclaimGpus(id);
      known.set(id, { launch, restarts });
    }
    // Of a hundred thousand attempts that wait, some few were begun.
    const listenerOf = (id: string): AttemptListener | undefined => {
      const launch = known.get(id)?.launch;
      return launch && this.listen(this.track(id, launch, contextOf(launch.attempt as TaskAttempt)));
    };
    const absent = await this.client.adopt([...known.keys()], listenerOf, exclusive);
    for (const id of absent) this.gpus.release(id);
    if (this.options.warmAtStart) this.client.warm({ python: this.options.python, node: true });
    return absent.map((id) => known.get(id)?.launch.attempt as TaskAttempt);
  }

  async abort(attempt: TaskAttempt, reason: string): Promise<void> {
    const id = this.ids.get(generationKey(attempt)) ?? folderName(attempt);
    const live = this.live.get(id);
    if (live) live.aborted = true;
    await this.client.kill(id, reason);
    if (!live) return;
    // Its own last report says what it used.
    await live.finishing;
    // Not even asked of the launcher yet, or told "ended" already: either way nothing of it runs.
    live.started.resolve();
    this.drop(live);
  }

  async forget(attempts: readonly TaskAttempt[]): Promise<void> {
    this.client.forget(attempts.map((attempt) => this.ids.get(generationKey(attempt)) ?? folderName(attempt)));
    for (const attempt of attempts) this.ids.delete(generationKey(attempt));
  }

  private remember(attempt: TaskAttempt, context: AttemptContext): string {
    const id = folderName(attempt, context.restarts);
    this.ids.set(generationKey(attempt), id);
    return id;
  }

  /** Everything that must be there before the process is, in parallel. */
  private async prepare(live: Live, attempt: TaskAttempt): Promise<LaunchSpec> {
    const { id, launch, context, files } = live;
    const { blob } = context;
    const { bundleUri, ...line } = commandLine(launch, files.store);
    const { path: folder, code } = this.folderOf(id);
    const gpus = this.gpus.take(id, requestOf(launch).gpu);
    const { files: secrets, ...task } = taskEnvironment(launch, this.options, { id, folder, gpus });
    const relocated = live.container?.relocated(line.argv, task.env) ?? { argv: line.argv, env: task.env };
    const given = { start: line.start, ...relocated, memoryBytes: limitsOf(launch).memoryBytes };
    const { start, argv, env, memoryBytes } = await this.starter.start(given, launch, folder);
    const [bundle] = await Promise.all([
      bundleUri === undefined ? undefined : this.bundles.locate(bundleUri, blob),
      files.store !== blob
        ? files.place(argv)
        : readsInputs(launch, argv, env)
          ? placeInputs(launch, blob, id)
          : undefined,
      live.container?.place(blob),
      ...secrets.map(async ({ path, text }) => {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text, { mode: 0o600 });
      }),
    ]);
    if (bundle && start !== 'node') env['PYTHONPATH'] = env['PYTHONPATH'] ? `${env['PYTHONPATH']}:${code}` : code;
    const early = neededBeforeStart(env, start === 'node' ? this.nodeBase : this.base);
    if (early !== undefined && start !== 'cold')
      this.logger.debug(
        { attempt: attempt.name, early },
        'a cold start: the task sets what is read when a worker starts',
      );
    const cold = start === 'cold' || (start === 'python' && early !== undefined);
    const timeout = launch.executionTimeout;
    const timeoutMs = timeout && Number(timeout.seconds) * 1000 + Math.round(timeout.nanos / 1e6);
    return {
      id,
      start: cold ? 'cold' : start,
      argv,
      env: cold ? { ...this.base, ...env } : env,
      ...(start === 'python' ? { python: this.options.python } : {}),
      log: files.log,
      ...(bundle && bundleUri ? { bundle: { ...bundle, uri: bundleUri } } : {}),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(timeoutMs ? { timeoutMs } : {}),
      ...(gpus.length > 0 ? { gpus: [...gpus] } : {}),
      ...(start === 'node' && early !== undefined ? { fresh: true } : {}),
    };
  }

  private track(id: string, launch: LaunchTask, context: AttemptContext): Live {
    let settle = { resolve: () => {}, reject: (_: unknown) => {} };
    const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
    promise.catch(() => undefined); // Whoever waits is told; nobody may.
    const { path: folder } = this.folderOf(id);
    const files = new AttemptFiles(launch, context.blob, {
      folder,
      run: context.restarts,
      mayWrite: context.holds,
      onError: (error) =>
        context.logger.warn({ err: error }, 'the output of a running task cannot be followed just now'),
    });
    const container = RawContainer.of(launch, folder);
    const started = { promise, ...settle };
    const live: Live = { id, launch, context, files, container, aborted: false, over: false, started };
    this.live.set(id, live);
    return live;
  }

  private drop(live: Live): void {
    live.over = true;
    if (this.live.get(live.id) === live) this.live.delete(live.id);
    this.gpus.release(live.id);
    void live.files.stop();
  }

  private listen(live: Live): AttemptListener {
    return {
      started: (_pid, at) => {
        if (live.over) return;
        live.started.resolve();
        live.files.started();
        live.context.report({
          phase: TaskExecution_Phase.RUNNING,
          occurredAt: at,
          ...this.told(live),
          usage: TaskUsage.fromPartial({ startedAt: timestampOf(at) }),
        });
      },
      ended: (exit) => {
        if (live.over) return;
        live.over = true;
        live.started.resolve();
        live.finishing = this.finish(live, exit);
      },
      failed: ({ code, message, user }) => {
        if (live.over) return;
        if (code === interrupted.code && live.spec && !live.aborted) {
          this.client.launch(live.spec, this.listen(live));
          return;
        }
        this.drop(live);
        live.started.resolve();
        if (live.aborted) return;
        live.context.report(failure({ code, message, kind: user ? 'USER' : 'SYSTEM', retryable: !user }));
      },
    };
  }

  private async finish(live: Live, exit: ExitRecord): Promise<void> {
    const { launch, context } = live;
    let report: PhaseReport;
    try {
      // Ended because it is another host's soon: its files are nobody's.
      if (exit.killed?.by !== 'lease') {
        await live.container?.collect(exit, context.blob, live.files.store);
        await live.files.upload(exit.killed?.by === 'abort');
      }
      report = await endOf(launch, { store: live.files.store, log: live.files.log, shared: context.blob }, exit);
    } catch (error) {
      const lost = error instanceof AloftError && error.code === 'UNAVAILABLE' && live.files.store !== context.blob;
      report = lost
        ? failure({
            code: 'OutputsNotUploaded',
            message: `The task ended, but its results could not be brought to blob storage: ${error.message}.`,
            kind: 'SYSTEM',
            retryable: true,
          })
        : {
            ...failureOf(error, 'OutputsUnreadable', 'The outcome of the task could not be read'),
            phase: TaskExecution_Phase.RETRYABLE_FAILED,
          };
    }
    const told = this.told(live);
    this.drop(live);
    context.report({ ...report, ...told });
  }

  /** Where it can be watched, and what else there is to say of it. */
  private told(live: Live): Pick<PhaseReport, 'logs' | 'customInfo'> {
    // Of one that was found again it is in its folder.
    const argv = (live.spec ?? this.folderOf(live.id).readSpec())?.argv ?? [];
    const customInfo = this.starter.info(argv);
    return {
      logs: [outputLink(live.launch.attempt as TaskAttempt, this.options.publicUrl()), ...this.starter.links(argv)],
      ...(Object.keys(customInfo).length > 0 ? { customInfo } : {}),
    };
  }

  private folderOf(id: string): AttemptFolder {
    return new AttemptFolder(join(this.options.workDir, 'attempts', id));
  }

  private reclaimGpus(id: string): void {
    if (this.options.capacity.gpuDevices.length === 0) return;
    // No folder, or one cut short: it never started, and gets its devices when it does.
    const spec = this.folderOf(id).readSpec();
    if (spec) this.gpus.reclaim(id, spec.gpus ?? []);
  }
}

/**
 * Folder of an attempt's generation: its derived name for people, and a hash because names are unique per project and
 * domain only (C-162). The generation is part of it: an older one's process never answers for a newer one. So is how often
 * it was begun anew on another host: what an earlier start left here never answers for a later one.
 */
export function folderName(attempt: TaskAttempt, restarts = 0): string {
  const name = attempt.name.replace(/[^\w.-]/g, '_').slice(0, 60);
  return `${name}.${markOf(attemptKey(attempt), attempt.generation, restarts)}`;
}

/** The end of that name. */
function markOf(key: string, generation: number, restarts: number): string {
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 10);
  return `${hash}.${generation}${restarts > 0 ? `.r${restarts}` : ''}`;
}

function nothingThere(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

const generationKey = (attempt: TaskAttempt): string => `${attemptKey(attempt)}#${attempt.generation}`;

/** A full disk is told as such: tried again when there may be room. */
function storageError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof AloftError) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EMFILE')
    return resourceExhausted(`the attempt could not be prepared: ${(error as Error).message}`);
  return toAloftError(error);
}
