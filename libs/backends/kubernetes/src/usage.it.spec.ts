import { jest } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { integerType, launchOf, Told } from '@aloft/backend-kit/testing';
import type { BackendPlugin } from '@aloft/backend-kit';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { type Kube, startCluster } from './testing/kube.js';
import { createOperatorTypes } from './testing/operator-crds.js';
import { PodWorld } from './testing/pod-world.js';

jest.setTimeout(300_000);

/** Uses the cpu for a while, then rests, and writes what the kernel counted for it. */
const busy = (file: string) =>
  `i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done; sleep 25; grep usage_usec /sys/fs/cgroup/cpu.stat > ${file} || times > ${file}`;

// U-25 on a real node: etcd, API server, scheduler, kubelet, containerd.
describe('what attempts used', () => {
  let kube: Kube;
  let world: PodWorld;
  let plugin: BackendPlugin;

  beforeAll(async () => {
    kube = await startCluster({ real: true });
    await createOperatorTypes(kube);
  }, 900_000);
  afterAll(() => kube?.stop(), 60_000);

  const open = async (more: Record<string, unknown>) => {
    world = await PodWorld.open(kube, more);
    plugin = world.plugin();
    await plugin.start?.();
  };
  afterEach(() => world.close());

  const launchFor = (name: string, script: string, more: Partial<Parameters<typeof launchOf>[0]> = {}) => {
    const launch = launchOf({ name, args: ['sh', '-c', script], cpu: '250m', memory: '32Mi', ...more });
    if (launch.template?.target?.$case === 'container') launch.template.target.value.image = 'local/busybox:1';
    return launch;
  };

  /** Seconds that the task's own script, or the kernel, counted. */
  const counted = async (file: string): Promise<number> => {
    const text = await readFile(file, 'utf8');
    const [, micros] = /usage_usec (\d+)/.exec(text) ?? [];
    if (micros) return Number(micros) / 1e6;
    return [...text.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  };

  it('is what the kubelet says of their containers', async () => {
    await open({ usage: { from: 'kubelet', everyMs: 1_000 } });
    const file = join(world.dir, 'cpu');
    const launch = launchFor('run1-n0-0', busy(file));
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    const { phase, usage } = await told.end();
    expect(Phase[phase]).toBe('SUCCEEDED');
    expect(usage?.reserved).toBe(false);
    const truth = await counted(file);
    expect(truth).toBeGreaterThan(0.3);
    expect(Math.abs((usage?.cpuSeconds ?? 0) - truth)).toBeLessThan(0.05 * truth + 0.1);
    expect(Number(usage?.peakMemoryBytes)).toBeGreaterThan(50_000);
    expect(usage?.memoryByteSeconds).toBeGreaterThan(25 * 50_000);
  });

  it('of one that is ended is known, too', async () => {
    await open({ usage: { from: 'kubelet', everyMs: 500 } });
    const launch = launchFor('run1-n1-0', 'i=0; while true; do i=$((i+1)); done');
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    await plugin.abort(launch.attempt, 'the test wants it', undefined);
    const last = told.reports.at(-1);
    expect(Phase[last!.phase]).toBe('RUNNING');
    expect(last?.usage).toMatchObject({ reserved: false });
    expect(last?.usage?.cpuSeconds).toBeGreaterThan(1);
  });

  it('is what they requested in a cluster without a metrics server, and says so', async () => {
    await open({ usage: { from: 'metrics', everyMs: 200 } });
    const told = new Told(world.blob);
    await plugin.launch(launchFor('run1-n2-0', 'sleep 4'), told);
    const { usage } = await told.end();
    expect(usage).toMatchObject({ reserved: true, peakMemoryBytes: 0n });
    expect(usage?.cpuSeconds).toBeGreaterThanOrEqual(0.25 * 3);
  });

  it('of an operator’s job is the sum of the pods that it made', async () => {
    await open({ operators: { pytorch: true }, usage: { from: 'kubelet', everyMs: 1_000 } });
    const launch = launchFor('run1-n3-0', 'sleep 1', { type: 'pytorch', outputs: { x: integerType } });
    launch.template = { ...launch.template!, custom: { workerReplicas: { replicas: 1 } } };
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    const namespace = `${world.name}-flytesnacks-development`;
    const path = `/apis/kubeflow.org/v1/namespaces/${namespace}/pytorchjobs/run1-n3-0`;
    const { body } = await kube.call('GET', path);
    const { pytorchReplicaSpecs } = body['spec'] as {
      pytorchReplicaSpecs: Record<string, { template: { metadata: object; spec: { containers: object[] } } }>;
    };
    // As its operator would: a pod of each role's template.
    const files: string[] = [];
    for (const [role, { template }] of Object.entries(pytorchReplicaSpecs)) {
      const file = join(world.dir, `cpu-${role}`);
      files.push(file);
      const [container] = template.spec.containers;
      const folder = { name: 'world', mountPath: world.dir };
      const { status } = await kube.call('POST', `/api/v1/namespaces/${namespace}/pods`, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...template.metadata, name: `run1-n3-0-${role.toLowerCase()}-0` },
        spec: {
          ...template.spec,
          restartPolicy: 'Never',
          nodeSelector: { type: 'real' },
          volumes: [{ name: 'world', hostPath: { path: world.dir } }],
          containers: [{ ...container, args: ['sh', '-c', busy(file)], volumeMounts: [folder] }],
        },
      });
      expect(status).toBe(201);
    }
    expect(files).toHaveLength(2);
    const became = (type: string) =>
      kube.call(
        'PATCH',
        `${path}/status`,
        { status: { startTime: new Date().toISOString(), conditions: [{ type, status: 'True' }] } },
        'application/merge-patch+json',
      );
    await became('Running');
    for (const file of files)
      while (!(await counted(file).catch(() => 0))) await new Promise((resolve) => setTimeout(resolve, 200));
    await became('Succeeded');
    const { usage } = await told.end();
    const truth = (await Promise.all(files.map(counted))).reduce((a, b) => a + b);
    expect(usage?.reserved).toBe(false);
    expect(Math.abs((usage?.cpuSeconds ?? 0) - truth)).toBeLessThan(0.05 * truth + 0.2);
  });
});
