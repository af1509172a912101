import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { ExecutionError_ErrorKind, TaskExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { collectOutputs } from '../data/array-outputs.js';
import { cut } from '../data/failures.js';
import { inlineLimit, inlineValue } from '../data/values.js';
import { arrayEvent } from '../events/array-events.js';
import { awaitsBackends } from '../lifecycle/abort.js';
import { abortItems } from '../lifecycle/abort-items.js';
import { enter } from '../lifecycle/active.js';
import { fail, succeed } from '../lifecycle/finish.js';
import { loseArray } from '../lifecycle/lost-arrays.js';
import { request } from '../lifecycle/requests.js';
import { cancelTimer } from '../lifecycle/timers.js';
import type { ArrayItems } from '../state/array-items.js';
import { Because } from '../state/ending.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';

/** C-141: fails as soon as its goal is out of reach; succeeds when none runs any more. */
export function settleArray(run: RunState, work: NodeWork, items: ArrayItems): void {
  if (items.size - items.failed < items.needed) {
    const reason = 'the array failed';
    if (awaitsBackends(run, work, { because: Because.Items, reason })) return;
    const error = arrayError(run, items);
    loseArray(run, work, items);
    abortItems(run, work, items, reason);
    cancelTimer(run, items.eventTimer);
    items.eventTimer = 0;
    arrayEvent(run, work, items, TaskExecution_Phase.FAILED, { error });
    work.items = work.ending = undefined;
    return fail(run, work, error);
  }
  if (!items.isDone) return;
  cancelTimer(run, items.eventTimer);
  items.eventTimer = 0;
  const sources = collectOutputs(work, items);
  let size = 0;
  for (const name in sources) {
    const source = sources[name]!;
    size += 'encoded' in source ? source.encoded.length + name.length * 3 + 10 : Infinity;
  }
  if (size > inlineLimit) {
    enter(run, work, NodeState.StoringOutputs);
    request(run, work, Purpose.StoreOutputs);
    return;
  }
  const literals: Record<string, Literal> = {};
  for (const name in sources) {
    const source = sources[name]!;
    if ('encoded' in source) literals[name] = Literal.decode(source.encoded);
  }
  arrayFinished(run, work, items, inlineValue(literals));
}

export function arrayFinished(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  outputs: ReturnType<typeof inlineValue>,
): void {
  arrayEvent(run, work, items, TaskExecution_Phase.SUCCEEDED, { outputs });
  work.items = undefined;
  succeed(run, work, outputs);
}

function arrayError(run: RunState, items: ArrayItems): ExecutionError {
  const [first] = items.errors;
  const lines = items.errors.map(({ index, error }) => `[${index}] ${error.code}: ${error.message}`);
  const unnamed = items.failed - items.errors.length;
  if (unnamed > 0) lines.push(`… and ${unnamed} more`);
  const message = `${items.failed} of ${items.size} items failed, where ${items.needed} had to succeed:\n${lines.join('\n')}`;
  return {
    code: first?.error.code ?? 'ArrayNodeFailing',
    message: cut(message),
    errorUri: '',
    kind: first?.error.kind ?? ExecutionError_ErrorKind.USER,
    timestamp: run.now,
    worker: '',
  };
}
