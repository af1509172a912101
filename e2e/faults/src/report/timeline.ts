import { existsSync, readFileSync } from 'node:fs';
import type { Verdict } from '../check/check.js';
import type { Evidence } from '../evidence/evidence.js';

const tailBytes = 200_000;

/** Everything that helps to find a violation's cause, in order of time: faults, and of each bad run its marks and what Watch told. */
export function timeline(evidence: Evidence, { violations }: Verdict, logs: readonly string[]): string {
  const bad = new Set(violations.flatMap(({ run }) => run ?? []));
  const entries: [number, string][] = [];
  for (const { n, kind, target, from, to, recoveredAt, detail } of evidence.faults) {
    entries.push([from, `FAULT ${n} begins: ${kind}, ${target}${detail ? ` (${detail})` : ''}`]);
    if (to !== undefined) entries.push([to, `FAULT ${n} over: ${kind}, ${target}`]);
    if (recoveredAt !== undefined) entries.push([recoveredAt, `FAULT ${n} recovered from`]);
  }
  for (const { what, run, step, index, attempt, process, at, outcome, attemptId } of evidence.marks)
    if (bad.has(run))
      entries.push([
        at,
        `${run} MARK ${what} ${step}${index === undefined ? '' : `[${index}]`} attempt ${attempt} ${outcome ?? ''} ${process} ${attemptId}`,
      ]);
  for (const run of evidence.runs) {
    if (!bad.has(run.name)) continue;
    entries.push([run.launchedAt, `${run.name} LAUNCH`]);
    for (const { at, sequence, of, node, attempt, phase, snapshot } of run.observations)
      entries.push([
        at,
        `${run.name} ${snapshot ? 'SNAPSHOT' : 'EVENT'} ${sequence} ${of} ${node} ${attempt ?? ''} ${phase}`,
      ]);
  }
  entries.sort(([a], [b]) => a - b);
  const parts = [
    `seed ${evidence.seed}, ${evidence.shape}`,
    ...violations.map(({ rule, run, text }) => `VIOLATION ${rule}${run ? `, ${run}` : ''}: ${text}`),
    '',
    ...entries.map(([at, text]) => `${new Date(at).toISOString()} ${text}`),
    '',
    ...evidence.runs.filter(({ name }) => bad.has(name)).map((run) => `API ${JSON.stringify(apiState(run), null, 1)}`),
    ...logs.filter((path) => existsSync(path)).map((path) => `\nLOG ${path}\n${tail(path)}`),
  ];
  return `${parts.join('\n')}\n`;
}

function apiState({ name, shape, phase, outputs, error, nodes, expect, endedAt }: Evidence['runs'][number]) {
  return { name, shape, phase, outputs, error, endedAt, expect, nodes };
}

function tail(path: string): string {
  const text = readFileSync(path);
  return text.subarray(Math.max(0, text.length - tailBytes)).toString('utf8');
}
