import type { Evidence, Mark, Observation, RunRecord } from '../evidence/evidence.js';
import { parseMark } from '../evidence/marks.js';
import { check, type Verdict } from './check.js';

/** Times in ms after the beginning. */
const evidenceOf = (more: Partial<Evidence>): Evidence => ({
  seed: 1,
  shape: 'embedded',
  marks: [],
  faults: [],
  runs: [],
  sightings: [],
  incidents: [],
  settleMs: 60_000,
  baselineMs: 0,
  fencingMs: 0,
  endedAt: 100_000,
  ...more,
});

/** `start a0 0 at 100` and `end a0 0 at 150 ok`, of one run; the process is `<step>.<attempt>` unless it is given. */
function marks(text: string): Mark[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [what, step, attempt, , at, outcome = '-', process = `${step}.${attempt}`] = line.trim().split(' ');
      const [name, index = '-'] = (step as string).split('@');
      const end = what === 'end' ? outcome : '-';
      return parseMark(
        `${what} run ${name} ${attempt} ${index} run-${step}-${attempt} ${process} ${at} ${at} ${end} -`,
      );
    });
}

const seen = (at: number, of: Observation['of'], node: string, phase: string, attempt?: number): Observation => ({
  at,
  sequence: at,
  snapshot: false,
  of,
  node,
  phase,
  attempt,
  terminal: ['SUCCEEDED', 'FAILED', 'ABORTED', 'RETRYABLE_FAILED'].includes(phase),
});

/** A run of steps a0 and a1 that went well, as the API tells it. */
function runOf(more: Partial<RunRecord> = {}): RunRecord {
  return {
    name: 'run',
    shape: 'chain',
    launchedAt: 0,
    endedAt: 500,
    phase: 'SUCCEEDED',
    outputs: { x: 2 },
    expect: {
      phase: 'SUCCEEDED',
      outputs: { x: 2 },
      steps: [
        { step: 'a0', starts: 1 },
        { step: 'a1', starts: 1 },
      ],
    },
    observations: [
      seen(200, 'task', 'a0', 'SUCCEEDED', 0),
      seen(201, 'node', 'a0', 'SUCCEEDED'),
      seen(400, 'task', 'a1', 'SUCCEEDED', 0),
      seen(401, 'node', 'a1', 'SUCCEEDED'),
      seen(500, 'run', '', 'SUCCEEDED'),
    ],
    streamFaults: [],
    clientErrors: [],
    nodes: ['a0', 'a1'].map((step) => ({
      id: step,
      step,
      phase: 'SUCCEEDED',
      cacheHit: false,
      tasks: [{ attempt: 0, phase: 'SUCCEEDED' }],
    })),
    ...more,
  };
}

const good = `
  start a0 0 at 100
  end a0 0 at 150 ok
  start a1 0 at 300
  end a1 0 at 350 ok`;
const fault = { n: 0, kind: 'kill platform', target: 'platform', from: 120, to: 130, recoveredAt: 160 };
const rules = ({ violations }: Verdict) => violations.map(({ rule }) => rule);
const judge = (text: string, more: Partial<Evidence> = {}) =>
  check(evidenceOf({ marks: marks(text), runs: [runOf()], ...more }));

describe('the invariants', () => {
  it('hold for a run that went well', () => {
    expect(judge(good)).toMatchObject({ violations: [], extraStarts: 0, steps: 2, starts: 2 });
  });

  it('stuck: a run without an end', () => {
    const run = runOf({ endedAt: undefined, phase: undefined });
    expect(rules(judge(good, { runs: [run] }))).toEqual(['stuck']);
  });

  it('wrong result: outputs, phase, error', () => {
    expect(rules(judge(good, { runs: [runOf({ outputs: { x: 3 } })] }))).toEqual(['wrong result']);
    const failed = runOf({ phase: 'FAILED', error: 'boom' });
    failed.observations.at(-1)!.phase = 'FAILED';
    expect(rules(judge(good, { runs: [failed] }))).toContain('wrong result');
    const otherwise = { ...failed, expect: { ...failed.expect, phase: 'FAILED' as const, error: 'by plan' } };
    expect(rules(judge(good, { runs: [otherwise] }))).toContain('wrong result');
    expect(rules(judge(good, { runs: [{ ...otherwise, error: 'by plan' }] }))).toEqual([]);
  });

  it('extra start: a second one without a fault, two for one fault, and one that a fault explains', () => {
    const twice = `${good}
      start a1 1 at 360
      end a1 1 at 390 ok`;
    expect(rules(judge(twice))).toContain('extra start');
    const again = `
      start a0 0 at 100
      start a0 1 at 170
      end a0 1 at 190 ok
      start a1 0 at 300
      end a1 0 at 350 ok`;
    const run = runOf();
    run.nodes[0]!.tasks = [
      { attempt: 0, phase: 'RETRYABLE_FAILED' },
      { attempt: 1, phase: 'SUCCEEDED' },
    ];
    run.observations[0] = seen(200, 'task', 'a0', 'SUCCEEDED', 1);
    expect(judge(again, { runs: [run], faults: [fault] })).toMatchObject({ violations: [], extraStarts: 1 });
    const thrice = again.replace('start a0 1 at 170', 'start a0 0 at 165 - other\n start a0 1 at 170');
    expect(rules(judge(thrice, { runs: [run], faults: [fault] }))).toEqual(['extra start']);
    // A fault long after the end of the first start was not in flight with it.
    const late = { ...fault, from: 9_000, to: 9_010, recoveredAt: 9_050 };
    expect(rules(judge(again, { runs: [run], faults: [late] }))).toEqual(['extra start']);
  });

  it('planned failures are no extra starts', () => {
    const run = runOf();
    run.expect = { ...run.expect, steps: [{ step: 'a0', starts: 2 }, run.expect.steps[1]!] };
    run.nodes[0]!.tasks = [
      { attempt: 0, phase: 'FAILED' },
      { attempt: 1, phase: 'SUCCEEDED' },
    ];
    run.observations[0] = seen(200, 'task', 'a0', 'SUCCEEDED', 1);
    const text = `
      start a0 0 at 100
      end a0 0 at 120 failed
      start a0 1 at 140
      end a0 1 at 160 ok
      start a1 0 at 300
      end a1 0 at 350 ok`;
    expect(judge(text, { runs: [run] }).violations).toEqual([]);
  });

  it('started after durable: the attempt, its node, its run; a retry of a failed attempt may', () => {
    const late = `
      start a0 0 at 100
      end a0 0 at 150 ok
      start a0 0 at 210 - other
      start a1 0 at 300
      end a1 0 at 350 ok`;
    const around = { ...fault, recoveredAt: 220 };
    expect(rules(judge(late, { faults: [around] }))).toEqual(['started after durable']);
    const after = late.replace('at 210', 'at 600');
    expect(rules(judge(after, { faults: [{ ...around, recoveredAt: 700 }] }))).toEqual(['started after durable']);
    // What counts is when the platform began it, not when its first line of code came to run.
    const claimed = marks(late).map((mark) => (mark.process === 'other' ? { ...mark, claimedAt: 190 } : mark));
    expect(rules(judge(late, { marks: claimed, faults: [around] }))).toEqual([]);
  });

  it('never ran: a step without marks, or without a good end, in a run that succeeded', () => {
    expect(rules(judge('start a0 0 at 100\nend a0 0 at 150 ok'))).toContain('never ran');
    expect(rules(judge(good.replace('end a1 0 at 350 ok', 'end a1 0 at 350 failed')))).toContain('never ran');
  });

  it('ran unasked: a step that this run must not reach', () => {
    expect(rules(judge(`${good}\nstart never 0 at 320\nend never 0 at 330 ok`))).toContain('ran unasked');
  });

  it('two at once: a process that outlives the start of the next by more than the fencing time', () => {
    const text = `
      start a0 0 at 100 - first
      start a0 1 at 170
      end a0 1 at 190 ok
      start a1 0 at 300
      end a1 0 at 350 ok`;
    const run = runOf();
    run.nodes[0]!.tasks = [
      { attempt: 0, phase: 'RETRYABLE_FAILED' },
      { attempt: 1, phase: 'SUCCEEDED' },
    ];
    run.observations[0] = seen(200, 'task', 'a0', 'SUCCEEDED', 1);
    const sightings = [{ process: 'first', lastAliveAt: 180 }];
    const both = { runs: [run], faults: [fault], sightings };
    expect(rules(judge(text, both))).toEqual(['two at once']);
    expect(rules(judge(text, { ...both, fencingMs: 10 }))).toEqual([]);
  });

  it('left behind: a process that runs when all is over', () => {
    const text = good.replace('end a1 0 at 350 ok', 'start a1 0 at 351 - lost\nend a1 0 at 360 ok');
    const sightings = [{ process: 'lost', lastAliveAt: 100_000 }];
    expect(rules(judge(text, { sightings }))).toContain('left behind');
  });

  it('terminal once: twice, changed, something after the end, another answer of the API, holes in the stream', () => {
    const repeated = runOf();
    repeated.observations.push(seen(501, 'run', '', 'SUCCEEDED'));
    expect(rules(judge(good, { runs: [repeated] }))).toEqual(['terminal once']);
    const changed = runOf();
    changed.observations.push(seen(450, 'node', 'a0', 'RUNNING'));
    expect(rules(judge(good, { runs: [changed] }))).toEqual(['terminal once']);
    const snapshot = runOf();
    snapshot.observations.push({ ...seen(501, 'run', '', 'SUCCEEDED'), snapshot: true });
    expect(rules(judge(good, { runs: [snapshot] }))).toEqual([]);
    expect(rules(judge(good, { runs: [runOf({ streamFaults: ['event 7 came after event 5'] })] }))).toEqual([
      'terminal once',
    ]);
  });

  it('read model: a node that is missing, open, or good without a good end; an attempt that it does not know', () => {
    const missing = runOf();
    missing.nodes = missing.nodes.slice(0, 1);
    expect(rules(judge(good, { runs: [missing] }))).toEqual(['read model']);
    const open = runOf();
    open.nodes[1]!.phase = 'RUNNING';
    expect(rules(judge(good, { runs: [open] }))).toEqual(['read model']);
    const unknown = runOf();
    unknown.nodes[1]!.tasks = [{ attempt: 1, phase: 'SUCCEEDED' }];
    expect(rules(judge(good, { runs: [unknown] }))).toEqual(['read model', 'read model']);
  });

  it('read model: items of a map', () => {
    const run = runOf();
    run.expect = {
      ...run.expect,
      steps: [
        { step: 'a0', starts: 1 },
        { step: 'a1', index: 0, starts: 1 },
      ],
    };
    run.nodes[1]!.tasks = [{ attempt: 0, phase: 'SUCCEEDED', items: [{ index: 0, attempt: 0, phase: 'SUCCEEDED' }] }];
    const text = good.replaceAll('a1 0', 'a1@0 0');
    expect(rules(judge(text, { runs: [run] }))).toEqual([]);
    run.nodes[1]!.tasks = [{ attempt: 0, phase: 'SUCCEEDED', items: [{ index: 1, attempt: 0, phase: 'SUCCEEDED' }] }];
    expect(rules(judge(text, { runs: [run] }))).toEqual(['read model', 'read model']);
  });

  it('catalog: computed twice without a fault, and a result that nobody made', () => {
    const cachedRun = (made: string) => {
      const run = runOf({ outputs: { made } });
      run.expect = { phase: 'SUCCEEDED', steps: [run.expect.steps[0]!, { step: 'a1', starts: 1, cacheKey: 'k' }] };
      return run;
    };
    const made = marks(good).map((mark) =>
      mark.what === 'end' && mark.step === 'a1' ? { ...mark, value: 'k/1' } : mark,
    );
    expect(rules(judge(good, { marks: made, runs: [cachedRun('k/1')] }))).toEqual([]);
    expect(rules(judge(good, { marks: made, runs: [cachedRun('k/2')] }))).toEqual(['catalog']);
    const other = { ...cachedRun('k/1'), name: 'other' };
    const again = marks(good).map((mark) => ({ ...mark, run: 'other', at: mark.at + 10_000, value: 'k/1' }));
    other.observations = [];
    expect(rules(judge(good, { marks: [...made, ...again], runs: [cachedRun('k/1'), other] }))).toEqual(['catalog']);
  });

  it('client: an error that no stock client tries again; and incidents are violations', () => {
    expect(rules(judge(good, { runs: [runOf({ clientErrors: ['INTERNAL: boom'] })] }))).toEqual(['client']);
    expect(rules(judge(good, { incidents: ['propeller-0 ended by itself'] }))).toEqual(['incident']);
  });

  it('a line that is no mark is refused', () => {
    expect(() => parseMark('start run a0')).toThrow('this is no mark');
  });
});
