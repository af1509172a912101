import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TraceContext } from '@aloft/telemetry';

/** What every message about a run carries; fixed when the run starts. */
export interface RunIdentity {
  uid: string;
  id: WorkflowExecutionIdentifier;
  /** Ordering key of the run on the bus. */
  key: string;
  /** 0…1023. */
  shard: number;
  /** Of the call that created it. */
  traceparent: string;
  tracestate: string;
  /** The run's own span: what its messages carry. */
  trace: TraceContext;
  principal: string;
  /** The start command without its inputs: settings, parent and origin stay at hand without the log. */
  start: StartExecution;
}
