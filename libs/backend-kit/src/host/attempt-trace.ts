import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import {
  deriveTrace,
  isRecorded,
  readTrace,
  recordSpan,
  runFields,
  withSpan,
  withTrace,
  type TraceContext,
} from '@aloft/telemetry';
import type { AttemptEntry } from './attempt-entry.js';

const scope = 'aloft.backend-kit';

/** The attempt's own span, which its propeller tells; what is done for it here is under that. */
const traceOf = ({ command }: AttemptEntry): TraceContext | undefined =>
  readTrace(command.traceparent, command.tracestate);

function attributesOf({ attempt, launch }: AttemptEntry, backend: string) {
  return {
    'aloft.project': attempt.execution?.project,
    'aloft.domain': attempt.execution?.domain,
    'aloft.execution': attempt.execution?.name,
    'aloft.run': attempt.executionUid,
    'aloft.node': attempt.nodeId,
    'aloft.attempt': attempt.retryAttempt,
    'aloft.task_type': launch.template?.type,
    'aloft.backend': backend,
  };
}

/** The plugin's launch, in the attempt's trace and not in that of the batch which happened to start it. */
export function tracedLaunch(entry: AttemptEntry, backend: string, launch: () => Promise<void>): Promise<void> {
  const trace = traceOf(entry);
  return withTrace(trace, () =>
    isRecorded(trace) ? withSpan('host launch', attributesOf(entry, backend), launch, { scope }) : launch(),
  );
}

/** What this host did for the attempt, told when it is over: from when it took it until its end. */
export function traceExecution(entry: AttemptEntry, backend: string): void {
  const parent = traceOf(entry);
  if (!parent || !isRecorded(parent) || !entry.last) return;
  const { phase } = entry.last;
  recordSpan({
    name: 'host execution',
    scope,
    trace: deriveTrace(parent, 'host', entry.key, entry.generation, entry.restarts),
    parent,
    start: entry.acceptedAt,
    end: Date.now(),
    attributes: { ...attributesOf(entry, backend), 'aloft.phase': TaskExecution_Phase[phase] },
    failure: phase === TaskExecution_Phase.SUCCEEDED ? undefined : codeOf(entry),
  });
}

function codeOf({ last }: AttemptEntry): string {
  const result = last?.outcome?.result;
  return result?.$case === 'error' ? result.value.code : (TaskExecution_Phase[last?.phase ?? 0] ?? 'UNDEFINED');
}

/** What lines about an attempt say. */
export const attemptFields = ({ attempt }: AttemptEntry) => ({
  ...runFields(attempt.execution, attempt.executionUid, attempt),
  job: attempt.name,
});
