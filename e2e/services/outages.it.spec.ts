import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchClient } from '@aloft/bench/client';
import { chain } from '@aloft/bench/shapes';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { launcher, type App, type Launcher } from './processes.js';

const version = `outages-${Date.now()}`;

interface Readiness {
  ok: boolean;
  checks: { name: string; ok: boolean; reason?: string }[];
}

// Real: Postgres, Kafka, S3, one process of each service. A part goes away while runs are under way, and comes back.
describe('services whose parts go away', () => {
  let dir: string;
  let platform: Launcher;
  let services: Awaited<ReturnType<Launcher['start']>>['services'];
  let client: BenchClient;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aloft-outages-'));
    platform = await launcher(dir);
    const topology = await platform.start(() => undefined);
    services = topology.services;
    client = new BenchClient(topology.front.grpc);
    await client.registerTask(version);
    await client.register(chain(100, version), version);
  }, 240_000);

  afterAll(async () => {
    client?.close();
    await platform?.stop();
    await rm(dir, { recursive: true, force: true });
  }, 90_000);

  async function readiness(app: App): Promise<Readiness> {
    const { http, pid, log } = services.find(({ name }) => name === app)!;
    // A connection of its own: one that is kept may be closed by the server in the moment that it is used again.
    const answer = await fetch(`${http}/readyz`, { headers: { connection: 'close' } }).catch((error: unknown) => {
      if (alive(pid)) throw error;
      const words = readFileSync(log, 'utf8').split('\n').slice(-30).join('\n');
      throw new Error(`${app} has ended; its last words:\n${words}`);
    });
    return (await answer.json()) as Readiness;
  }

  /** Resolves with the reason once /readyz of `app` says that `part` fails. */
  async function unready(app: App, part: string): Promise<string> {
    for (;;) {
      const { checks } = await readiness(app);
      const failed = checks.find(({ name, ok }) => name === part && !ok);
      if (failed) return failed.reason ?? '';
      await delay(100);
    }
  }

  async function allReady(): Promise<void> {
    for (const { name } of services) while (!(await readiness(name)).ok) await delay(100);
  }

  const launchSome = (name: string) =>
    Promise.all(Array.from({ length: 4 }, (_, i) => client.launch('bench.chain_100', version, `${name}-${i}`)));

  async function outage(
    name: string,
    part: string,
    apps: App[],
    away: () => unknown,
    back: () => unknown,
  ): Promise<void> {
    const before = await launchSome(name);
    await away();
    try {
      const reasons = await Promise.all(apps.map((app) => unready(app, part)));
      for (const reason of reasons) expect(reason).not.toBe('');
    } finally {
      await back();
    }
    await allReady();
    for (const id of [...before, ...(await launchSome(`${name}-after`))]) await client.projected(id);
    expect(services.map(({ pid }) => alive(pid))).not.toContain(false);
  }

  it('S-22: Postgres is killed and comes back: nothing is lost, no process ends', async () => {
    const { postgres } = platform.infra;
    const apps: App[] = ['admin', 'catalog', 'propeller', 'notifier', 'backends'];
    await outage(
      'postgres',
      'database',
      apps,
      () => postgres.kill(),
      () => postgres.launch(),
    );
  }, 180_000);

  it('S-22: Kafka hangs and goes on', async () => {
    const { kafka } = platform.infra;
    await outage(
      'kafka',
      'bus',
      ['admin', 'propeller', 'notifier', 'backends'],
      () => kafka.pause(),
      () => kafka.resume(),
    );
  }, 180_000);

  it('S-22: S3 is killed and comes back', async () => {
    const { s3 } = platform.infra;
    await outage(
      's3',
      'blob storage',
      ['admin', 'propeller', 'backends'],
      () => s3.kill(),
      () => s3.launch(),
    );
  }, 180_000);

  it('S-22: a service that is told to stop says "not ready" first, ends what it does, and exits 0', async () => {
    const { http, pid } = services.find(({ name }) => name === 'notifier')!;
    const seen: number[] = [];
    process.kill(pid, 'SIGTERM');
    while (alive(pid)) {
      await fetch(`${http}/readyz`).then(
        ({ status }) => seen.push(status),
        () => undefined,
      );
      await delay(1);
    }
    expect(seen.every((status, i) => status === 503 || i === 0)).toBe(true);
  }, 60_000);
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
