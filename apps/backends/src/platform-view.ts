import type { PlatformView } from '@aloft/backend-kit';
import { defaultPython, type LocalBackendSurroundings } from './local-backend.js';

/** What backends that are modules are told of the platform. */
export function platformView(
  { storage, publicUrl, platformUrl, python }: LocalBackendSurroundings,
  env: NodeJS.ProcessEnv = process.env,
): PlatformView {
  return { storage, publicUrl, address: platformUrl, python: python ?? defaultPython(env) };
}
