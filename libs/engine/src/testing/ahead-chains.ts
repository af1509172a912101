import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Routing } from '@aloft/idl/aloft/v1/routing';
import type { Node } from '@aloft/idl/flyteidl/core/workflow';
import { closure, INT, int, task, type ClosureSpec, type TaskSpec } from './closures.js';
import { Driver, type DriverOptions } from './driver.js';
import { upstreamFailed } from './native-jobs.js';

/** What specs of launches ahead speak of (S-5): chains on a backend whose jobs wait for each other, and what it says of them. */

export const routing = Routing.fromPartial({
  defaultBackend: 'batch',
  backends: ['batch', 'other'],
  rules: [{ name: 'other', when: { tasks: ['elsewhere'] }, then: { backend: 'other' } }],
  nativeDependencies: ['batch'],
});

export const retried = { metadata: { retries: { retries: 3 } } };
export const tasks: Record<string, TaskSpec> = {
  t: { outputs: { o: INT }, ...retried },
  reads: { inputs: { a: INT }, outputs: { o: INT }, ...retried },
  elsewhere: { outputs: { o: INT } },
  cached: { outputs: { o: INT }, metadata: { discoverable: true, discoveryVersion: '1' } },
  limited: { outputs: { o: INT }, metadata: { timeout: { seconds: 60n, nanos: 0 } } },
};

export const t = (id: string, after: string[] = [], name = 't'): Node => task(id, name, {}, { after });
export const chain = [t('a'), t('b', ['a']), t('c', ['b'])];

export function start(nodes: Node[], options: DriverOptions = {}, spec: Partial<ClosureSpec> = {}): Driver {
  const settings = { routing, ...options.settings };
  return new Driver(closure({ tasks, nodes, ...spec }), { ...options, settings });
}

/** The backend says that it has the job. */
export const submitted = (driver: Driver, nodeId: string): boolean => {
  const launch = driver.launchOf(nodeId);
  return driver.report(launch, Phase.INITIALIZING, { job: `job-${launch.attempt.name}`, phaseVersion: 1 });
};
export const done = (driver: Driver, nodeId: string): boolean => driver.succeed(nodeId, { o: int(1) });
export const never = (driver: Driver, nodeId: string): boolean =>
  driver.report(driver.launchOf(nodeId), Phase.ABORTED, upstreamFailed);

/** Attempts as they were launched, with the jobs that they depend on. */
export const launches = (driver: Driver): string[] =>
  driver.effects.flatMap((effect) =>
    effect.kind === 'launch' ? [[effect.attempt.name.replace('exec-', ''), ...(effect.dependsOn ?? [])].join(' ')] : [],
  );
export const stopped = (driver: Driver): string[] =>
  driver.effects.flatMap((effect) => (effect.kind === 'abort' ? [effect.attempt.name.replace('exec-', '')] : []));
export const phasesOf = (driver: Driver, nodeId: string): string[] =>
  driver.phases().flatMap((told) => (told.startsWith(`${nodeId}:`) ? [told.slice(nodeId.length + 1)] : []));
export const waitOf = (driver: Driver, nodeId: string) => driver.run.explain(nodeId);
