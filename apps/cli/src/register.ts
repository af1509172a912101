import { AloftError } from '@aloft/errors';
import { LaunchPlanState } from '@aloft/idl/flyteidl/admin/launch_plan';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Serialized } from '@aloft/sdk/bundle';
import { bundleFile, type Bundle, type BundleOptions } from './bundle/bundle.js';
import type { Connection } from './connection.js';
import { uploadBytes, uploadPath } from './upload.js';

export interface RegisterOptions extends BundleOptions {
  version?: string;
  image?: string;
  /** Starts the schedules of launch plans that have one. */
  activate?: boolean;
}

export type RegisteredKind = 'task' | 'workflow' | 'launch plan';

export interface Registered {
  kind: RegisteredKind;
  id: Identifier;
  outcome: 'created' | 'unchanged';
}

export interface Registration {
  version: string;
  bundle: Bundle;
  distribution: string;
  entities: Registered[];
}

/** Image that tasks name when nobody says otherwise; local platforms never look at it. */
export const defaultImage = 'aloft/typescript:0.1.0';

/** Bundles a file, stores the bundle and registers every entity that it exports or uses. */
export async function registerFile(
  connection: Connection,
  path: string,
  options: RegisterOptions = {},
): Promise<Registration> {
  const bundle = await bundleFile(path, options);
  const distribution = await uploadBytes(connection, bundle.archive, 'bundle.tar.gz');
  const version = options.version ?? bundle.digest;
  const { project, domain } = connection.target;
  const serialized = await bundle.entry.serialize({
    project,
    domain,
    version,
    image: options.image ?? defaultImage,
    module: bundle.module,
    distribution,
    transfer: {
      upload: (file, multipart) => uploadPath(connection, file, multipart),
      download: (uri) => Promise.reject(new Error(`${uri}: registration reads no stored files.`)),
    },
  });
  const { admin } = connection;
  const entities: Registered[] = [];
  const register = async (kind: RegisteredKind, id: Identifier, create: () => Promise<unknown>): Promise<void> => {
    try {
      await create();
      entities.push({ kind, id, outcome: 'created' });
    } catch (error) {
      if (!(error instanceof AloftError)) throw error;
      if (error.code !== 'ALREADY_EXISTS')
        throw new AloftError(error.code, `${kind} ${id.name} (version ${id.version}): ${error.message}`, {
          details: error.details,
          cause: error,
        });
      entities.push({ kind, id, outcome: 'unchanged' });
    }
  };
  const registerPlan = async ({ id, spec, hasSchedule }: Serialized['launchPlans'][number]): Promise<void> => {
    await register('launch plan', id, () => admin.createLaunchPlan({ id, spec }));
    if (options.activate && hasSchedule) await admin.updateLaunchPlan({ id, state: LaunchPlanState.ACTIVE });
  };
  await Promise.all(serialized.tasks.map(({ id, spec }) => register('task', id, () => admin.createTask({ id, spec }))));
  // Inner workflows come first in the list, and outer ones refer to them: by themselves, or by their launch plans.
  for (const { id, spec } of serialized.workflows) {
    await register('workflow', id, () => admin.createWorkflow({ id, spec }));
    const own = serialized.launchPlans.filter((plan) => sameEntity(plan.spec.workflowId, id));
    for (const plan of own) await registerPlan(plan);
  }
  return { version, bundle, distribution, entities };
}

function sameEntity(one: Identifier | undefined, other: Identifier): boolean {
  return one !== undefined && Buffer.from(Identifier.encode(one).finish()).equals(Identifier.encode(other).finish());
}
