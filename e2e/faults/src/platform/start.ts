import { DistributedPlatform } from './distributed.js';
import { EmbeddedPlatform } from './embedded.js';
import type { PlatformUnderTest, Shape } from './platform.js';

export interface PlatformSettings {
  shape: Shape;
  /** Of the distributed shape. */
  bus: 'kafka' | 'postgres';
  folder: string;
  /** A process ended that nobody had told to; it is started again. */
  onUnexpectedEnd: (process: string, how: string) => void;
  /** Gives up starting; what has started is stopped. */
  signal?: AbortSignal;
}

export function startPlatform({
  shape,
  bus,
  folder,
  onUnexpectedEnd,
  signal,
}: PlatformSettings): Promise<PlatformUnderTest> {
  return shape === 'embedded'
    ? EmbeddedPlatform.start(folder, onUnexpectedEnd)
    : DistributedPlatform.start(folder, bus, onUnexpectedEnd, signal);
}
