import type { Random } from '../random.js';
import type { Fate, Verdict, Verdicts } from './fates.js';

/** Failures of the system that a node may have: the third ends it (0022). */
export const systemBudget = 3;

/** What one run is to do: a task, or an array of them. */
export interface RunPlan {
  name: string;
  /** Retries that its user allows for failures of the user's. */
  retries: number;
  /** Spot capacity will do. */
  interruptible: boolean;
  /** Of each item (a plain task is one) the fates of its attempts, in turn; all later ones go well. */
  items: Fate[][];
  isArray: boolean;
  /** Milliseconds that each attempt runs. */
  runMs: number;
  /** Milliseconds after its start when it is aborted. */
  abortAfterMs?: number;
}

/** How a run that nobody aborts must go. */
export interface Expected {
  phase: 'SUCCEEDED' | 'FAILED';
  /** Of the error: one of these. */
  codes?: string[];
  /** Attempts of each item; `undefined` where another item's failure may end them early. */
  attempts: number[] | undefined;
}

/** A run in which (if given) the first attempt comes to this end. */
export function planRun(random: Random, name: string, verdicts: Verdicts, first?: Fate): RunPlan {
  const bad = (Object.keys(verdicts) as Fate[]).filter((fate) => fate !== 'ok');
  const retries = random.int(0, 2);
  const isArray = random.chance(25);
  const aborted = first === undefined && random.chance(15);
  const failing = first !== undefined || random.chance(30);
  const listOf = (begin: Fate | undefined) => {
    const more = failing ? Array.from({ length: random.int(0, 3) }, () => random.pick(bad)) : [];
    return begin === undefined ? more : [begin, ...more];
  };
  const items = isArray
    ? Array.from({ length: random.int(2, 5) }, (_, i) => listOf(i === 0 ? first : undefined))
    : [listOf(first)];
  return {
    name,
    retries,
    interruptible: random.chance(50),
    items,
    isArray,
    runMs: random.duration(20, 1_500),
    ...(aborted ? { abortAfterMs: random.duration(5, 2_000) } : {}),
  };
}

/** The budgets by the letter (C-30, C-31, C-33), for whoever checks what the engine made of the reports. */
export function expectationOf({ items, retries, isArray }: RunPlan, verdicts: Verdicts): Expected {
  const ends = items.map((list) => endOf(list, retries, verdicts));
  const failed = ends.filter(({ verdict }) => verdict.phase !== 'SUCCEEDED');
  const [first] = failed;
  if (!first) return { phase: 'SUCCEEDED', attempts: ends.map(({ attempts }) => attempts) };
  return {
    phase: 'FAILED',
    // An array's error is one of its items'.
    ...(isArray ? {} : { codes: [first.verdict.code, first.verdict.otherCode].flatMap((code) => code ?? []) }),
    attempts: isArray ? undefined : [first.attempts],
  };
}

function endOf(list: readonly Fate[], retries: number, verdicts: Verdicts): { attempts: number; verdict: Verdict } {
  const failures = { USER: 0, SYSTEM: 0 };
  for (let attempts = 1; ; attempts++) {
    const verdict = verdicts[list[attempts - 1] ?? 'ok'] as Verdict;
    if (verdict.phase === 'SUCCEEDED' || verdict.phase === 'FAILED') return { attempts, verdict };
    const kind = verdict.kind ?? 'USER';
    failures[kind]++;
    if (failures[kind] >= (kind === 'USER' ? retries + 1 : systemBudget)) return { attempts, verdict };
  }
}
