import type { Logger } from '@aloft/telemetry';
import type { Bus, Consumer, ConsumerOptions } from '../port.js';
import { LeasedConsumer } from './leased-consumer.js';
import { traced } from './observe.js';
import { TailConsumer } from './tail-consumer.js';

/** What a driver gives the consumers beside its port. */
export interface ConsumerDriver {
  log: Logger;
  /** Calls back when another process released leases of a group; returns how to stop that. */
  onReleased(watcher: (group: string) => void): () => void;
  announceRelease(group: string): Promise<void>;
}

/** Starts the consumer of either mode over any driver. */
export function startConsumer(options: ConsumerOptions, bus: Bus, driver: ConsumerDriver): Consumer {
  const observed = { ...options, handle: traced(options) };
  return options.mode === 'leased' ? new LeasedConsumer(observed, bus, driver) : new TailConsumer(options, bus, driver);
}
