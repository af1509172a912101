import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { BackendPlugin } from '../contract.js';
import { isTerminal } from '../outcome/phases.js';
import { Stage } from './conformance-stage.js';
import type { Behaviour, ConformanceOptions, ConformanceWorld, Launch } from './conformance-world.js';

const errorOf = (report: TaskReport) => {
  const result = report.outcome?.result;
  if (result?.$case !== 'error') throw new Error(`no error in ${Phase[report.phase]}: ${report.reason}`);
  return result.value;
};

/** What every backend plugin must pass, run against the real backend (design.md §6). */
export function describeBackendConformance(title: string, options: ConformanceOptions): void {
  const can = (behaviour: Behaviour) => !(options.without ?? []).includes(behaviour);
  const cases = (...behaviours: Behaviour[]) => (behaviours.every(can) ? it : it.skip);

  describe(`backend conformance: ${title}`, () => {
    let world: ConformanceWorld;
    let stage: Stage;

    beforeEach(async () => {
      world = await options.world();
      stage = new Stage(world);
    });

    afterEach(async () => {
      await stage.stop();
      await world.close();
    });

    const run = async (launch: Launch) => {
      await stage.start();
      await stage.bus.command({ launch });
      return stage.bus.end(launch.attempt);
    };

    describe('how an attempt ends', () => {
      cases('succeed')('C-173: phases only move forward and end SUCCEEDED with small outputs inline', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        const end = await run(launch);
        expect(Phase[end.phase]).toBe('SUCCEEDED');
        expect(end.outcome?.result).toMatchObject({
          $case: 'outputs',
          value: { value: { $case: 'inline', value: { literals: { x: {} } } } },
        });
        expect(end.backend).not.toBe('');
        const order = [Phase.QUEUED, Phase.WAITING_FOR_RESOURCES, Phase.INITIALIZING, Phase.RUNNING, Phase.SUCCEEDED];
        const places = stage.bus.reportsOf(launch.attempt).map((report) => order.indexOf(report.phase));
        expect(places).toEqual([...places].sort((a, b) => a - b));
        expect(places).not.toContain(-1);
      });

      cases('until-finished')('log links and usage come with the reports', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        const running = await stage.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
        expect(running.logs.length).toBeGreaterThan(0);
        for (const { uri } of running.logs) expect(uri).toMatch(/^(https?|s3):\/\//);
        await world.started(launch.attempt);
        await world.finish(launch.attempt);
        const end = await stage.bus.end(launch.attempt);
        expect(end.logs).toEqual(expect.arrayContaining(running.logs));
        expect(end.usage?.startedAt).toBeDefined();
        expect(end.usage?.endedAt).toBeDefined();
      });

      cases('write-much')('outputs over 32 KiB travel by reference', async () => {
        const end = await run(stage.launch('write-much', 'run1-n0-0'));
        expect(end.outcome?.result).toMatchObject({ $case: 'outputs', value: { value: { $case: 'stored' } } });
        const outputs = end.outcome?.result?.$case === 'outputs' ? end.outcome.result.value.value : undefined;
        if (outputs?.$case !== 'stored') throw new Error('not stored');
        expect(outputs.value.size).toBeGreaterThan(32n * 1024n);
        expect(outputs.value.digest).toHaveLength(32);
        expect((await world.blob.get(outputs.value.uri)).length).toBe(Number(outputs.value.size));
      });

      cases('fail')('C-170: error.pb, NON_RECOVERABLE, ends the attempt for good with its text', async () => {
        const end = await run(stage.launch('fail', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('FAILED');
        expect(errorOf(end)).toMatchObject({ kind: ExecutionError_ErrorKind.USER });
        expect(errorOf(end).message).toContain('this task fails');
      });

      cases('fail-recoverable')('C-170: error.pb, RECOVERABLE, is worth another attempt', async () => {
        const end = await run(stage.launch('fail-recoverable', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
      });

      cases('exit-nonzero')(
        'a failing exit without error.pb is a retryable user error with its last output',
        async () => {
          const end = await run(stage.launch('exit-nonzero', 'run1-n0-0'));
          expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
          expect(errorOf(end)).toMatchObject({ kind: ExecutionError_ErrorKind.USER });
          expect(errorOf(end).message).toContain('3');
          expect(errorOf(end).message).toContain('last words');
        },
      );

      cases('be-killed')('C-172: killed from outside is the system, retryable, "Interrupted"', async () => {
        const end = await run(stage.launch('be-killed', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
        expect(errorOf(end)).toMatchObject({ kind: ExecutionError_ErrorKind.SYSTEM, code: 'Interrupted' });
      });

      cases('write-nothing')('C-108: no outputs although some are declared: an error that says so', async () => {
        const end = await run(stage.launch('write-nothing', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
        expect(errorOf(end)).toMatchObject({ code: 'OutputsNotFound', kind: ExecutionError_ErrorKind.SYSTEM });
        expect(errorOf(end).message).toContain('"x"');
      });

      cases('write-garbage')('garbage for outputs: an error that names the file and what is wrong', async () => {
        const end = await run(stage.launch('write-garbage', 'run1-n0-0'));
        expect(errorOf(end)).toMatchObject({ code: 'OutputsMalformed' });
        expect(errorOf(end).message).toMatch(/outputs\.pb.*not an encoded LiteralMap/);
      });

      cases('write-other-name')('C-108: outputs without a declared name: an error that names it', async () => {
        const end = await run(stage.launch('write-other-name', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('FAILED');
        expect(errorOf(end)).toMatchObject({ code: 'OutputsIncomplete' });
        expect(errorOf(end).message).toContain('"x"');
      });

      cases('write-garbage-error')('C-170: a garbage error.pb is the system, retryable', async () => {
        const end = await run(stage.launch('write-garbage-error', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
        expect(errorOf(end)).toMatchObject({ code: 'ErrorFileBadFormat', kind: ExecutionError_ErrorKind.SYSTEM });
      });

      cases('use-memory')('C-172: out of memory is the user, retryable, "OOMKilled"', async () => {
        const launch = stage.launch('use-memory', 'run1-n0-0');
        const end = await run(launch);
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
        expect(errorOf(end)).toMatchObject({ code: 'OOMKilled', kind: ExecutionError_ErrorKind.USER });
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      cases('run-over-time')('C-50: over its time limit is the user, retryable, "TimeoutExpired"', async () => {
        const launch = stage.launch('run-over-time', 'run1-n0-0');
        const end = await run(launch);
        expect(Phase[end.phase]).toBe('RETRYABLE_FAILED');
        expect(errorOf(end)).toMatchObject({ code: 'TimeoutExpired', kind: ExecutionError_ErrorKind.USER });
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      cases('be-unstartable')('what cannot be started ends for good and says what is missing', async () => {
        const end = await run(stage.launch('be-unstartable', 'run1-n0-0'));
        expect(Phase[end.phase]).toBe('FAILED');
        expect(errorOf(end)).toMatchObject({ kind: ExecutionError_ErrorKind.USER });
        expect(errorOf(end).message).toContain('no-such-thing');
      });
    });

    describe('once and only once', () => {
      it('the same launch twice, and once more after the end, is one job', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch }, { launch });
        await world.started(launch.attempt);
        await stage.bus.command({ launch });
        await world.finish(launch.attempt);
        await stage.bus.end(launch.attempt);
        await stage.bus.command({ launch });
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('a commit that fails after the launch began does not launch again', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        let failures = 2;
        stage.bus.beforeCommit = () => {
          if (failures-- > 0) throw new Error('the database is away');
        };
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('a newer generation replaces an older one, whose reports stop', async () => {
        const first = stage.launch('until-finished', 'run1-n0-0', { generation: 1 });
        const second = stage.launch('until-finished', 'run1-n0-0', { generation: 2 });
        await stage.start();
        await stage.bus.command({ launch: first });
        await world.started(first.attempt);
        await stage.bus.command({ launch: second });
        await world.started(second.attempt);
        expect(await world.alive(first.attempt)).toBe(false);
        await stage.bus.command({ launch: first });
        await world.finish(second.attempt);
        const end = await stage.bus.end(second.attempt);
        expect(end.attempt?.generation).toBe(2);
        const terminal = stage.bus.reportsOf(first.attempt).filter((report) => isTerminal(report.phase));
        expect(terminal.map((report) => report.attempt?.generation)).toEqual([2]);
      });
    });

    describe('aborts', () => {
      it('before the launch: the late launch does nothing', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        const other = stage.launch('succeed', 'run1-n1-0');
        await stage.start();
        await stage.bus.command({ abort: launch.attempt });
        await stage.bus.command({ launch }, { launch: other });
        await stage.bus.end(other.attempt);
        expect(await world.starts(launch.attempt)).toBe(0);
        expect(stage.store.work.has(`uid-run1/run1-n0-0`)).toBe(false);
      });

      it('together with the launch: nothing starts', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch }, { abort: launch.attempt });
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
        expect(await world.starts(launch.attempt)).toBe(0);
      });

      it('right behind the launch: nothing of it is left', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        const taken = stage.bus.command({ launch });
        await stage.bus.command({ abort: launch.attempt });
        await taken;
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      it('while it runs: everything of it ends, at once', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        expect(await world.alive(launch.attempt)).toBe(true);
        await stage.bus.command({ abort: launch.attempt, reason: 'enough' });
        const end = await stage.bus.end(launch.attempt);
        expect(Phase[end.phase]).toBe('ABORTED');
        expect(end.reason).toContain('enough');
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      it('while it waits for capacity: it never starts', async () => {
        const plugin = world.plugin;
        world.plugin = () => withCapacity(plugin.call(world), { slots: 1 });
        const first = stage.launch('until-finished', 'run1-n0-0');
        const second = stage.launch('succeed', 'run1-n1-0');
        await stage.start();
        await stage.bus.command({ launch: first }, { launch: second });
        const waiting = await stage.bus.report(second.attempt, ({ phase }) => phase === Phase.WAITING_FOR_RESOURCES);
        expect(waiting.reason).toContain('slot');
        await stage.bus.command({ abort: second.attempt });
        expect(Phase[(await stage.bus.end(second.attempt)).phase]).toBe('ABORTED');
        await world.started(first.attempt);
        await world.finish(first.attempt);
        await stage.bus.end(first.attempt);
        expect(await world.starts(second.attempt)).toBe(0);
      });

      it('after the end: harmless', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        await run(launch);
        await stage.bus.command({ abort: launch.attempt });
        const terminal = stage.bus.reportsOf(launch.attempt).filter((report) => isTerminal(report.phase));
        expect(terminal.map((report) => Phase[report.phase])).toEqual(['SUCCEEDED']);
      });
    });

    describe('the host dies', () => {
      it('before its commit: the next one launches it once', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        stage.bus.beforeCommit = () => stage.kill();
        await stage.start();
        const taken = stage.bus.command({ launch });
        await stage.bus.until(() => (stage.store.hosts.size > 0 ? true : undefined));
        await new Promise((resolve) => setImmediate(resolve));
        stage.bus.beforeCommit = () => undefined;
        await stage.start();
        await taken;
        await world.started(launch.attempt);
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      const offered = options.stored ? undefined : it;
      const stored = options.stored ? it : undefined;

      stored?.('an abort is written down before anything ends', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        const before: boolean[] = [];
        stage.bus.beforeCommit = async () => {
          await new Promise((resolve) => setTimeout(resolve, 100));
          before.push(await world.alive(launch.attempt));
          if (before.length < 2) throw new Error('the database is away');
        };
        await stage.bus.command({ abort: launch.attempt });
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
        expect(before).toEqual([true, true]);
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      stored?.('before its commit nothing of it has begun, and the next one launches it once', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        let killed!: (launches: number) => void;
        const dead = new Promise<number>((resolve) => (killed = resolve));
        const host = await stage.start();
        stage.bus.beforeCommit = async () => {
          await new Promise((resolve) => setImmediate(resolve));
          const { launches } = host.status.counts;
          await stage.kill();
          killed(launches);
        };
        const taken = stage.bus.command({ launch });
        expect(await dead).toBe(0);
        stage.bus.beforeCommit = () => undefined;
        await stage.start();
        await taken;
        await world.started(launch.attempt);
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      offered?.(
        'before its commit, with the work running: the next one finds it when the command comes again',
        async () => {
          const launch = stage.launch('until-finished', 'run1-n0-0');
          let killed!: () => void;
          const dead = new Promise<void>((resolve) => (killed = resolve));
          stage.bus.beforeCommit = async () => {
            await world.started(launch.attempt);
            await stage.kill();
            killed();
          };
          await stage.start();
          const taken = stage.bus.command({ launch });
          await dead;
          stage.bus.beforeCommit = () => undefined;
          await stage.start();
          await taken;
          await world.finish(launch.attempt);
          expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
          expect(await world.starts(launch.attempt)).toBe(1);
        },
      );

      it('right after its commit: the work is found or started, once', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await stage.kill();
        await stage.start();
        await world.started(launch.attempt);
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('while it runs: the next one finds it and reports its end', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        await stage.kill();
        await stage.start();
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('and the work ends before the next one comes: its end is read', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        await stage.kill();
        await world.finish(launch.attempt);
        while (await world.alive(launch.attempt)) await new Promise((resolve) => setImmediate(resolve));
        await stage.start();
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('before its report was taken: the next one reports the same end', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        stage.bus.delivery = () => 'lose';
        await stage.start();
        await stage.bus.command({ launch });
        const lost = await stage.bus.end(launch.attempt);
        await stage.kill();
        stage.bus.reports.length = 0;
        stage.bus.delivery = () => 'acknowledge';
        await stage.start();
        const again = await stage.bus.end(launch.attempt);
        expect(again.outcome).toEqual(lost.outcome);
        expect(await world.starts(launch.attempt)).toBe(1);
      });

      it('with an abort on its way: the next one ends the work', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        await stage.kill();
        const row = [...stage.store.work.values()][0];
        if (row) row.abortReason = 'asked for before the death';
        await stage.start();
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('ABORTED');
        expect(await world.alive(launch.attempt)).toBe(false);
      });

      it('an orderly stop leaves running work, and nothing is lost', async () => {
        const launch = stage.launch('until-finished', 'run1-n0-0');
        await stage.start();
        await stage.bus.command({ launch });
        await world.started(launch.attempt);
        await stage.stop();
        expect(await world.alive(launch.attempt)).toBe(true);
        await stage.start();
        await world.finish(launch.attempt);
        expect(Phase[(await stage.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
        expect(await world.starts(launch.attempt)).toBe(1);
      });
    });

    describe('reports', () => {
      it('refused, lost and late ones are sent again until they are taken; then the row is gone', async () => {
        const launch = stage.launch('succeed', 'run1-n0-0');
        const fates = ['reject', 'lose', 'reject'] as const;
        let deliveries = 0;
        stage.bus.delivery = () => fates[deliveries++] ?? 'acknowledge';
        await stage.start();
        await stage.bus.command({ launch });
        await stage.bus.until(() => {
          const last = stage.bus.reports.at(-1);
          return deliveries > fates.length && last && isTerminal(last.phase) ? last : undefined;
        });
        while (stage.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
        expect(stage.store.fences.size).toBe(1);
      });

      it('nobody takes any for a while: work goes on, the last report of each attempt arrives', async () => {
        const launches = Array.from({ length: 10 }, (_, i) => stage.launch('succeed', `run1-n${i}-0`));
        stage.bus.delivery = () => 'reject';
        await stage.start();
        await stage.bus.command(...launches.map((launch) => ({ launch })));
        await Promise.all(launches.map((launch) => stage.bus.end(launch.attempt)));
        stage.bus.reports.length = 0;
        stage.bus.delivery = () => 'acknowledge';
        const ends = await Promise.all(launches.map((launch) => stage.bus.end(launch.attempt)));
        expect(new Set(ends.map((end) => Phase[end.phase]))).toEqual(new Set(['SUCCEEDED']));
        for (const launch of launches) expect(await world.starts(launch.attempt)).toBe(1);
      });
    });

    const many = options.many ?? 1000;
    it(`${many.toLocaleString('en')} at once: capacity is respected, all end, nothing is left`, async () => {
      const launches = Array.from({ length: many }, (_, i) => stage.launch('succeed', `run1-n${i}-0`, { cpu: '100m' }));
      const host = await stage.start();
      const most = { slots: 0, milliCpu: 0 };
      const watch = setInterval(() => {
        most.slots = Math.max(most.slots, host.status.inUse.slots);
        most.milliCpu = Math.max(most.milliCpu, host.status.inUse.milliCpu);
      }, 5);
      await stage.bus.command(...launches.map((launch) => ({ launch })));
      const ends = await Promise.all(launches.map((launch) => stage.bus.end(launch.attempt)));
      clearInterval(watch);
      expect(ends.filter((end) => end.phase !== Phase.SUCCEEDED).map((end) => end.reason)).toEqual([]);
      const { cpu = Infinity, slots = Infinity } = world.plugin().capacity();
      expect(most.slots).toBeLessThanOrEqual(slots);
      expect(most.milliCpu).toBeLessThanOrEqual(cpu * 1000);
      expect(host.status.inUse).toEqual({ milliCpu: 0, memoryBytes: 0, gpu: 0, slots: 0 });
      while (stage.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }, 180_000);
  });
}

function withCapacity(plugin: BackendPlugin, capacity: ReturnType<BackendPlugin['capacity']>): BackendPlugin {
  return new Proxy(plugin, {
    get(target, property) {
      if (property === 'capacity') return () => capacity;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
