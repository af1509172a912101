import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ManagedProcess } from '../processes/managed-process.js';
import { lineInLog } from '../processes/ready.js';
import { type Action, type Exchange, HttpProxy } from '../proxy/http-proxy.js';
import { TcpProxy } from '../proxy/tcp-proxy.js';
import type { Errand, Part } from './part.js';
import type { Plant } from './plants.js';
import type { Weather } from './weather.js';

/** What a host's process is told (see host-main.ts). */
export interface HostSettings {
  url: string;
  dataDir: string;
  blobDir: string;
  shared: boolean;
  backends: Record<string, unknown>;
}

/** Streams of the bus: so many that hosts beside each other have some of them each. */
export const partitions = 4;

/** Where in the life of an attempt its host is killed, in the order in which they come. */
export const steps = [
  /** Its command is on the bus; perhaps its row is written. */
  'told',
  /** It is about to be submitted. */
  'submitting',
  /** It is submitted; nobody was answered. */
  'submitted',
  /** The answer is there, and cannot be written down. */
  'recording',
  /** The answer was written down, or is being so. */
  'recorded',
  /** Its end was heard, and not told yet. */
  'ended',
  /** What it left (or what is aborted) is about to be deleted. */
  'deleting',
  'deleted',
] as const;
export type Step = (typeof steps)[number];

/** Any will do. */
const account = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', NODE_NO_WARNINGS: '1' };

interface Trap {
  step: Step;
  /** Milliseconds that the kill comes later, where the step lasts. */
  afterMs: number;
  sprung: () => void;
}

export interface HostOptions {
  name: string;
  folder: string;
  postgres: { host: string; port: number; url: string };
  blobDir: string;
  shared: boolean;
  part: Part;
  weather: Weather;
  plant?: Plant | undefined;
  onUnexpectedEnd: (how: string) => void;
}

/** A host's process, its own way to the backend's API and its own line to Postgres; it can be killed at any step of an attempt. */
export class Host {
  private trap: Trap | undefined;
  /** One thing at a time happens to a host. */
  busy = false;

  private constructor(
    readonly name: string,
    readonly process: ManagedProcess,
    readonly api: HttpProxy,
    readonly line: TcpProxy,
  ) {}

  static async make(options: HostOptions): Promise<Host> {
    const { name, postgres, blobDir, shared, part, weather, plant } = options;
    const folder = join(options.folder, name);
    mkdirSync(folder, { recursive: true });
    const line = await TcpProxy.listen({ host: postgres.host, port: postgres.port });
    const api = await HttpProxy.listen({
      upstream: part.upstream,
      isStream: (exchange) => part.errandOf(exchange) === 'watch',
      decide: (exchange) => host.decide(exchange, part, weather, plant),
      answered: (exchange) => {
        part.answered(exchange);
        host.answered(exchange, part);
      },
      streamed: (piece) => host.heard(piece, part),
    });
    const url = new URL(postgres.url);
    url.host = `${line.address.host}:${line.address.port}`;
    const settings: HostSettings = {
      url: url.href,
      dataDir: folder,
      blobDir,
      shared,
      backends: { leaseMs: 6_000, drainMs: 1_000, local: { enabled: false }, ...part.config(api.url, folder) },
    };
    const file = join(folder, 'settings.json');
    writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
    const log = join(options.folder, `${name}.log`);
    const process_ = new ManagedProcess({
      name,
      command: process.execPath,
      args: [join(import.meta.dirname, 'host-main.js'), file],
      env: { ...process.env, ...account, NODE_OPTIONS: '' },
      log,
      ready: lineInLog(log, /^ready$/m, 120_000),
      onUnexpectedEnd: options.onUnexpectedEnd,
    });
    const host = new Host(name, process_, api, line);
    return host;
  }

  get log(): string {
    return this.process.settings.log;
  }

  /** Dies at the next such step; resolves to whether there was one before `withinMs` (else it dies there and then). */
  async dieAt(step: Step, afterMs: number, withinMs: number): Promise<boolean> {
    let late: NodeJS.Timeout | undefined;
    const came = await new Promise<boolean>((resolve) => {
      late = setTimeout(() => resolve(false), withinMs);
      this.trap = { step, afterMs, sprung: () => resolve(true) };
    });
    clearTimeout(late);
    this.trap = undefined;
    await this.process.kill();
    return came;
  }

  /** Commands were published. */
  told(): void {
    void this.spring('told');
  }

  async close(): Promise<string[]> {
    this.line.heal();
    const how = await this.process.end(30_000);
    await this.api.close();
    await this.line.close();
    return how === 'had to be killed' ? [`${this.name} did not stop within 30 s of SIGTERM`] : [];
  }

  private async decide(exchange: Exchange, part: Part, weather: Weather, plant: Plant | undefined): Promise<Action> {
    const errand = part.errandOf(exchange);
    if (errand === 'submit') {
      if (await this.spring('submitting')) return { kind: 'cut' };
      if (await this.spring('submitted')) return { kind: 'lose' };
    }
    if (errand === 'end') {
      if (await this.spring('deleting')) return { kind: 'cut' };
      if (await this.spring('deleted')) return { kind: 'lose' };
    }
    return plant?.(exchange, errand) ?? weather.actionFor(errand, part);
  }

  private answered(exchange: Exchange, part: Part): void {
    const errand: Errand = part.errandOf(exchange);
    const well = exchange.status !== undefined && exchange.status < 300;
    if (errand === 'submit' && well) {
      if (this.trap?.step === 'recording') this.line.set({ kind: 'blackhole' });
      void this.spring('recording');
      void this.spring('recorded');
    } else if (errand === 'look' && exchange.answer) this.heard(exchange.answer, part);
  }

  private heard(bytes: Buffer, part: Part): void {
    if (this.trap?.step === 'ended' && part.tellsOfEnd(bytes)) void this.spring('ended');
  }

  /** Whether that is where it was to die: it is dead when this resolves, but for steps that last. */
  private async spring(step: Step): Promise<boolean> {
    const { trap } = this;
    if (trap?.step !== step) return false;
    this.trap = undefined;
    if (lasting.has(step)) await delay(trap.afterMs);
    await this.process.kill();
    trap.sprung();
    return true;
  }
}

const lasting: ReadonlySet<Step> = new Set(['told', 'recording', 'recorded', 'ended']);
