import { jest } from '@jest/globals';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ExecutionError_ErrorKind as Kind } from '@aloft/idl/flyteidl/core/execution';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { errorOf, integer, integerType, type S3Server, startS3, Told } from '@aloft/backend-kit/testing';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { type Kube, type RealNode, startCluster } from './testing/kube.js';
import { importFlytekit, importPlatform, PythonPods } from './testing/python-world.js';

// An interpreter that loads flytekit takes seconds, on a busy machine a minute.
jest.setTimeout(300_000);

// Real: etcd, API server, scheduler, kubelet, containerd and runc; an S3 server; stock flytekit in an image made of its environment.
describe('stock flytekit in pods', () => {
  let kube: Kube & { node: RealNode | undefined };
  let dir: string;
  let s3: S3Server;
  let pods: PythonPods;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aloft-kube-s3-'));
    kube = await startCluster({ real: true });
    s3 = await startS3(dir);
    if (kube.node) {
      await importFlytekit(kube.node, kube.dir);
      await importPlatform(kube.node, kube.dir);
    }
    pods = await PythonPods.open(kube, s3);
  }, 900_000);

  afterAll(async () => {
    await pods?.close();
    await s3?.kill();
    await kube?.stop();
    await rm(dir, { recursive: true, force: true });
  }, 60_000);

  const run = async (launch: ReturnType<PythonPods['launch']>) => {
    const told = new Told(pods.blob);
    await pods.plugin.launch(launch, told);
    const end = await told.end();
    return { end, told };
  };

  it('pyflyte-execute reads its inputs from storage and its outputs come back', async () => {
    const { end } = await run(pods.launch('double', 'run1-n0-0'));
    expect(Phase[end.phase]).toBe('SUCCEEDED');
    expect(end.outcome?.result).toMatchObject({ value: { value: { value: { literals: { o0: integer(42) } } } } });
    expect(end.usage?.startedAt).toBeDefined();
  });

  it('several at once: a file, an error of the user’s, one that is worth another try', async () => {
    const [file, failed, again] = await Promise.all([
      run(pods.launch('save', 'run1-n1-0')),
      run(pods.launch('fail', 'run1-n2-0')),
      run(pods.launch('fail_for_now', 'run1-n3-0')),
    ]);
    const outputs = JSON.stringify(file.end.outcome?.result, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    const uri = /"uri":"(s3:[^"]+saved\.txt)"/.exec(outputs)?.[1] ?? '';
    expect(Buffer.from(await pods.blob.get(uri)).toString()).toBe('x'.repeat(21));
    expect(Phase[failed.end.phase]).toBe('FAILED');
    expect(errorOf(failed.end)).toMatchObject({
      kind: Kind.USER,
      message: expect.stringContaining('n must not be 21'),
    });
    expect(Phase[again.end.phase]).toBe('RETRYABLE_FAILED');
  });

  it('C-175: secrets of its namespace, as a variable and as a file', async () => {
    const launch = pods.launch('reveal', 'run1-n4-0', { outputs: { o0: {} as never } });
    const secret = (key: string, mountRequirement: Secret_MountType) => ({
      group: 'db',
      groupVersion: '',
      key,
      mountRequirement,
      envVar: '',
    });
    const secrets = [secret('password', Secret_MountType.ENV_VAR), secret('cert', Secret_MountType.FILE)];
    launch.securityContext = { runAs: undefined, tokens: [], secrets };
    const { end } = await run(launch);
    expect(
      JSON.stringify(end.outcome, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    ).toContain('hunter2|a certificate');
  });

  describe('raw containers (C-180)', () => {
    const file = { type: { $case: 'blob', value: { format: '', dimensionality: 0 } } } as LiteralType;

    it('get their inputs as files, and what they write comes back as outputs', async () => {
      const script = 'read -r n < /in/n; echo $((n + 1)) > /out/o0; cat /in/n /in/n > /out/text';
      const { end } = await run(pods.raw(script, 'run1-n5-0', { o0: integerType, text: file }));
      expect(Phase[end.phase]).toBe('SUCCEEDED');
      expect(end.outcome?.result).toMatchObject({ value: { value: { value: { literals: { o0: integer(22) } } } } });
      expect(Buffer.from(await pods.blob.get('s3://aloft/data/run1/text')).toString()).toBe('2121');
    });

    it('that exit with a code, or write what is no output, fail with what is wrong', async () => {
      const [code, unfit] = await Promise.all([
        run(pods.raw('echo my last words; exit 3', 'run1-n6-0', { o0: integerType })),
        run(pods.raw('echo many > /out/o0', 'run1-n7-0', { o0: integerType })),
      ]);
      expect(errorOf(code.end)).toMatchObject({
        code: 'ExitCode',
        kind: Kind.USER,
        message: expect.stringContaining('my last words'),
      });
      expect(errorOf(unfit.end)).toMatchObject({
        code: 'OutputsMalformed',
        kind: Kind.USER,
        message: expect.stringContaining('"many"'),
      });
    });
  });
});
