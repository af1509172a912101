import { appendFileSync, readFileSync, statSync } from 'node:fs';

/**
 * What a task writes about itself, past the platform: one line by one write, appended. Fields as in evidence/marks.ts. Runs inside
 * the attempts' own processes, so it stands on Node alone.
 */
export function mark(what: 'start' | 'end', step: string, outcome = 'ok', value = '-'): void {
  const env = process.env;
  const path = env['ALOFT_FAULTS_MARKS'];
  if (!path) throw new Error('ALOFT_FAULTS_MARKS is not set: the run was launched without its environment');
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const indexName = env['BATCH_JOB_ARRAY_INDEX_VAR_NAME'];
  const line = [
    what,
    env['FLYTE_INTERNAL_EXECUTION_ID'],
    step,
    env['FLYTE_ATTEMPT_NUMBER'],
    (indexName && env[indexName]) || '-',
    env['ALOFT_ATTEMPT'],
    `${process.pid}.${start}`,
    Date.now(),
    claimedAt(),
    what === 'end' ? outcome : '-',
    value,
  ];
  appendFileSync(path, `${line.join(' ')}\n`);
}

/**
 * When the platform's claim of this attempt was written: before anything of it ran, while this mark may come later (modules are
 * loaded first). `-` where there is no such file.
 */
function claimedAt(): string {
  const stat = statSync('../claim', { throwIfNoEntry: false });
  return stat ? String(Math.floor(stat.mtimeMs)) : '-';
}

/** Waits; ends early when the attempt is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(new Error('aborted'));
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
}
