import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandEnvelope, encodeLiterals, integer, integerType, launchOf } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import { testBus, type TestBus } from '@aloft/bus/testing';
import { type LaunchTask, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import { BackendsModule } from './backends.module.js';
import { type Backends, backendsMigrations } from './backends.js';
import { backendsConfigSchema } from './config.js';
import { defaultPython } from './local-backend.js';

describe('the backends of a process', () => {
  let test: TestBus;
  let dir: string;
  const running: Backends[] = [];

  beforeEach(async () => {
    test = await testBus({ schema: 'backends', migrations: backendsMigrations });
    dir = mkdtempSync(join(tmpdir(), 'aloft-backends-'));
  });

  afterEach(async () => {
    for (const backends of running.splice(0)) await backends.stop();
    await test.drop();
    await rm(dir, { recursive: true, force: true });
  });

  const create = async () => {
    const { providers } = await BackendsModule.register({
      config: backendsConfigSchema.parse({ local: { warm: { atStart: false, node: 0 } } }),
      database: test.database,
      bus: test.bus,
      blob: createLocalBlobStore({ dir: join(dir, 'blob'), durable: false }),
      logger: createLogger('backends', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' }),
      dataDir: dir,
      storage: () => ({}),
      publicUrl: () => 'http://localhost:8088',
      platformUrl: () => undefined,
    });
    const [provider] = providers ?? [];
    const backends = (provider as { useValue: Backends }).useValue;
    running.push(backends);
    return backends;
  };

  const publish = (...launches: LaunchTask[]) =>
    test.database.transaction((tx) =>
      test.bus.publish(
        tx,
        launches.map((launch) => ({
          topic: 'tasks.commands.local',
          envelope: commandEnvelope({ $case: 'launch', value: launch }),
        })),
      ),
    );

  it('run commands from the bus as processes and report back; restarts change nothing', async () => {
    const first = await create();
    await first.start();
    const output = encodeLiterals({ x: integer(7) }).toString('base64');
    const shell = (name: string) => {
      const { outputPrefix } = launchOf({ name });
      const script = `echo ${output} | base64 -d > "$1/outputs.pb"`;
      return launchOf({ name, outputs: { x: integerType }, args: ['sh', '-c', script, 'task', outputPrefix] });
    };
    const echo = launchOf({ name: 'run1-n9-0', type: 'echo', inputs: { a: integer(3) }, outputs: { b: integerType } });
    await publish(shell('run1-n0-0'), echo);
    await first.stop();
    running.length = 0;
    const second = await create();
    await second.start();
    await publish(shell('run1-n1-0'));
    const reader = test.bus.read({ topic: 'tasks.reports', partition: 0 }, 0n, { acceptDelivered: true });
    const ended = new Map<string, TaskReport>();
    while (ended.size < 3) {
      const batch = await reader.next(100);
      for (const { envelope } of batch?.messages ?? []) {
        const report = TaskReport.decode(envelope.payload);
        if (report.outcome) ended.set(report.attempt?.name ?? '', report);
      }
      batch?.acknowledge();
    }
    await reader.close();
    for (const [name, variable] of [
      ['run1-n0-0', 'x'],
      ['run1-n1-0', 'x'],
      ['run1-n9-0', 'b'],
    ] as const) {
      const report = ended.get(name);
      expect(Phase[report?.phase ?? 0]).toBe('SUCCEEDED');
      expect(report?.outcome?.result).toMatchObject({ value: { value: { value: { literals: { [variable]: {} } } } } });
    }
  });

  it('take the interpreter of ALOFT_PYTHON, of the virtual environment, or python3', () => {
    expect(defaultPython({ ALOFT_PYTHON: '/a/python', VIRTUAL_ENV: '/b' })).toBe('/a/python');
    expect(defaultPython({ VIRTUAL_ENV: '/b' })).toBe('/b/bin/python');
    expect(defaultPython({})).toBe('python3');
  });
});
