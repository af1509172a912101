import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Attempts } from './attempts.js';
import { Lease } from './lease.js';
import { BrokenBundle, Bundles } from './bundles.js';
import { ColdStarts } from './cold-starts.js';
import { NodeWorkers } from './node-workers.js';
import { replacePredecessor } from './predecessor.js';
import type { LauncherEvent, LauncherRequest, LauncherSettings, LaunchSpec } from './protocol.js';
import { PythonWorkers } from './python-workers.js';

/** Everything of the platform that spawns, forks, unpacks, samples or kills, in a process of its own. */
export class Launcher {
  private readonly attempts: Attempts;
  private readonly bundles: Bundles;
  private readonly nodeBundles: Bundles;
  private readonly cold: ColdStarts;
  private readonly pythons: PythonWorkers;
  private readonly nodes: NodeWorkers;
  private readonly lease = new Lease(() => void this.endAll());
  private readonly graceMs: number;
  /** Attempts that run here and that nobody has asked for yet. */
  private readonly strays = new Set<string>();

  private constructor(
    settings: LauncherSettings,
    private readonly emit: (event: LauncherEvent) => void,
  ) {
    const { workDir, baseEnv, node } = settings;
    this.graceMs = settings.graceMs;
    this.attempts = new Attempts(join(workDir, 'attempts'), emit, settings.graceMs);
    this.bundles = new Bundles(join(workDir, 'bundles'));
    this.nodeBundles = new Bundles(node.bundles);
    this.cold = new ColdStarts(this.attempts, { env: baseEnv, workDir, emit });
    this.pythons = new PythonWorkers(this.attempts, { env: baseEnv, workDir, emit });
    const { command, executor, keep, env } = node;
    this.nodes = new NodeWorkers(this.attempts, this.cold, { node: command, executor, keep, env, workDir, emit });
    if (node.modules !== undefined) linkModules(node.bundles, node.modules);
    if (settings.leaseUntil !== undefined) this.lease.extend(settings.leaseUntil);
  }

  static async start(settings: LauncherSettings, emit: (event: LauncherEvent) => void): Promise<Launcher> {
    mkdirSync(settings.workDir, { recursive: true });
    await replacePredecessor(settings.workDir);
    const launcher = new Launcher(settings, emit);
    emit({ event: 'ready' });
    return launcher;
  }

  async handle(request: LauncherRequest): Promise<void> {
    if (request.do === 'lease') return this.lease.extend(request.until);
    this.lease.check();
    switch (request.do) {
      case 'launch':
        return this.launch(request.spec);
      case 'adopt':
        return this.adopt(request.ids, request.exclusive);
      case 'kill':
        return this.attempts.kill(request.id, request.why);
      case 'forget':
        return this.attempts.forget(request.ids);
      case 'warm':
        if (request.python !== undefined) this.pythons.warm(request.python);
        if (request.node) this.nodes.fill();
        this.cold.fill();
    }
  }

  /**
   * The host is gone, or wants no more. Without a lease this process goes, too, and what runs goes on. With one it stays as
   * long as anything runs, and ends that when the lease does.
   */
  async leave(): Promise<void> {
    if (!this.lease.isKept) {
      for (const id of this.strays) if (!this.attempts.get(id)) await this.attempts.discard(id);
      return;
    }
    for (const workers of [this.cold, this.pythons, this.nodes]) workers.stop();
    this.lease.check();
    while (this.attempts.areRunning) await delay(50);
    await this.over;
  }

  private over: Promise<void> = Promise.resolve();

  private endAll(): void {
    this.pythons.kill();
    this.over = this.attempts.endAll("its host's lease ended");
  }

  private async adopt(ids: readonly string[], exclusive: boolean): Promise<void> {
    for (const id of this.attempts.begunOf(ids))
      if (this.attempts.folder(id).readVerdict()?.by === 'lease') await this.attempts.discard(id);
    const found = this.attempts.begunOf(ids).filter((id) => this.attempts.adopt(id));
    const known = new Set(found);
    // Nothing of the past is left when the answer comes: from then on attempts are prepared, perhaps under the same names.
    const others = exclusive ? this.attempts.others(new Set(ids)) : [];
    // Where hosts share a backend, what runs here unasked may run elsewhere by now.
    const strays = this.lease.isKept ? [] : others.filter((id) => this.attempts.folder(id).readClaim()?.alive);
    for (const id of others)
      if (this.lease.isKept) await this.attempts.discard(id);
      else if (!strays.includes(id)) await this.attempts.forget([id]);
    this.emit({ event: 'adopted', found, absent: ids.filter((id) => !known.has(id)) });
    this.giveTime(strays);
  }

  /** Of an attempt that began before its host died without a commit, the command comes again and finds it running. */
  private giveTime(strays: readonly string[]): void {
    if (strays.length === 0) return;
    for (const id of strays) this.strays.add(id);
    setTimeout(() => {
      for (const id of strays) this.strays.delete(id);
      void this.attempts.clear(strays);
    }, this.graceMs);
  }

  private async launch(spec: LaunchSpec): Promise<void> {
    const { id } = spec;
    if (this.lease.isOver) {
      this.emit({ event: 'failed', id, ...leaseOver });
      return;
    }
    if (!this.attempts.begin(spec)) return;
    try {
      const folder = this.attempts.folder(id);
      folder.create(spec);
      if (spec.bundle && spec.start === 'node') await this.nodeBundles.shareAs(spec.bundle);
      else if (spec.bundle) await this.bundles.copyTo(spec.bundle, folder.code);
      if (this.attempts.isCancelled(id)) this.attempts.failed(id, 'Aborted', 'It was aborted before it began.', false);
      else if (spec.start === 'python') this.pythons.start(spec);
      else if (spec.start === 'node') this.nodes.start(spec);
      else this.cold.start(spec);
    } catch (error) {
      const broken = error instanceof BrokenBundle;
      this.attempts.failed(
        id,
        broken ? 'BrokenCodeBundle' : 'StartFailed',
        broken ? error.message : `The attempt could not be prepared: ${(error as Error).message}.`,
        broken,
      );
    }
  }
}

/** Not written down: it may begin, here or elsewhere. */
const leaseOver = { code: 'HostLeaseLost', message: "The host's lease ended before the attempt began.", user: false };

/** Packages that a bundle leaves out are found beside the platform's own. */
function linkModules(folder: string, target: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const link = join(folder, 'node_modules');
  rmSync(link, { force: true });
  symlinkSync(target, link);
}
