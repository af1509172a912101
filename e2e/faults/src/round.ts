import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { check } from './check/check.js';
import type { Evidence } from './evidence/evidence.js';
import { readMarks } from './evidence/marks.js';
import { Sampler } from './evidence/sampler.js';
import { Injector } from './faults/injector.js';
import { Driver } from './load/driver.js';
import { Prober } from './load/prober.js';
import { registerLoad } from './load/register.js';
import type { PlatformUnderTest, ProcessTarget, Shape } from './platform/platform.js';
import { startPlatform } from './platform/start.js';
import { observedProcess } from './processes/observed-process.js';
import { Random } from './random.js';
import { reportOf, type RoundReport } from './report/report.js';
import { timeline } from './report/timeline.js';
import { planFaults } from './schedule.js';

export interface RoundSettings {
  seed: number;
  faults: number;
  shape: Shape;
  /** Of the distributed shape. */
  bus: 'kafka' | 'postgres';
  /** Faults at once. */
  overlap: number;
  /** Runs at once. */
  concurrency: number;
  pace: number;
  /** After the last fault every run must end within it, ms. */
  settleMs: number;
  /** New work must be done within it after a fault, ms. */
  recoveryMs: number;
  /** No fault begins later than so long after the first, ms. */
  limitMs: number;
  only?: RegExp;
  folder: string;
  /** Ends the round early: no more faults, no waiting; the platform is stopped all the same. */
  signal?: AbortSignal;
  tell: (text: string) => void;
}

/** What CI and soaks run with. */
export const defaults = {
  bus: 'kafka',
  overlap: 2,
  concurrency: 5,
  pace: 1,
  settleMs: 120_000,
  recoveryMs: 60_000,
  limitMs: 60 * 60_000,
} as const;

export interface RoundResult {
  report: RoundReport;
  /** Where everything lies that helps to find the cause; only of a failed round. */
  timeline?: string;
}

/** One platform, one load, one schedule of faults, one verdict. */
export async function runRound(settings: RoundSettings): Promise<RoundResult> {
  const started = Date.now();
  const marks = join(settings.folder, 'marks');
  mkdirSync(settings.folder, { recursive: true });
  chmodSync(settings.folder, 0o755);
  writeFileSync(marks, '');
  const incidents: string[] = [];
  const ends: { at: number; text: string }[] = [];
  const platform = await startPlatform({
    shape: settings.shape,
    bus: settings.bus,
    folder: join(settings.folder, 'platform'),
    signal: settings.signal,
    onUnexpectedEnd: (process, how) => {
      ends.push({ at: Date.now(), text: `${process} ended by itself: it ${how}` });
      settings.tell(`  ${process} ended by itself: it ${how}`);
    },
  });
  const sampler = new Sampler(marks);
  let evidence: Evidence;
  try {
    await registerLoad(platform.directGrpc);
    evidence = await underFaults(platform, settings, marks, sampler, incidents);
  } finally {
    // However it went: nothing of ours stays behind.
    incidents.push(...(await platform.stop()));
  }
  for (const { at, text } of ends) if (!explained(at, evidence)) incidents.push(text);
  for (const log of platform.logs) incidents.push(...deathsIn(log));
  evidence = { ...evidence, incidents };
  const verdict = check(evidence);
  const report = reportOf(evidence, verdict, (Date.now() - started) / 1000);
  if (verdict.violations.length === 0) return { report };
  const path = join(settings.folder, 'timeline.txt');
  writeFileSync(path, timeline(evidence, verdict, platform.logs));
  writeFileSync(join(settings.folder, 'evidence.json'), JSON.stringify(evidence));
  return { report, timeline: path };
}

async function underFaults(
  platform: PlatformUnderTest,
  settings: RoundSettings,
  marks: string,
  sampler: Sampler,
  incidents: string[],
): Promise<Evidence> {
  const { seed, shape } = settings;
  const prober = new Prober({
    address: platform.grpc,
    marks,
    partitions: platform.partitions,
    limitMs: settings.recoveryMs,
  });
  const ready = await prober.recovered();
  if (ready.wrong) throw new Error(`the platform does no work even before the first fault: ${ready.wrong}`);
  const driver = new Driver({
    address: platform.grpc,
    marks,
    concurrency: settings.concurrency,
    pace: settings.pace,
    random: new Random(seed, 'load'),
  });
  const injector = new Injector({
    platform,
    prober,
    tasks: () => tasksIn(sampler),
    overlap: settings.overlap,
    targetLimitMs: 60_000,
    tell: settings.tell,
  });
  sampler.start();
  driver.start();
  const began = Date.now();
  const { recoveredAt: probed = began } = await prober.recovered();
  const baselineMs = probed - began;
  const limit = AbortSignal.timeout(settings.limitMs);
  const without = settings.bus === 'postgres' ? /kafka/ : undefined;
  const faults = planFaults({ seed, faults: settings.faults, shape, only: settings.only, without });
  await injector.run(faults, settings.signal ? AbortSignal.any([limit, settings.signal]) : limit);
  settings.tell(`faults are over; ${driver.runs.length - driver.ended} runs are to end`);
  await driver.finish(settings.signal?.aborted ? 0 : settings.settleMs);
  await sampler.stop();
  if (injector.records.length < faults.length)
    incidents.push(`only ${injector.records.length} of ${faults.length} faults were done in time`);
  incidents.push(...injector.incidents);
  return {
    seed,
    shape,
    marks: readMarks(marks),
    faults: injector.records,
    runs: driver.runs,
    sightings: sampler.sightings(),
    incidents,
    settleMs: settings.settleMs,
    baselineMs,
    fencingMs: platform.fencingMs,
    endedAt: Date.now(),
  };
}

function tasksIn(sampler: Sampler): ProcessTarget[] {
  return sampler
    .inFlight()
    .map(({ mark, pid, start }) =>
      observedProcess(`task ${mark.run}/${mark.step}/${mark.attempt}`, { pid, start }, async () => undefined),
    );
}

/** Ends of processes that follow from a fault elsewhere: the database of the embedded platform, say. */
function explained(at: number, { faults }: Evidence): boolean {
  return faults.some(({ from, to, kind }) => kind.includes('postgres') && at >= from && at <= (to ?? from) + 15_000);
}

/** No fault explains an error that nobody caught. */
function deathsIn(log: string): string[] {
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines
    .filter((line) => /(uncaughtException|unhandledRejection): the process ends/.test(line))
    .map((line) => `${basename(log)}: ${line.slice(0, 1_000)}`);
}

export function clean(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
