import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../random.js';
import { BatchPart } from './batch-part.js';
import { type BackendViolation, checkBackend } from './check.js';
import type { BackendEvidence } from './evidence.js';
import { planBackendFaults } from './faults.js';
import { Fleet } from './fleet.js';
import { BackendInjector } from './injector.js';
import { KubernetesPart } from './kubernetes-part.js';
import type { Part } from './part.js';
import { type Plant } from './plants.js';
import { reportOf, timelineOf, type BackendReport } from './report.js';
import { planRun, type RunPlan } from './run-plan.js';
import { Weather } from './weather.js';

export const backendShapes = ['kubernetes', 'aws-batch'] as const;
export type BackendShape = (typeof backendShapes)[number];

export interface BackendRoundSettings {
  seed: number;
  shape: BackendShape;
  faults: number;
  folder: string;
  /** A part that is there already, for several rounds. */
  part?: Part;
  plant?: Plant;
  /** Only faults whose names match. */
  only?: RegExp;
  /** Runs in flight. */
  concurrency?: number;
  /** Milliseconds in which all runs must end after the last fault, and then everything of theirs be gone. */
  settleMs?: number;
  limitMs?: number;
  signal?: AbortSignal;
  tell: (text: string) => void;
}

export interface BackendRoundResult {
  report: BackendReport;
  /** Of a failed round. */
  timeline?: string;
}

/** Milliseconds from one run's start to the next at least: how hosts bear faults is asked, not how much they bear. */
const betweenRunsMs = 150;

/** Resolves to the real part of a shape. In every other round pods are held until their end was seen. */
export const startPart = (shape: BackendShape, seed: number): Promise<Part> =>
  shape === 'kubernetes'
    ? KubernetesPart.start(new Random(seed, 'held').chance(50))
    : BatchPart.start(new Random(seed, 'batch'));

/** One backend with its hosts, one load, one plan of faults, one verdict. */
export async function runBackendRound(settings: BackendRoundSettings): Promise<BackendRoundResult> {
  const began = Date.now();
  const { seed, shape, folder, tell } = settings;
  mkdirSync(folder, { recursive: true });
  const part = settings.part ?? (await startPart(shape, seed));
  try {
    const shared = new Random(seed, 'hosts').chance(65);
    const incidents: string[] = [];
    const weather = new Weather(new Random(seed, 'weather'));
    const fleet = await Fleet.start({
      part,
      weather,
      folder,
      count: shared ? 2 : 1,
      plant: settings.plant,
      incidents,
      tell,
    });
    let evidence: BackendEvidence;
    try {
      evidence = await underFaults(settings, part, fleet, weather);
    } finally {
      incidents.push(...(await fleet.stop()));
    }
    for (const host of fleet.hosts) incidents.push(...deathsIn(host.log));
    evidence = { ...evidence, incidents: [...evidence.incidents, ...incidents] };
    const violations: BackendViolation[] = checkBackend(evidence, part.verdicts);
    const report = reportOf(evidence, violations, (Date.now() - began) / 1000);
    if (violations.length === 0) return { report };
    const path = join(folder, 'timeline.txt');
    writeFileSync(
      path,
      timelineOf(
        evidence,
        violations,
        fleet.hosts.map(({ log }) => log),
      ),
    );
    writeFileSync(join(folder, 'evidence.json'), JSON.stringify(evidence));
    return { report, timeline: path };
  } finally {
    if (!settings.part) await part.stop();
  }
}

async function underFaults(
  settings: BackendRoundSettings,
  part: Part,
  fleet: Fleet,
  weather: Weather,
): Promise<BackendEvidence> {
  const { seed, shape, faults, tell, concurrency = 8, settleMs = 120_000, limitMs = 30 * 60_000 } = settings;
  const { propeller, hosts } = fleet;
  const earlier = part.jobs.length;
  const random = new Random(seed, 'load');
  let runs = 0;
  const begin = (first?: Parameters<typeof planRun>[3]) =>
    propeller.begin(planRun(random, `r${seed.toString(36)}x${runs++}`, part.verdicts, first));
  let over = false;
  const load = (async () => {
    while (!over) {
      if (propeller.inFlight < concurrency) await begin();
      await delay(betweenRunsMs);
    }
  })();
  const injector = new BackendInjector({ part, hosts, weather, work: begin, tell });
  const possible = {
    verdicts: part.verdicts,
    watches: shape === 'kubernetes',
    events: part.confuse !== undefined,
    restarts: part.restart !== undefined,
    shared: hosts.length > 1,
  };
  const plan = planBackendFaults(new Random(seed, 'faults'), faults, possible, settings.only);
  const limit = AbortSignal.timeout(limitMs);
  await injector.run(plan, settings.signal ? AbortSignal.any([limit, settings.signal]) : limit);
  over = true;
  await load;
  tell(`faults are over; ${propeller.inFlight} runs are to end`);
  const given = settings.signal?.aborted ? 0 : settleMs;
  const open = propeller.runs.filter(({ endedAt }) => endedAt === undefined);
  const longest = given && Math.max(given, ...open.map(({ plan }) => given + confirmationMs(plan, part)));
  await Promise.race([propeller.until(() => propeller.inFlight === 0), delay(longest, undefined, { ref: false })]);
  const left = propeller.inFlight === 0 ? await leftOf(part, given) : await part.left();
  const incidents = [...propeller.incidents, ...injector.incidents];
  if (injector.records.length < faults)
    incidents.push(`only ${injector.records.length} of ${faults} faults were done in time`);
  return {
    seed,
    shape: `${shape}, ${hosts.length === 1 ? 'one host' : 'two hosts'}${part.holdsJobs ? ', pods held' : ''}`,
    holdsJobs: part.holdsJobs ?? false,
    faults: injector.records,
    runs: propeller.runs,
    jobs: part.jobs.slice(earlier),
    left,
    incidents,
    endedAt: Date.now(),
  };
}

/** A node may still say how a pod ended that somebody deleted. Where pods are held, ours (kwok) never does, and each is waited for so long. */
const nodeSilentMs = 60_000;

function confirmationMs({ items }: RunPlan, { holdsJobs }: Part): number {
  const deleted = items.map((fates) => fates.filter((fate) => fate === 'deleted').length);
  return holdsJobs ? Math.max(0, ...deleted) * nodeSilentMs : 0;
}

/** What is there of its jobs when all had their time to go. */
async function leftOf(part: Part, withinMs: number): Promise<string[]> {
  for (const until = Date.now() + withinMs; ; await delay(250)) {
    const left = await part.left();
    if (left.length === 0 || Date.now() > until) return left;
  }
}

/** No fault explains an error that nobody caught. */
function deathsIn(log: string): string[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /(uncaughtException|unhandledRejection): the process ends/.test(line))
    .map((line) => `${basename(log)}: ${line.slice(0, 1_000)}`);
}
