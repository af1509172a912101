import { cannotCollect, dataPlaceOf } from '@aloft/backend-kit';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { registeredCommand } from './command-line.js';
import type { Starter } from './starter.js';

/** The backend `local`: tasks run as they were registered. */
export function asRegistered({ nodeExecutor }: { nodeExecutor: string | undefined }): Starter {
  return {
    name: 'local',
    taskTypes: [],
    open: async () => undefined,
    refuse(launch: LaunchTask) {
      const command = registeredCommand(launch);
      if (command.length === 0)
        return `Tasks of type "${launch.template?.type}" name no command, so nothing can be started for them on the backend "local".`;
      if (command[0]?.endsWith('aloft-execute') && nodeExecutor === undefined)
        return 'Tasks of the TypeScript SDK need its executor, and this host has none: install @aloft/sdk.';
      return dataPlaceOf(launch) && cannotCollect(launch);
    },
    start: async (given) => given,
    links: () => [],
    info: () => ({}),
  };
}
