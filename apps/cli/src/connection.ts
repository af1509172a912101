import { AloftError } from '@aloft/errors';
import { AttemptServiceClient } from '@aloft/idl/aloft/v1/attempts';
import { ExplainServiceClient } from '@aloft/idl/aloft/v1/explain';
import { HistoryServiceClient } from '@aloft/idl/aloft/v1/history';
import { NodeControlServiceClient } from '@aloft/idl/aloft/v1/control';
import { RetentionServiceClient } from '@aloft/idl/aloft/v1/retention';
import { LogServiceClient, WatchServiceClient } from '@aloft/idl/aloft/v1/watch';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { DataProxyServiceClient } from '@aloft/idl/flyteidl/service/dataproxy';
import { SignalServiceClient } from '@aloft/idl/flyteidl/service/signal';
import { createClient } from '@aloft/rpc/client';

/** Where the platform is and whose entities are meant: the options that every command takes. */
export interface Target {
  /** `host:port` of the gRPC server. */
  readonly endpoint: string;
  readonly project: string;
  readonly domain: string;
}

/** Clients of one platform; `onWarning`: what it tells beside good answers. */
export function connect(target: Target, onWarning?: (message: string) => void) {
  const { endpoint } = target;
  const options = onWarning ? { onWarning } : {};
  const clients = {
    admin: createClient(AdminServiceClient, endpoint, options),
    dataProxy: createClient(DataProxyServiceClient, endpoint, options),
    signals: createClient(SignalServiceClient, endpoint, options),
    watch: createClient(WatchServiceClient, endpoint, options),
    logs: createClient(LogServiceClient, endpoint, options),
    explain: createClient(ExplainServiceClient, endpoint, options),
    attempts: createClient(AttemptServiceClient, endpoint, options),
    history: createClient(HistoryServiceClient, endpoint, options),
    nodes: createClient(NodeControlServiceClient, endpoint, options),
    retention: createClient(RetentionServiceClient, endpoint, options),
  };
  return {
    ...clients,
    target,
    /** Whether a platform answers there, within the time. */
    async answers(withinMs: number): Promise<boolean> {
      try {
        await clients.admin.getVersion({}, { deadlineMs: withinMs });
        return true;
      } catch (error) {
        if (error instanceof AloftError) return false;
        throw error;
      }
    },
    close: () => Object.values(clients).forEach((client) => client.close()),
  };
}

export type Connection = ReturnType<typeof connect>;

export const defaultEndpoint = (env: NodeJS.ProcessEnv): string =>
  env['ALOFT_ENDPOINT'] ?? `localhost:${env['ALOFT_GRPC_PORT'] ?? 8089}`;
