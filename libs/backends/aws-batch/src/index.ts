import { WebApiBackend, type BackendPlugin } from '@aloft/backend-kit';
import type { Logger } from '@aloft/telemetry';
import { BatchApi } from './batch-api.js';
import type { BatchJob } from './jobs/handle.js';
import type { AwsBatchOptions } from './options.js';

export { BatchApi } from './batch-api.js';
export { isAllowedRole, namesOfRoles } from './definitions/roles.js';
export type { BatchJob } from './jobs/handle.js';
export { defaultOptions, type AwsBatchOptions, type Platform, type QueueRule } from './options.js';

/** The backend `aws-batch`. Its calls to Batch are bounded by the API itself: what the host begins at once is gathered into few. */
export function createAwsBatchBackend(options: AwsBatchOptions, logger: Logger): BackendPlugin {
  return backendOf(new BatchApi(options, logger), options);
}

/** The same of an API that the caller keeps an eye on. */
export function backendOf(api: BatchApi, { pollMs, patienceMs, slots, eventsQueue }: AwsBatchOptions): BackendPlugin {
  return new WebApiBackend<BatchJob>(api, {
    // With events, being asked for is what is left for those that get lost.
    pollMs: eventsQueue === undefined ? pollMs : { first: 20 * pollMs.first, longest: 20 * pollMs.longest },
    patienceMs,
    batch: 1_000,
    reads: { concurrency: 4, perSecond: 1_000 },
    writes: { concurrency: slots, perSecond: Infinity },
  });
}
