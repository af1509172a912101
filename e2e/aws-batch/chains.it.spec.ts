import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BatchClient, DescribeJobsCommand, type JobDetail } from '@aws-sdk/client-batch';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BatchPlatform, jobIn, type NodeOfRun } from './batch-platform.js';

// Cold interpreters, one after the other.
jest.setTimeout(400_000);

// Real: the embedded platform in a process of its own, stock pyflyte, moto's Batch with its dependencies between jobs, which are processes.
describe('chains of stock flytekit on AWS Batch (S-5, C-186)', () => {
  let platform: BatchPlatform;
  let batch: BatchClient;

  beforeAll(async () => {
    platform = await BatchPlatform.start('chains');
    const { awsBatch } = (
      platform.batch.configuration as { backends: { awsBatch: { endpoint: string; region: string } } }
    ).backends;
    batch = new BatchClient({ ...awsBatch, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
  });

  afterAll(async () => {
    batch?.destroy();
    await platform?.close();
  });

  async function run(name: string, failsOnce: boolean) {
    const diary = join(platform.platform.folder, `${name}.txt`);
    const { closure, outputs } = await platform.run('chains.chain', name, {
      diary: text(diary),
      fails_once: flag(failsOnce),
    });
    const nodes = await platform.nodesOf(name);
    const jobs: JobDetail[][] = [];
    for (const { attempts } of nodes)
      jobs.push(await Promise.all(attempts.map(({ closure: of }) => describeJob(jobIn(of?.logs ?? [])))));
    const written = readFileSync(diary, 'utf8').trim().split('\n');
    return {
      phase: Phase[closure.phase],
      outputs: Object.keys(outputs)
        .sort()
        .map((name) => textIn(outputs[name]!)),
      nodes,
      jobs,
      written,
    };
  }

  async function describeJob(jobId: string): Promise<JobDetail> {
    const { jobs } = await batch.send(new DescribeJobsCommand({ jobs: [jobId] }));
    expect([jobId, jobs?.length]).toEqual([jobId, 1]);
    return jobs![0]!;
  }

  it('off: a job is submitted when the one before has succeeded, as times of events and of jobs say', async () => {
    const { phase, outputs, nodes, jobs, written } = await run('off', false);
    expect([phase, outputs, written]).toEqual(['SUCCEEDED', ['a0', 'b0', 'c0'], ['a0', 'b0', 'c0']]);
    const [a, b, c] = jobs.map(([job]) => job!);
    expect([a, b, c].map((job) => job!.dependsOn ?? [])).toEqual([[], [], []]);
    for (const [before, after] of [
      [a!, b!],
      [b!, c!],
    ] as const)
      expect(after.createdAt).toBeGreaterThanOrEqual(before.stoppedAt!);
    for (const [before, after] of [
      [0, 1],
      [1, 2],
    ] as const)
      expect(begunAt(nodes[after]!)).toBeGreaterThanOrEqual(endedAt(nodes[before]!));
  });

  describe('on', () => {
    beforeAll(() => platform.restart({ nativeDependencies: ['aws-batch'] }));

    it('the jobs carry dependsOn: all are there before the first has ended, and each begins when the one before has succeeded', async () => {
      const { phase, outputs, nodes, jobs, written } = await run('on', false);
      expect([phase, outputs, written]).toEqual(['SUCCEEDED', ['a0', 'b0', 'c0'], ['a0', 'b0', 'c0']]);
      const [a, b, c] = jobs.map(([job]) => job!);
      expect([a, b, c].map((job) => job!.dependsOn ?? [])).toEqual([[], [{ jobId: a!.jobId }], [{ jobId: b!.jobId }]]);
      for (const job of [b!, c!]) expect(job.createdAt).toBeLessThan(a!.stoppedAt!);
      for (const [before, after] of [
        [a!, b!],
        [b!, c!],
      ] as const)
        expect(after.startedAt).toBeGreaterThanOrEqual(before.stoppedAt!);
      // What is told keeps to the order, too.
      for (const [before, after] of [
        [0, 1],
        [1, 2],
      ] as const)
        expect(begunAt(nodes[after]!)).toBeGreaterThanOrEqual(endedAt(nodes[before]!));
    });

    it('the first attempt of the first fails: its job does, too, and the others run once, after the second', async () => {
      const { phase, outputs, nodes, jobs, written } = await run('again', true);
      expect([phase, outputs.map((line) => line[0]), written.map((line) => line[0])]).toEqual([
        'SUCCEEDED',
        ['a', 'b', 'c'],
        ['a', 'a', 'b', 'c'],
      ]);
      expect(nodes.map(({ node }) => NodePhase[node.closure!.phase])).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED']);
      const phases = nodes.map(({ attempts }) => attempts.map(({ closure }) => TaskPhase[closure!.phase]));
      expect(phases[0]).toEqual(['FAILED', 'SUCCEEDED']);
      for (const each of phases.slice(1)) {
        expect(each.at(-1)).toBe('SUCCEEDED');
        expect(each.slice(0, -1)).toEqual(each.slice(0, -1).map(() => 'ABORTED'));
        expect(each.length).toBeGreaterThan(1);
      }
      expect(jobs[0]!.map(({ status }) => status)).toEqual(['FAILED', 'SUCCEEDED']);
      const last = jobs.map((of) => of.at(-1)!);
      expect(last.map(({ dependsOn = [] }) => dependsOn.map(({ jobId }) => jobId))).toEqual([
        [],
        [last[0]!.jobId],
        [last[1]!.jobId],
      ]);
    });
  });
});

const begunAt = ({ node }: NodeOfRun): number => millis(node.closure?.startedAt);

function endedAt({ node }: NodeOfRun): number {
  const { startedAt, duration } = node.closure!;
  return millis(startedAt) + Number(duration?.seconds ?? 0n) * 1000 + (duration?.nanos ?? 0) / 1e6;
}

const millis = (at: Timestamp | undefined): number => Number(at?.seconds ?? 0n) * 1000 + (at?.nanos ?? 0) / 1e6;

const literal = (value: Extract<NonNullable<Literal['value']>, { $case: 'scalar' }>['value']): Literal => ({
  value: { $case: 'scalar', value },
  hash: '',
  metadata: {},
});
const text = (value: string): Literal =>
  literal({ value: { $case: 'primitive', value: { value: { $case: 'stringValue', value } } } });
const flag = (value: boolean): Literal =>
  literal({ value: { $case: 'primitive', value: { value: { $case: 'boolean', value } } } });

function textIn({ value }: Literal): string {
  const scalar = value?.$case === 'scalar' ? value.value.value : undefined;
  const primitive = scalar?.$case === 'primitive' ? scalar.value.value : undefined;
  if (primitive?.$case !== 'stringValue') throw new Error(`no text: ${JSON.stringify(value)}`);
  return primitive.value;
}
