import { AloftError } from '@aloft/errors';
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

/** Clients of one platform. */
export function connect(target: Target) {
  const { endpoint } = target;
  const clients = {
    admin: createClient(AdminServiceClient, endpoint),
    dataProxy: createClient(DataProxyServiceClient, endpoint),
    signals: createClient(SignalServiceClient, endpoint),
    watch: createClient(WatchServiceClient, endpoint),
    logs: createClient(LogServiceClient, endpoint),
    explain: createClient(ExplainServiceClient, endpoint),
    history: createClient(HistoryServiceClient, endpoint),
    nodes: createClient(NodeControlServiceClient, endpoint),
    retention: createClient(RetentionServiceClient, endpoint),
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
