import { Routing } from '@aloft/idl/aloft/v1/routing';
import type { z } from 'zod';
import type { PropellerConfig } from '../config.js';
import { rulesOf } from './routing-config.js';

/** What the backend hosts of this process know; absent where they are elsewhere. */
export interface HostsHere {
  /** Task types that backends have found to be their own: backend by type. */
  discovered(): Readonly<Record<string, string>>;
  /** Backends with a host. */
  names(): readonly string[];
}

/** What a run that begins now is given as its routing. */
export function currentRouting({ backends }: Pick<PropellerConfig, 'backends'>, hosts?: HostsHere): () => Routing {
  const configured = {
    rules: rulesOf(backends.rules),
    byTaskType: backends.byTaskType,
    byPlugin: backends.byPlugin,
    backends: backends.known,
    defaultBackend: backends.default,
    waits: backends.unplaceable === 'wait',
    nativeDependencies: backends.nativeDependencies,
  };
  return () => Routing.fromPartial({ ...configured, discovered: hosts?.discovered() ?? {} });
}

/** Tells of backends that are named and not there. */
export function checkBackends(
  { backends }: Pick<PropellerConfig, 'backends'>,
  known: readonly string[],
  context: z.RefinementCtx,
): void {
  const check = (backend: string, ...path: (string | number)[]) => {
    if (known.includes(backend)) return;
    const message = `there is no backend "${backend}"; there are: ${known.join(', ')}`;
    context.addIssue({ code: 'custom', path: ['propeller', 'backends', ...path], message });
  };
  check(backends.default, 'default');
  for (const [taskType, backend] of Object.entries(backends.byTaskType)) check(backend, 'byTaskType', taskType);
  for (const [plugin, backend] of Object.entries(backends.byPlugin)) check(backend, 'byPlugin', plugin);
  for (const [i, { backend }] of backends.rules.entries()) check(backend, 'rules', i, 'backend');
  for (const [i, backend] of backends.nativeDependencies.entries()) check(backend, 'nativeDependencies', i);
}
