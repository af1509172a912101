import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { AttemptQueue, Queued } from '../capacity/attempt-queue.js';
import { requestOf, type ResourceRequest } from '../capacity/quantity.js';
import type { BackendPlugin, PhaseReport } from '../contract.js';
import { failure, failureOf } from '../outcome/phases.js';

/**
 * What becomes of a launch: it takes so much of the capacity; it waits until it has a place, of which nobody knows when that is
 * (`obstacle`); or it ends, since it can't be run.
 */
export type Placing =
  { request: ResourceRequest; obstacle?: string; end?: undefined } | { end: PhaseReport; request?: undefined };

/** Judged by what there is altogether, not by what is free now. */
export function placingOf(
  plugin: BackendPlugin,
  queue: Pick<AttemptQueue<Queued>, 'exceeds'>,
  launch: LaunchTask,
): Placing {
  try {
    const refusal = plugin.refuse(launch);
    if (refusal !== undefined) return { end: ended('LaunchRefused', refusal) };
    const request = requestOf(launch);
    const missing = plugin.noPlace?.(launch);
    if (missing !== undefined)
      return waits(launch) ? { request, obstacle: missing } : { end: ended('NoPlace', missing) };
    const excess = queue.exceeds(request);
    if (excess === undefined) return { request };
    const message = `The task asks for ${excess}. Ask for less, or give the backend "${plugin.name}" more.`;
    return waits(launch) ? { request, obstacle: message } : { end: ended('ResourcesExceedCapacity', message) };
  } catch (error) {
    return { end: failureOf(error, 'LaunchRefused', `The backend "${plugin.name}" cannot run this task`) };
  }
}

/** As the routing of its run says. */
const waits = ({ route }: LaunchTask): boolean => route?.waits ?? false;

const ended = (code: string, message: string): PhaseReport =>
  failure({ code, message, kind: 'USER', retryable: false });
