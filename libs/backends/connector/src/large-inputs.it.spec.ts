import { mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import { integer, integerType, launchOf, type S3Server, startS3, Told } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import { ConnectorWorld } from './testing/connector-world.js';
import { serveConnectors, type ServedConnectors } from './testing/served.js';

const stringType = { type: { $case: 'simple', value: SimpleType.STRING } } as LiteralType;
const million = 1_000_000;

const text = (length: number): Literal => {
  const value = { $case: 'stringValue' as const, value: 'x'.repeat(length) };
  return {
    value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value } } } },
    hash: '',
    metadata: {},
  };
};

// Real: flytekit's own connector process, whose gRPC server takes 4 MiB, and an S3 server that both sides reach.
describe('A-160, A-162: inputs that are larger than a message', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-large-'));
  let s3: S3Server;
  let blob: BlobStore;
  let served: ServedConnectors;
  let world: ConnectorWorld;
  let plugin: BackendPlugin;

  beforeAll(async () => {
    s3 = await startS3(dir);
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    blob = createS3BlobStore({ buckets: ['aloft'], endpoint, region, credentials: { accessKeyId, secretAccessKey } });
    served = await serveConnectors({
      FLYTE_AWS_ENDPOINT: endpoint,
      FLYTE_AWS_ACCESS_KEY_ID: accessKeyId,
      FLYTE_AWS_SECRET_ACCESS_KEY: secretAccessKey,
    });
    world = new ConnectorWorld(served.address, blob);
    plugin = world.plugin();
    await plugin.start?.();
  }, 240_000);

  afterAll(async () => {
    await plugin?.stop();
    await world?.close();
    await served?.stop();
    await s3?.kill();
    await rm(dir, { recursive: true, force: true });
  });

  /** As the engine stores what is too large for a command. */
  async function withInputs<L extends LaunchTask>(launch: L, literals: Record<string, Literal>): Promise<L> {
    const bytes = LiteralMap.encode({ literals }).finish();
    await blob.put(launch.inputsUri, bytes);
    const stored = { uri: launch.inputsUri, size: BigInt(bytes.length), digest: Buffer.alloc(0) };
    const variables = Object.fromEntries(Object.keys(literals).map((name) => [name, { type: stringType }]));
    const template = launch.template!;
    const inputs = { variables } as NonNullable<NonNullable<typeof template.interface>['inputs']>;
    return {
      ...launch,
      inputs: { value: { $case: 'stored', value: stored } },
      template: { ...template, interface: { inputs, outputs: template.interface?.outputs } },
    };
  }

  it('10 MB go to an asynchronous task by reference, and its connector has all of them', async () => {
    const made = world.launch('measure', { name: 'run1-n0-0' });
    const launch = await withInputs(made, { long: text(10 * million), medium: text(3 * million), short: text(3) });
    const told = new Told(blob);
    await plugin.launch(launch, told);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    const lengths: unknown = JSON.parse(readFileSync(join(world.of(launch.attempt), 'lengths'), 'utf8'));
    expect(lengths).toEqual({ long: 10 * million, medium: 3 * million, short: 3 });
    // Only what is in the way is stored.
    const given = JSON.parse(readFileSync(join(world.of(launch.attempt), 'inputs'), 'utf8')) as Record<string, string>;
    expect(Object.keys(given).filter((name) => given[name]?.includes('offloaded_metadata'))).toEqual(['long']);
  });

  it('and to a synchronous one', async () => {
    const made = launchOf({
      name: 'run2-n0-0',
      execution: 'run2',
      type: 'aloft_test_sync',
      outputs: { x: integerType },
    });
    made.template = { ...made.template!, custom: { behaviour: 'measure' }, target: undefined };
    const told = new Told(blob);
    await plugin.launch(await withInputs(made, { a: text(5 * million), b: text(5 * million) }), told);
    const { outcome } = await told.end();
    const value = outcome?.result?.$case === 'outputs' ? outcome.result.value.value : undefined;
    expect(value).toMatchObject({ value: { literals: { x: integer(10 * million) } } });
  });

  it('more than is ever sent: an error that says so, not an attempt without end', async () => {
    const made = world.launch('measure', { name: 'run3-n0-0' });
    const launch = await withInputs(made, { a: text(65 * 1024 * 1024) });
    await expect(plugin.launch(launch, new Told(blob))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('more than the 67108864 bytes that connectors are given'),
    });
  });
});
