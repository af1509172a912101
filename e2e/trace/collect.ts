import type { CollectedSpan } from '@aloft/telemetry/testing';

export { Collector, type CollectedSpan } from '@aloft/telemetry/testing';

/** What the trace of one run has to contain, wherever its services ran. */
export interface ExpectedTrace {
  /** Task nodes, with the number of attempts of each (0: its result came from the cache). */
  nodes: Readonly<Record<string, number>>;
  /** Phase of the run's end. */
  phase: string;
  /** `service.name`s that have to have told something. */
  services?: readonly string[];
  /** Parts of Aloft (scopes) that have to have told something, for shapes of one process. */
  scopes?: readonly string[];
  /** Names of spans that have to be there. */
  names?: readonly string[];
  /** Span of a caller outside of Aloft that the trace hangs on; otherwise it has a root of its own. */
  caller?: string;
}

/** The trace that a run is part of, by the run's name; `undefined` before its end was told. */
export function traceOfRun(spans: readonly CollectedSpan[], execution: string): CollectedSpan[] | undefined {
  const run = spans.find(({ name, attributes }) => name === 'run' && attributes['aloft.execution'] === execution);
  return run && spans.filter(({ traceId }) => traceId === run.traceId);
}

/** What is wrong with a run's trace: nothing, if it is one connected trace that covers the run from its creation to its end. */
export function problemsOf(spans: readonly CollectedSpan[], expected: ExpectedTrace): string[] {
  return [
    ...connection(spans, expected.caller),
    ...presence(spans, expected),
    ...run(spans, expected.phase),
    ...Object.entries(expected.nodes).flatMap(([node, attempts]) => nodeProblems(spans, node, attempts)),
  ];
}

const describe = ({ name, service, spanId }: CollectedSpan): string => `"${name}" of ${service} (${spanId})`;

function connection(spans: readonly CollectedSpan[], caller: string | undefined): string[] {
  const traces = new Set(spans.map(({ traceId }) => traceId));
  if (traces.size !== 1) return [`there are ${traces.size} traces, not one`];
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === '' || parentSpanId === caller);
  const orphans = spans.filter(
    ({ parentSpanId }) => parentSpanId !== '' && parentSpanId !== caller && !ids.has(parentSpanId),
  );
  return [
    ...(roots.length === 1 ? [] : [`there are ${roots.length} roots, not one: ${roots.map(describe).join(', ')}`]),
    ...orphans.map((span) => `the parent ${span.parentSpanId} of ${describe(span)} is missing`),
    ...spans.filter(({ start, end }) => end < start).map((span) => `${describe(span)} ends before it begins`),
  ];
}

function presence(
  spans: readonly CollectedSpan[],
  { services = [], scopes = [], names = [] }: ExpectedTrace,
): string[] {
  const missing = (what: string, wanted: readonly string[], found: readonly string[]) =>
    wanted.filter((each) => !found.includes(each)).map((each) => `there is no span with the ${what} ${each}`);
  return [
    ...missing(
      'service',
      services,
      spans.map(({ service }) => service),
    ),
    ...missing(
      'scope',
      scopes,
      spans.map(({ scope }) => scope),
    ),
    ...missing(
      'name',
      names,
      spans.map(({ name }) => name),
    ),
  ];
}

function run(spans: readonly CollectedSpan[], phase: string): string[] {
  const runs = spans.filter(({ name, scope }) => name === 'run' && scope === 'aloft.propeller');
  const [only] = runs;
  if (!only || runs.length > 1) return [`there are ${runs.length} spans "run", not one`];
  const told = only.attributes['aloft.phase'];
  const later = spans.filter(({ name, end }) => name.startsWith('node ') && end > only.end + 1);
  return [
    ...(told === phase ? [] : [`the run ended ${told}, not ${phase}`]),
    ...(only.failed === (phase !== 'SUCCEEDED') ? [] : [`the status of the run does not say how it ended`]),
    ...later.map((span) => `${describe(span)} ends after its run`),
  ];
}

function nodeProblems(spans: readonly CollectedSpan[], node: string, attempts: number): string[] {
  const own = spans.filter(({ name }) => name === `node ${node}`);
  const [only] = own;
  if (!only || own.length > 1) return [`there are ${own.length} spans "node ${node}", not one`];
  const tried = spans.filter(({ parentSpanId, name }) => parentSpanId === only.spanId && /^attempt \d+$/.test(name));
  const problems =
    tried.length === attempts ? [] : [`node ${node} has ${tried.length} attempts in the trace, not ${attempts}`];
  for (const attempt of tried) {
    if (attempt.start < only.start - 1 || attempt.end > only.end + 1)
      problems.push(`${describe(attempt)} is not within its node ${node}`);
    problems.push(...partProblems(spans, attempt));
  }
  return problems;
}

/** The parts of an attempt follow each other without gaps, from its launch to the commit of its end. */
function partProblems(spans: readonly CollectedSpan[], attempt: CollectedSpan): string[] {
  const parts = spans
    .filter(({ parentSpanId, name }) => parentSpanId === attempt.spanId && name.startsWith('attempt.'))
    .sort((a, b) => a.start - b.start || a.end - b.end);
  if (parts.length === 0) return [`${describe(attempt)} has no parts`];
  let at = attempt.start;
  const problems: string[] = [];
  for (const part of parts) {
    if (Math.abs(part.start - at) > 1) problems.push(`${describe(part)} leaves a gap of ${part.start - at} ms`);
    at = part.end;
  }
  if (Math.abs(attempt.end - at) > 1) problems.push(`the parts of ${describe(attempt)} end before it`);
  return problems;
}
