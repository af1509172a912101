import { startPlatform } from './platform.js';

/** With limits that a spec can reach, and settings that are read at once. */
export const startRegistryPlatform = () =>
  startPlatform({
    config: {
      limits: { workflowNodes: 100, workflowSize: '64Ki' },
      taskResources: { limits: { cpu: '8' } },
      caches: { listBytes: 10_000, settingsTtlMs: 0 },
    },
  });
