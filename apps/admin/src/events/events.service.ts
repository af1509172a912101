import type { EventLiterals } from './event-literals.js';
import type { ForeignEvent } from './event-requests.js';
import type { EventWriter } from './event-writer.js';

/** Events of foreign engines (A-60…A-63), for runs whose engine is EXTERNAL. */
export class EventsService {
  constructor(
    private readonly literals: EventLiterals,
    private readonly writer: EventWriter,
  ) {}

  /** Resolves once the event is in the read model and on the bus. */
  async take(event: ForeignEvent, principal: string): Promise<void> {
    await this.writer.write(await this.literals.offload(event), principal);
  }
}
