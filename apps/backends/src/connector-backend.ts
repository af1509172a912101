import { readFileSync } from 'node:fs';
import { createConnectorBackend } from '@aloft/backend-connector';
import type { BackendPlugin } from '@aloft/backend-kit';
import { invalidArgument } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { BackendsConfig } from './config.js';
import type { LocalBackendSurroundings } from './local-backend.js';

/** Largest template and inputs that are sent, and largest outputs that are taken, in bytes. */
const maxMessageBytes = 64 * 1024 * 1024;

/** Of a job's log. */
const maxLogBytes = 4 * 1024 * 1024;

/** The plugin `connector` as the configuration wants it. @throws INVALID_ARGUMENT for a token's variable that is not set */
export function connectorBackend(
  config: BackendsConfig['connector'],
  { publicUrl }: Pick<LocalBackendSurroundings, 'publicUrl'>,
  logger: Logger,
  env: NodeJS.ProcessEnv = process.env,
): BackendPlugin {
  const { servers, fallback, slots, listEveryMs, observeEveryMs, pollMs, callsPerSecond, patienceMs } = config;
  return createConnectorBackend(
    {
      servers: servers.map(({ tls, tokenVariable, ...server }, i) => {
        const token = tokenVariable === undefined ? undefined : env[tokenVariable];
        if (tokenVariable !== undefined && !token)
          throw invalidArgument(
            `backends.connector.servers[${i}].tokenVariable: ${tokenVariable} is not set; it should hold the token of "${server.name}"`,
          );
        return {
          ...server,
          ...(tls ? { tls: { ca: tls.caFile ? readFileSync(tls.caFile) : undefined } } : {}),
          ...(token ? { metadata: () => ({ authorization: `Bearer ${token}` }) } : {}),
        };
      }),
      fallback,
      slots,
      listEveryMs,
      maxMessageBytes,
      observe: { everyMs: observeEveryMs, maxLogBytes, publicUrl },
      limits: {
        pollMs,
        patienceMs,
        reads: { concurrency: 32, perSecond: callsPerSecond.read },
        writes: { concurrency: 32, perSecond: callsPerSecond.write },
      },
    },
    logger,
  );
}
