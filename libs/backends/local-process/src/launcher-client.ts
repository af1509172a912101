import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import { readJsonLines } from './launcher/line-channel.js';
import type { ExitRecord, LauncherEvent, LauncherRequest, LauncherSettings, LaunchSpec } from './launcher/protocol.js';

/** dist, also when this file runs from source in Jest: the launcher is a plain process. */
const script = fileURLToPath(new URL('../dist/launcher/main.js', import.meta.url));

export interface AttemptListener {
  started(pid: number, startedAt: Date): void;
  ended(exit: ExitRecord): void;
  failed(failure: { code: string; message: string; user: boolean }): void;
}

/**
 * The platform's side of the launcher: starts it, starts it again if it dies (its attempts go on, and are found by the new
 * one), and tells each attempt's listener what becomes of it. Costs the event loop one line a request.
 */
export class LauncherClient {
  private child: ChildProcess | undefined;
  private readonly listeners = new Map<string, AttemptListener>();
  /** Under way: attempts that may be heard of before the launcher has answered for all. */
  private readonly adoptions = new Set<{
    wanted: ReadonlySet<string>;
    listenerOf: (id: string) => AttemptListener | undefined;
  }>();
  private readonly events = new EventEmitter();
  private stopped = false;
  private restarts = 0;
  private restartTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly settings: LauncherSettings,
    private readonly logger: Logger,
  ) {
    this.events.setMaxListeners(0);
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async start(): Promise<void> {
    await this.spawn();
  }

  /** Starts an attempt or finds it; what becomes of it goes to the listener. */
  launch(spec: LaunchSpec, listener: AttemptListener): void {
    this.listeners.set(spec.id, listener);
    this.send({ do: 'launch', spec });
  }

  /**
   * Resolves to the ids that never began. `listenerOf` is asked for those that did, with the first word of them. `exclusive`: all others
   * that are found are ended.
   */
  async adopt(
    ids: readonly string[],
    listenerOf: (id: string) => AttemptListener | undefined,
    exclusive: boolean,
  ): Promise<string[]> {
    const wanted = new Set(ids);
    const adoption = { wanted, listenerOf };
    this.adoptions.add(adoption);
    try {
      const answer = this.next('adopted', () => true);
      this.send({ do: 'adopt', ids: [...ids], exclusive });
      const { absent, found } = await answer;
      for (const id of absent) this.listeners.delete(id);
      for (const id of found) this.listenerOf(id);
      return absent;
    } finally {
      this.adoptions.delete(adoption);
    }
  }

  private listenerOf(id: string): AttemptListener | undefined {
    const known = this.listeners.get(id);
    if (known) return known;
    for (const { wanted, listenerOf } of this.adoptions) {
      const listener = wanted.has(id) ? listenerOf(id) : undefined;
      if (listener) this.listeners.set(id, listener);
      if (listener) return listener;
    }
    return undefined;
  }

  /** Resolves when nothing of the attempt runs. */
  async kill(id: string, why: string): Promise<void> {
    const answer = this.next('killed', (event) => event.id === id);
    this.send({ do: 'kill', id, why });
    await answer;
  }

  /** The host's lease lasts until then. */
  holdUntil(until: number): void {
    this.settings.leaseUntil = until;
    this.send({ do: 'lease', until });
  }

  forget(ids: string[]): void {
    for (const id of ids) this.listeners.delete(id);
    this.send({ do: 'forget', ids });
  }

  warm(what: { python?: string; node?: boolean }): void {
    this.send({ do: 'warm', ...what });
  }

  /** Ends the launcher; attempts go on. One that watches over a lease stays as long as any runs. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.restartTimer);
    const { child } = this;
    this.events.emit('down', unavailable('the launcher of local processes was stopped'));
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise((resolve) => (timer = setTimeout(resolve, stayMs)));
    await (this.settings.leaseUntil === undefined ? gone : Promise.race([gone, enough]));
    clearTimeout(timer);
    child.unref();
    for (const stream of [child.stdout, child.stderr]) stream?.destroy();
  }

  private send(request: LauncherRequest): void {
    const input = this.child?.stdin as Writable | undefined;
    if (!input?.writable) {
      // `respawn` repeats launches and the lease.
      if (request.do !== 'adopt' && request.do !== 'kill') return;
      throw unavailable('the launcher of local processes is being started again');
    }
    input.write(`${JSON.stringify(request)}\n`);
  }

  private next<E extends LauncherEvent['event']>(
    name: E,
    wanted: (event: LauncherEvent & { event: E }) => boolean,
  ): Promise<LauncherEvent & { event: E }> {
    return new Promise((resolve, reject) => {
      const take = (event: LauncherEvent & { event: E }) => {
        if (!wanted(event)) return;
        done();
        resolve(event);
      };
      const fail = (error: Error) => {
        done();
        reject(error);
      };
      const done = () => {
        this.events.off(name, take);
        this.events.off('down', fail);
      };
      this.events.on(name, take);
      this.events.on('down', fail);
    });
  }

  private async spawn(): Promise<void> {
    const child = spawn(process.execPath, [script], {
      // A group of its own: what the terminal sends to the platform's must not reach it.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: withoutNodeOptions(process.env),
    });
    this.child = child;
    child.stdin?.on('error', () => undefined); // Its end is told by 'exit'.
    (child.stderr as Readable).setEncoding('utf8').on('data', (text: string) => this.logger.warn({ text }, 'launcher'));
    const ready = this.next('ready', () => true);
    readJsonLines<LauncherEvent>(child.stdout as Readable, (event) => this.handle(event));
    child.once('exit', (code, by) => this.down(child, `exit ${by ?? code}`));
    child.once('error', (error) => this.down(child, error.message));
    child.stdin?.write(`${JSON.stringify(this.settings)}\n`);
    await ready;
  }

  private handle(event: LauncherEvent): void {
    switch (event.event) {
      case 'started':
        this.restarts = 0;
        this.listenerOf(event.id)?.started(event.pid, new Date(event.startedAt));
        return;
      case 'ended':
        this.listenerOf(event.id)?.ended(event.exit);
        return;
      case 'failed':
        this.listenerOf(event.id)?.failed(event);
        return;
      case 'log':
        this.logger[event.level](event.message);
        return;
      default:
        this.events.emit(event.event, event);
    }
  }

  private down(child: ChildProcess, how: string): void {
    if (child !== this.child) return;
    this.child = undefined;
    this.events.emit('down', unavailable(`the launcher of local processes ended (${how})`));
    if (this.stopped) return;
    const pause = Math.min(10_000, 20 * 2 ** this.restarts++);
    this.logger.error({ how, pause }, 'the launcher ended; it is started again and finds its attempts');
    this.restartTimer = setTimeout(() => void this.respawn(), pause);
  }

  private async respawn(): Promise<void> {
    try {
      await this.spawn();
      const known = new Map(this.listeners);
      const absent = await this.adopt([...known.keys()], (id) => known.get(id), false);
      for (const id of absent) known.get(id)?.failed(interrupted);
    } catch (error) {
      // Another end of it comes with its own 'exit', which plans the next start.
      this.logger.error({ err: error }, 'the launcher could not be started again');
    }
  }
}

/** Its request was on its way to a launcher that died before it began anything: it may be launched again. */
export const interrupted = {
  code: 'LauncherLost',
  message: 'The launcher ended before the attempt began.',
  user: false,
};

/** How long a stop waits for a launcher that may have to stay. */
const stayMs = 2_000;

function withoutNodeOptions({ NODE_OPTIONS: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}
