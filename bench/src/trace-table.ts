import { type Collector, type CollectedSpan } from '@aloft/telemetry/testing';
import { quantile } from './commit-time.js';

/** Where the time of one step of a chain goes, from the trace of a run. Milliseconds, over its steps. */
export interface StepPart {
  part: string;
  p50_ms: number;
  p99_ms: number;
  share: number;
}

const parts = ['attempt.queue', 'attempt.launch', 'attempt.run', 'attempt.commit'];

/** Waits until the spans of a run of `steps` steps are there, and takes its steps apart. */
export async function stepParts(collector: Collector, execution: string, steps: number): Promise<StepPart[]> {
  const traceOf = (spans: readonly CollectedSpan[]) => {
    const run = spans.find(({ name, attributes }) => name === 'run' && attributes['aloft.execution'] === execution);
    return run ? spans.filter(({ traceId }) => traceId === run.traceId) : [];
  };
  const attemptsIn = (spans: readonly CollectedSpan[]) =>
    traceOf(spans)
      .filter(({ name }) => name === 'attempt 0')
      .sort((a, b) => a.start - b.start);
  await collector.until((spans) => attemptsIn(spans).length === steps, `${steps} attempts of ${execution}`);
  const trace = traceOf(collector.spans);
  const attempts = attemptsIn(collector.spans);
  const samples = new Map<string, number[]>();
  const add = (part: string, ms: number) => samples.set(part, [...(samples.get(part) ?? []), ms]);
  const length = ({ start, end }: CollectedSpan) => end - start;
  for (const [i, attempt] of attempts.entries()) {
    for (const part of parts)
      for (const span of trace.filter(({ parentSpanId, name }) => parentSpanId === attempt.spanId && name === part))
        add(part, length(span));
    const next = attempts[i + 1];
    if (next) add('to the next step', Math.max(0, next.start - attempt.end));
    if (next) add('the whole step', next.start - attempt.start);
  }
  for (const name of ['commit', 'process executions.events', 'host launch', 'host execution'])
    for (const span of trace.filter((each) => each.name === name)) add(`(${name})`, length(span));
  const whole = quantile(samples.get('the whole step') ?? [1], 0.5);
  return [...samples].map(([part, each]) => ({
    part,
    p50_ms: round(quantile(each, 0.5)),
    p99_ms: round(quantile(each, 0.99)),
    share: round(quantile(each, 0.5) / whole),
  }));
}

const round = (value: number): number => Number(value.toPrecision(3));
