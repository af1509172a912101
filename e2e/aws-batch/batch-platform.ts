import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BenchClient } from '@aloft/bench/client';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionListRequest, type NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecutionListRequest, type TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { WatchExecutionRequest } from '@aloft/idl/aloft/v1/watch';
import { python } from '../flight-delays/example.js';
import { awsBatch, type Place } from '../flight-delays/places.js';
import { Embedded } from '../trace/embedded.js';

export const place = { project: 'flytesnacks', domain: 'development' };

/** A node of a run with the attempts of its task, the first one first. */
export interface NodeOfRun {
  node: NodeExecution;
  attempts: TaskExecution[];
}

/** The embedded platform in a process of its own, whose Python tasks go to moto's Batch, and a script of stock flytekit that is registered there. */
export class BatchPlatform {
  client!: BenchClient;
  private readonly config: string;

  private constructor(
    readonly platform: Embedded,
    readonly batch: Place,
  ) {
    this.config = join(platform.folder, 'aloft.json');
  }

  /** `script`: of the folder `scripts`, without `.py`. */
  static async start(script: string): Promise<BatchPlatform> {
    const platform = new Embedded({ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ALOFT_PYTHON: python });
    let made: BatchPlatform | undefined;
    try {
      // Its storage has credentials once it has run.
      await platform.start();
      const clientConfig = join(platform.folder, 'data', 'flytekit.yaml');
      made = new BatchPlatform(platform, await awsBatch(join(platform.folder, 'batch'), clientConfig));
      platform.use({ ALOFT_CONFIG: made.config });
      await made.restart();
      await made.register(script, clientConfig);
      return made;
    } catch (error) {
      if (made) await made.close();
      else await platform.close();
      throw error;
    }
  }

  /** `backends`: of `propeller.backends`, beside what sends tasks to Batch. */
  async restart(backends: object = {}): Promise<void> {
    await this.platform.end('SIGTERM');
    const { propeller, ...rest } = this.batch.configuration as { propeller: { backends: object } };
    const configuration = { ...rest, propeller: { backends: { ...propeller.backends, ...backends } } };
    writeFileSync(this.config, JSON.stringify(configuration));
    await this.platform.start();
    this.client?.close();
    this.client = new BenchClient(this.platform.grpc);
  }

  private async register(script: string, clientConfig: string): Promise<void> {
    const what = ['--image', 'none:1', '--destination-dir', '.', '--version', 'v1', `${script}.py`];
    const register = ['register', '-p', place.project, '-d', place.domain, ...what];
    await promisify(execFile)(join(dirname(python), 'pyflyte'), ['--config', clientConfig, ...register], {
      cwd: join(import.meta.dirname, 'scripts'),
    });
  }

  /** Runs a launch plan to its end; `name` of the run. */
  async run(launchPlan: string, name: string, inputs: Record<string, Literal>) {
    const { client } = this;
    const { id } = await client.admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        ...place,
        name,
        spec: {
          launchPlan: { resourceType: ResourceType.LAUNCH_PLAN, ...place, name: launchPlan, version: 'v1' },
          metadata: {},
        },
        inputs: { literals: inputs },
      }),
    );
    // Ends when the read model has the run's end.
    const request = WatchExecutionRequest.fromPartial({ id, executionOnly: true, untilStored: true });
    for await (const _ of client.watch.watchExecution(request));
    const { closure } = await client.admin.getExecution({ id });
    const { fullOutputs } = await client.admin.getExecutionData({ id });
    return { closure: closure!, outputs: fullOutputs?.literals ?? {} };
  }

  /** Nodes of a run that ran tasks, by their ids. */
  async nodesOf(name: string): Promise<NodeOfRun[]> {
    const { admin } = this.client;
    const { nodeExecutions } = await admin.listNodeExecutions(
      NodeExecutionListRequest.fromPartial({ workflowExecutionId: { ...place, name }, limit: 20 }),
    );
    const nodes: NodeOfRun[] = [];
    for (const node of nodeExecutions) {
      const request = TaskExecutionListRequest.fromPartial({ nodeExecutionId: node.id, limit: 20 });
      const { taskExecutions } = await admin.listTaskExecutions(request);
      const retryOf = ({ id }: TaskExecution): number => id?.retryAttempt ?? 0;
      if (taskExecutions.length > 0)
        nodes.push({ node, attempts: taskExecutions.sort((a, b) => retryOf(a) - retryOf(b)) });
    }
    return nodes.sort((a, b) => ((a.node.id?.nodeId ?? '') < (b.node.id?.nodeId ?? '') ? -1 : 1));
  }

  async close(): Promise<void> {
    this.client?.close();
    await this.platform.close();
    await this.batch.stop();
  }
}

/** The job that a link to AWS Batch leads to. */
export function jobIn(logs: readonly { name: string; uri: string }[]): string {
  const uri = logs.find(({ name }) => name.startsWith('AWS Batch'))?.uri ?? '';
  return uri.split('#jobs/detail/')[1] ?? '';
}
