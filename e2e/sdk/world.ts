import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BenchClient } from '@aloft/bench/client';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { SignalListRequest, SignalSetRequest } from '@aloft/idl/flyteidl/admin/signal';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { ArtifactType, CreateDownloadLinkRequest, DataProxyServiceClient } from '@aloft/idl/flyteidl/service/dataproxy';
import { SignalServiceClient } from '@aloft/idl/flyteidl/service/signal';
import { literalOf } from '@aloft/literals';
import { createClient } from '@aloft/rpc/client';
import { Platform } from './platform.js';
import { type Node, Run } from './run.js';

const [project, domain] = ['flytesnacks', 'development'];
/** Folders with the scripts of the checks. */
const scripts = ['part-c', 'ours'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));

/** A check launches, yields, then waits and asserts: all launches come first, so that the runs share the time. */
export type Check = (world: World) => AsyncGenerator<void, void>;

export type Given = string | number | readonly number[];

const literal = (value: Given): Literal =>
  typeof value === 'number'
    ? literalOf.integer(value)
    : typeof value === 'string'
      ? literalOf.string(value)
      : literalOf.collection(value.map(literal));

/** The first answer of `look` that is true. */
export async function until<T>(look: () => Promise<T>, what: string): Promise<NonNullable<T>> {
  for (const deadline = performance.now() + 90_000; performance.now() < deadline; await delay(200)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Phases of a level's nodes by the ids that their workflow gives them. */
export const phasesOf = async (run: Run, parent = ''): Promise<Record<string, string>> =>
  Object.fromEntries(
    Object.values(await run.nodes(parent)).flatMap(({ spec, phase }) =>
      spec.includes('-node') ? [] : [[spec, phase]],
    ),
  );

/** The platform with all scripts registered, and what a check works with. */
export class World {
  /** Outside the platform: where tasks leave marks. */
  readonly folder = mkdtempSync(join(tmpdir(), 'aloft-part-c-'));
  readonly client: BenchClient;
  private readonly signals;
  private readonly data;
  private readonly version = `sdk-${Date.now().toString(36)}`;

  private constructor(readonly platform: Platform) {
    this.client = new BenchClient(platform.grpc);
    this.signals = createClient(SignalServiceClient, platform.grpc);
    this.data = createClient(DataProxyServiceClient, platform.grpc);
  }

  static async begin(): Promise<World> {
    const world = new World(await Platform.start());
    const files = scripts.flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)));
    await world.platform.aloft('register', ...files, '--version', world.version);
    return world;
  }

  /** Launches `<script>.<export>`. */
  async run(workflow: string, inputs: Record<string, Given>, spec: { overwriteCache?: boolean } = {}): Promise<Run> {
    const { id } = await this.client.admin.createExecution(
      ExecutionCreateRequest.fromPartial({
        project,
        domain,
        spec: {
          launchPlan: {
            resourceType: ResourceType.LAUNCH_PLAN,
            project,
            domain,
            name: workflow,
            version: this.version,
          },
          ...spec,
        },
        inputs: { literals: Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, literal(value)])) },
      }),
    );
    return this.of(id!);
  }

  of(id: WorkflowExecutionIdentifier): Run {
    return new Run(this.client, id);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  marks(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
  }

  /** Waits until the gate asks. */
  gate(run: Run, signal: string): Promise<unknown> {
    const request = SignalListRequest.fromPartial({ workflowExecutionId: run.id, limit: 10 });
    return until(
      async () => (await this.signals.listSignals(request)).signals.some(({ id }) => id?.signalId === signal),
      `the gate ${signal}`,
    );
  }

  async signal(run: Run, signalId: string, value: Literal): Promise<void> {
    await this.signals.setSignal(SignalSetRequest.fromPartial({ id: { signalId, executionId: run.id }, value }));
  }

  async deckOf(node: Node): Promise<string> {
    const { preSignedUrls } = await this.data.createDownloadLink(
      CreateDownloadLinkRequest.fromPartial({
        artifactType: ArtifactType.ARTIFACT_TYPE_DECK,
        source: { $case: 'nodeExecutionId', value: node.message.id! },
      }),
    );
    return (await fetch(preSignedUrls!.signedUrl[0]!)).text();
  }

  async close(): Promise<void> {
    for (const client of [this.client, this.signals, this.data]) client.close();
    await this.platform.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
