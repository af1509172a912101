import { createAwsBatchBackend, type AwsBatchOptions } from '@aloft/backend-aws-batch';
import type { BackendPlugin } from '@aloft/backend-kit';
import { invalidArgument } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { BackendsConfig } from './config.js';
import type { LocalBackendSurroundings } from './local-backend.js';

/** The plugin `aws-batch` as the configuration wants it. @throws INVALID_ARGUMENT where no region is known */
export function awsBatchBackend(
  config: BackendsConfig['awsBatch'],
  surroundings: Pick<LocalBackendSurroundings, 'platformUrl' | 'storage'>,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
): BackendPlugin {
  const region = config.region ?? env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'];
  if (!region)
    throw invalidArgument(
      'backends.awsBatch.region is not set, and AWS_REGION neither: say in which region the queues are',
    );
  const { environment, ...rest } = config;
  const options: AwsBatchOptions = { ...rest, region, environment: { ...common(surroundings), ...environment } };
  return createAwsBatchBackend(options, logger);
}

/** Where storage and platform are; credentials come from the job's role. */
function common({ platformUrl, storage }: Pick<LocalBackendSurroundings, 'platformUrl' | 'storage'>) {
  const { endpoint, region } = storage();
  const platform = platformUrl();
  const given: Record<string, string | undefined> = {
    FLYTE_AWS_ENDPOINT: endpoint,
    AWS_REGION: region,
    FLYTE_PLATFORM_URL: platform,
    FLYTE_PLATFORM_INSECURE: platform === undefined ? undefined : 'true',
  };
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
