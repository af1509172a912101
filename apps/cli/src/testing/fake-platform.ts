import type { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '@aloft/errors';
import { createS3Endpoint, type S3Endpoint } from '@aloft/blob';
import { temporaryBlobStore } from '@aloft/blob/testing';
import { AttemptServiceService } from '@aloft/idl/aloft/v1/attempts';
import { ExplainExecutionResponse, ExplainServiceService } from '@aloft/idl/aloft/v1/explain';
import {
  GetExecutionAtResponse,
  HistoryServiceService,
  type HistoryEntry,
  type ReplayExecutionResponse,
} from '@aloft/idl/aloft/v1/history';
import {
  DescribeNodeResponse,
  NodeControlResponse,
  NodeControlServiceService,
  type Revision,
} from '@aloft/idl/aloft/v1/control';
import {
  LogServiceService,
  StreamLogsResponse,
  type WatchExecutionResponse,
  type WatchProjectResponse,
  WatchServiceService,
} from '@aloft/idl/aloft/v1/watch';
import { RetentionServiceService } from '@aloft/idl/aloft/v1/retention';
import { Execution, type ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlan, type LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { TaskSpec } from '@aloft/idl/flyteidl/admin/task';
import { WorkflowSpec } from '@aloft/idl/flyteidl/admin/workflow';
import type { Identifier, NodeExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { AdminServiceService as Admin } from '@aloft/idl/flyteidl/service/admin';
import { DataProxyServiceService } from '@aloft/idl/flyteidl/service/dataproxy';
import { RpcServer } from '@aloft/rpc';
import { createLogger } from '@aloft/telemetry';
import type { Handlers, ServiceDefinition } from '@aloft/rpc';

const credentials = { accessKeyId: 'AKIDTEST', secretAccessKey: 'test-secret' };

/** A registry, a blob store and scripted runs behind real gRPC and real S3: what the CLI talks to in its tests. */
export class FakePlatform {
  readonly tasks = new Map<string, TaskSpec>();
  readonly workflows = new Map<string, WorkflowSpec>();
  readonly plans = new Map<string, { id: Identifier; spec: LaunchPlanSpec }>();
  readonly created: ExecutionCreateRequest[] = [];
  readonly activated: string[] = [];
  /** What WatchExecution sends. */
  script: WatchExecutionResponse[] = [];
  /** What WatchProject sends. */
  projectScript: WatchProjectResponse[] = [];
  /** What StreamHistory, ReplayExecution and GetExecutionAt answer, and what they were asked. */
  history: HistoryEntry[] = [];
  replays: Record<string, ReplayExecutionResponse> = {};
  /** Runs of an external engine. */
  foreign: string[] = [];
  then = GetExecutionAtResponse.create();
  askedHistory: unknown[] = [];
  explained = ExplainExecutionResponse.create();
  outputs: LiteralMap = { literals: {} };
  logs: Record<string, string> = {};
  /** Node controls as they came, by rpc; and why they are refused, if they are. */
  readonly controls: [rpc: string, request: object][] = [];
  refusal = '';
  node: DescribeNodeResponse = DescribeNodeResponse.fromPartial({});
  revisions: Revision[] = [];
  /** Calls of rpcs that nothing else here stands for, and what they answer (default: an empty message). */
  readonly calls: [rpc: string, request: object][] = [];
  answers: Record<string, object> = {};
  endpoint = '';
  /** Environment of tasks that read and write its blob storage. */
  taskEnvironment: Record<string, string> = {};
  private stopAll: (() => Promise<void>)[] = [];

  static async start(): Promise<FakePlatform> {
    const platform = new FakePlatform();
    // The store signs URLs of the endpoint over it, which has an address only once it listens.
    const { store, close } = temporaryBlobStore({ credentials, endpoint: () => s3.url });
    const s3: S3Endpoint = createS3Endpoint({ objects: store.objects, credentials });
    const url = await s3.listen(0);
    const server = new RpcServer({ logger: createLogger('test', { level: 'silent' }), port: 0 });
    server.register(Admin, { ...platform.recorded(Admin), ...platform.admin() });
    server.register(AttemptServiceService, platform.recorded(AttemptServiceService));
    server.register(RetentionServiceService, platform.recorded(RetentionServiceService));
    server.register(DataProxyServiceService, {
      async createUploadLocation({ filename, filenameRoot, contentMd5, project, domain }) {
        const root = filenameRoot || contentMd5.toString('hex');
        const uri = `s3://${store.bucket}/${project}/${domain}/${root}/${filename}`;
        const signed = await store.signPut(uri, {
          expiresInSeconds: 60,
          contentMd5: contentMd5.length > 0 ? contentMd5 : undefined,
        });
        return { signedUrl: signed.url, nativeUrl: uri, headers: signed.headers, expiresAt: undefined };
      },
    });
    server.register(WatchServiceService, {
      async *watchExecution() {
        yield* platform.script;
      },
      async *watchProject() {
        yield* platform.projectScript;
      },
    });
    server.register(HistoryServiceService, {
      async *streamHistory(request) {
        platform.askedHistory.push(request);
        platform.requireOwn(request.id);
        yield* platform.history;
      },
      replayExecution: async ({ id }) => {
        platform.requireOwn(id);
        const answer = platform.replays[id!.name];
        if (!answer) throw notFound(`there is no execution ${id!.name}`);
        return answer;
      },
      getExecutionAt: async (request) => {
        platform.askedHistory.push(request.moment);
        return platform.then;
      },
    });
    server.register(ExplainServiceService, {
      explainExecution: async () => platform.explained,
      explainNode: async ({ id }) => ({ node: platform.explained.nodes.find(({ nodeId }) => nodeId === id!.nodeId) }),
    });
    server.register(LogServiceService, {
      async *streamLogs({ node }) {
        const text = platform.logs[node!.nodeId];
        if (text === undefined) throw notFound(`no output of ${node!.nodeId}`);
        yield StreamLogsResponse.fromPartial({ data: Buffer.from(text) });
      },
    });
    server.register(NodeControlServiceService, platform.nodes());
    platform.endpoint = `127.0.0.1:${await server.listen()}`;
    platform.taskEnvironment = {
      FLYTE_AWS_ENDPOINT: url,
      FLYTE_AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      FLYTE_AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    platform.stopAll = [() => server.close(0), () => s3.close(0), async () => close()];
    return platform;
  }

  async stop(): Promise<void> {
    for (const stop of this.stopAll) await stop();
  }

  /** Every unary rpc of a service: noted, and answered as the test says. */
  private recorded<S extends ServiceDefinition>(definition: S): Partial<Handlers<S>> {
    const handlers = Object.entries(definition).flatMap(([rpc, { responseStream, responseDeserialize }]) =>
      responseStream
        ? []
        : [
            [
              rpc,
              async (request: object) => {
                this.calls.push([rpc, request]);
                return { ...(responseDeserialize(Buffer.alloc(0)) as object), ...this.answers[rpc] };
              },
            ],
          ],
    );
    return Object.fromEntries(handlers) as Partial<Handlers<S>>;
  }

  private requireOwn(id: { name: string } | undefined): void {
    if (this.foreign.includes(id!.name)) throw failedPrecondition(`${id!.name} is run by an external engine`);
  }

  /** A node control service that does whatever it is told, to the letter. */
  private nodes(): Handlers<NodeControlServiceService> {
    const control =
      (rpc: string) =>
      async (request: { id: NodeExecutionIdentifier | undefined }): Promise<NodeControlResponse> => {
        if (this.refusal) throw failedPrecondition(this.refusal);
        this.controls.push([rpc, request]);
        const execution = request.id!.executionId;
        const revision = { number: 1, state: 1, control: { nodeId: request.id!.nodeId } };
        return NodeControlResponse.fromPartial({ revision, execution });
      };
    return {
      cancelNode: control('cancel'),
      retryNode: control('retry'),
      setNodeOutputs: control('setOutputs'),
      rerunNode: control('rerun'),
      describeNode: async () => this.node,
      listRevisions: async () => ({ revisions: this.revisions, token: '' }),
    };
  }

  private admin(): Partial<Handlers<AdminServiceService>> {
    const keyOf = (id: Identifier | undefined): string => `${id!.name}@${id!.version}`;
    const store = <S>(
      entities: Map<string, S>,
      id: Identifier | undefined,
      spec: S,
      bytes: (spec: S) => string,
    ): void => {
      const known = entities.get(keyOf(id));
      if (known && bytes(known) === bytes(spec)) throw alreadyExists(`${keyOf(id)} exists`);
      if (known) throw invalidArgument(`${keyOf(id)} exists with a different structure; register a new version`);
      entities.set(keyOf(id), spec);
    };
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    return {
      getTask: async ({ id }) => ({
        id,
        closure: { compiledTask: { template: this.tasks.get(keyOf(id))?.template }, createdAt: undefined },
        shortDescription: '',
      }),
      getVersion: async () => ({ controlPlaneVersion: undefined }),
      createTask: async ({ id, spec }) => (store(this.tasks, id, spec!, (s) => hex(TaskSpec.encode(s).finish())), {}),
      createWorkflow: async ({ id, spec }) => (
        store(this.workflows, id, spec!, (s) => hex(WorkflowSpec.encode(s).finish())),
        {}
      ),
      createLaunchPlan: async ({ id, spec }) => (
        store(this.plans, id, { id: id!, spec: spec! }, (s) =>
          hex(LaunchPlan.encode(LaunchPlan.fromPartial(s)).finish()),
        ),
        {}
      ),
      updateLaunchPlan: async ({ id }) => (this.activated.push(keyOf(id)), {}),
      getLaunchPlan: async ({ id }) => this.plan(this.plans.get(keyOf(id))),
      getActiveLaunchPlan: async ({ id }) => {
        throw notFound(`${id!.name} has no active version`);
      },
      listLaunchPlans: async ({ id }) => ({
        launchPlans: [...this.plans.values()]
          .filter((plan) => !id!.name || plan.id.name === id!.name)
          .map((plan) => this.plan(plan)),
        token: '',
      }),
      createExecution: async (request) => {
        this.created.push(request);
        return {
          id: {
            project: request.project,
            domain: request.domain,
            org: '',
            name: request.name || `run${this.created.length}`,
          },
        };
      },
      getExecution: async ({ id }) => {
        if (id!.name === 'unknown') throw notFound(`execution ${id!.project}/${id!.domain}/unknown does not exist`);
        return Execution.fromPartial({ id, closure: { phase: 4, duration: { seconds: 2n, nanos: 0 } } });
      },
      listExecutions: async () => ({
        executions: [...Object.keys(this.replays), ...this.foreign].map((name) =>
          Execution.fromPartial({ id: { org: '', project: 'p', domain: 'd', name } }),
        ),
        token: '',
      }),
      getExecutionData: async () => ({
        inputs: undefined,
        outputs: undefined,
        fullInputs: undefined,
        fullOutputs: this.outputs,
      }),
    };
  }

  private plan(found: { id: Identifier; spec: LaunchPlanSpec } | undefined): LaunchPlan {
    if (!found) throw notFound('there is no such launch plan');
    return LaunchPlan.fromPartial({
      ...found,
      closure: { expectedInputs: found.spec.defaultInputs, state: 0, createdAt: { seconds: 1n, nanos: 0 } },
    });
  }
}
