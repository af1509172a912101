import type { EngineInput } from '@aloft/idl/aloft/v1/engine';
import type { IncomingMessage, ReadBatch } from '@aloft/bus';

/** Messages that were read together: acknowledged when the last of them is durable. */
export class MessageGroup {
  private remaining: number;

  constructor(
    private readonly batch: ReadBatch,
    readonly partition: number,
    private readonly done: () => void,
  ) {
    this.remaining = batch.messages.length;
  }

  /** One of its messages is part of a commit that happened. */
  settle(): void {
    this.remaining -= 1;
    if (this.remaining > 0) return;
    this.batch.acknowledge();
    this.done();
  }

  reject(error: unknown): void {
    if (this.remaining > 0) this.batch.reject(error);
    this.remaining = 0;
    this.done();
  }
}

/** Where an input came from, and so what has to happen when it is applied. */
export type Origin =
  | { kind: 'message'; message: IncomingMessage; group: MessageGroup; applied: () => void }
  | { kind: 'answer'; request: bigint }
  | { kind: 'timer'; timer: bigint }
  /** Released from the parking place: its row goes in the same commit. */
  | { kind: 'released'; message: IncomingMessage };

export interface PendingInput {
  uid: string;
  input: EngineInput;
  /** `input` as it came in, where it did (field number of EngineInput's oneof and the message's bytes). */
  encoded?: { field: number; bytes: Uint8Array };
  origin: Origin;
}
