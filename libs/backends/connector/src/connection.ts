import { createClient } from '@aloft/rpc';
import {
  AgentMetadataServiceClient,
  AsyncAgentServiceClient,
  SyncAgentServiceClient,
} from '@aloft/idl/flyteidl/service/agent';
import { credentials } from '@grpc/grpc-js';
import type { ConnectorServer } from './options.js';

/** The three services of one server of connectors, over connections that are kept. */
export class Connection {
  readonly metadata;
  readonly tasks;
  /** Streams both ways, which our clients do not do. */
  readonly sync: InstanceType<typeof SyncAgentServiceClient>;

  constructor(
    readonly server: ConnectorServer,
    maxMessageBytes: number,
  ) {
    const { address, timeoutsMs, tls } = server;
    const channel = tls ? credentials.createSsl(tls.ca ?? null) : credentials.createInsecure();
    const options = {
      maxMessageBytes,
      credentials: channel,
      ...(server.metadata ? { metadata: server.metadata } : {}),
    };
    this.metadata = createClient(AgentMetadataServiceClient, address, { ...options, deadlineMs: timeoutsMs.list });
    // Nothing is sent twice by itself: a repeated create is a second job.
    this.tasks = createClient(AsyncAgentServiceClient, address, { ...options, safe: (method) => method === 'getTask' });
    this.sync = new SyncAgentServiceClient(address, channel, {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
    });
  }

  close(): void {
    this.metadata.close();
    this.tasks.close();
    this.sync.close();
  }
}
