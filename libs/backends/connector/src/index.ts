import { WebApiBackend, type BackendPlugin } from '@aloft/backend-kit';
import type { Logger } from '@aloft/telemetry';
import { ConnectorApi } from './connector-api.js';
import type { ConnectorOptions } from './options.js';

export { ConnectorApi, type ConnectorJob } from './connector-api.js';
export { defaultTimeouts, grpcMessageBytes, type ConnectorOptions, type ConnectorServer } from './options.js';

/** The backend `connector`. */
export function createConnectorBackend(options: ConnectorOptions, logger: Logger): BackendPlugin {
  return new WebApiBackend(new ConnectorApi(options, logger), options.limits);
}
