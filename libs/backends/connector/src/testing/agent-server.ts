import { Agent, GetTaskLogsResponse, type GetTaskLogsRequest, Resource } from '@aloft/idl/flyteidl/admin/agent';
import { ExecutionMetricResult } from '@aloft/idl/flyteidl/core/metrics';
import {
  AgentMetadataServiceService,
  type AgentMetadataServiceServer,
  AsyncAgentServiceService,
  type AsyncAgentServiceServer,
} from '@aloft/idl/flyteidl/service/agent';
import { type Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';

/** An agent server that is none of flytekit's: it has logs, keeps its clients out, and changes what it serves. */
export class AgentServer {
  /** Task types that it lists. */
  types = ['custom'];
  /** Of its one job. */
  resource: Partial<Resource> = {};
  /** Pages of its log; `undefined`: it has no such rpc. */
  log: string[][] | undefined;
  metrics: Record<string, Record<string, unknown>> | undefined;
  /** How often logs were asked for. */
  logCalls = 0;
  failingDeletes = 0;
  deletes = 0;
  private readonly server = new Server();
  port = 0;

  constructor(private readonly options: { token?: string } = {}) {
    const metadata: AgentMetadataServiceServer = {
      getAgent: (_call, answer) => answer({ code: status.UNIMPLEMENTED }),
      listAgents: (call, answer) =>
        this.isWelcome(call.metadata)
          ? answer(null, {
              agents: this.types.map((name) =>
                Agent.fromPartial({ name, supportedTaskCategories: [{ name, version: 0 }] }),
              ),
            })
          : answer({ code: status.UNAUTHENTICATED, details: 'who are you?' }),
    };
    const tasks: AsyncAgentServiceServer = {
      createTask: (call, answer) =>
        this.isWelcome(call.metadata)
          ? answer(null, { resourceMeta: Buffer.from('the job') })
          : answer({ code: status.UNAUTHENTICATED, details: 'who are you?' }),
      getTask: (_call, answer) => answer(null, { resource: Resource.fromPartial(this.resource) }),
      deleteTask: (_call, answer) => {
        this.deletes += 1;
        if (this.failingDeletes-- > 0) answer({ code: status.INTERNAL, details: 'not now' });
        else answer(null, {});
      },
      getTaskMetrics: (_call, answer) => {
        if (!this.metrics) return answer({ code: status.UNIMPLEMENTED });
        const results = Object.entries(this.metrics).map(([metric, data]) =>
          ExecutionMetricResult.create({ metric, data }),
        );
        return answer(null, { results });
      },
      getTaskLogs: (call) => {
        this.logCalls += 1;
        const pages = this.log;
        if (!pages) {
          call.emit('error', { code: status.UNIMPLEMENTED });
          return;
        }
        const at = Number((call.request as GetTaskLogsRequest).token || 0);
        const token = at + 1 < pages.length ? String(at + 1) : '';
        const structuredLines = (pages[at] ?? []).map((message) => ({ message }));
        call.write(GetTaskLogsResponse.fromPartial({ part: { $case: 'header', value: { token } } }));
        call.write(GetTaskLogsResponse.fromPartial({ part: { $case: 'body', value: { structuredLines } } }));
        call.end();
      },
    };
    this.server.addService(AgentMetadataServiceService, metadata);
    this.server.addService(AsyncAgentServiceService, tasks);
  }

  get address(): string {
    return `localhost:${this.port}`;
  }

  listen(credentials = ServerCredentials.createInsecure()): Promise<this> {
    return new Promise((resolve, reject) =>
      this.server.bindAsync('localhost:0', credentials, (error, port) => {
        if (error) return reject(error);
        this.port = port;
        return resolve(this);
      }),
    );
  }

  stop(): void {
    this.server.forceShutdown();
  }

  private isWelcome(metadata: Metadata): boolean {
    const { token } = this.options;
    return token === undefined || metadata.get('authorization')[0] === `Bearer ${token}`;
  }
}
