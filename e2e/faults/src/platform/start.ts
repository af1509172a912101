import { EmbeddedPlatform } from './embedded.js';
import type { PlatformUnderTest, Shape } from './platform.js';

export function startPlatform(
  shape: Shape,
  folder: string,
  onUnexpectedEnd: (process: string, how: string) => void,
): Promise<PlatformUnderTest> {
  if (shape === 'embedded') return EmbeddedPlatform.start(folder, onUnexpectedEnd);
  throw new Error(`the ${shape} shape is not there yet`);
}
