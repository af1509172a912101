import type { RunRecord } from '../evidence/evidence.js';
import type { Violation } from './violation.js';

/** What Watch told: each change once and in order, one end, nothing after it, and the API says the same. */
export function checkStream(run: RunRecord): Violation[] {
  const found: Violation[] = run.streamFaults.map((text) => ({ rule: 'terminal once', run: run.name, text }));
  const report = (text: string) => found.push({ rule: 'terminal once', run: run.name, text });
  const over = new Map<string, string>();
  for (const { of, node, attempt, phase, terminal, snapshot } of run.observations) {
    const what = of === 'run' ? 'the run' : `${of} ${node}${attempt === undefined ? '' : ` attempt ${attempt}`}`;
    const before = over.get(what);
    if (before !== undefined) {
      if (phase !== before) report(`${what} was ${before}, and ${phase} after that`);
      else if (!snapshot) report(`${what} was told to be ${phase} twice`);
    }
    if (terminal) over.set(what, phase);
  }
  const told = over.get('the run');
  if (told !== undefined && run.phase !== undefined && told !== run.phase)
    report(`Watch told of ${told}, GetExecution answers ${run.phase}`);
  return found;
}
