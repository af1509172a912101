import type { NodeRevised } from '@aloft/idl/aloft/v1/bus';
import type { NameKey } from '../registry/identifiers.js';
import { isTerminalExecution } from '../projection/phases.js';
import type { EventQueue } from '../watch/event-queue.js';
import type { LiveEvent, LiveEvents } from '../watch/live-events.js';

/** What became of a command: what its run decided, that the run ended without, or nothing yet. */
export type Decision = { decided: NodeRevised } | 'ended' | 'unknown';

/** Waits for a run's word on a command: listening begins with the object, before the command is sent. */
export class DecisionListener {
  private readonly queue: EventQueue<LiveEvent>;

  constructor(live: LiveEvents, key: NameKey) {
    this.queue = live.ofRun(key);
  }

  async of(uid: string, commandId: string, signal: AbortSignal): Promise<Decision> {
    for (;;) {
      const batch = await this.queue.next(signal);
      if (batch === undefined || 'dropped' in batch) return 'unknown';
      for (const { uid: of, event } of batch.items) {
        if (of !== uid) continue;
        if (event.event?.$case === 'nodeRevised' && event.event.value.control?.commandId === commandId)
          return { decided: event.event.value };
        if (event.event?.$case === 'workflow' && isTerminalExecution(event.event.value.phase)) return 'ended';
      }
    }
  }

  close(): void {
    this.queue.close();
  }
}
