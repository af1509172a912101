import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import { Told } from '@aloft/backend-kit/testing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { jest } from '@jest/globals';
import { SparkCluster } from './testing/spark-cluster.js';
import { SparkWorld } from './testing/spark-world.js';

jest.setTimeout(300_000);

/** Counts on executors, then waits where it is told to, and gives what it was to give. */
const application = `
import shutil, sys
from pyspark.sql import SparkSession
outputs, prepared, wait = sys.argv[1:]
session = SparkSession.builder.getOrCreate()
assert session.range(100).rdd.map(lambda row: row.id * 2).sum() == 9900
if wait:
    open(f"{prepared}/{wait}.mark", "a").write("started\\n")
    open(f"{prepared}/{wait}.fifo").readline()
shutil.copy(f"{prepared}/seven.pb", f"{outputs}/outputs.pb")
`;

// Real: Spark's own master with one worker, spark-submit, Python on the executor.
describe('a given master', () => {
  let cluster: SparkCluster;
  let world: SparkWorld;
  let plugin: BackendPlugin;

  beforeAll(async () => {
    world = new SparkWorld();
    cluster = await SparkCluster.start(world.dir);
    const conf = { 'spark.driver.host': '127.0.0.1', 'spark.driver.bindAddress': '127.0.0.1' };
    world.use({ master: cluster.master, conf });
    plugin = world.plugin();
    await plugin.start?.();
  });

  afterAll(async () => {
    await world?.close();
    await cluster?.stop();
  });

  const launch = (name: string, wait: boolean) => {
    const launch = world.launch(wait ? 'until-finished' : 'succeed', { name });
    const file = join(world.dir, 'count.py');
    writeFileSync(file, application);
    const custom = launch.template?.custom as { sparkConf: Record<string, string> };
    const sparkConf = { ...custom.sparkConf, 'spark.driver.memory': '512m', 'spark.executor.memory': '640m' };
    launch.template = { ...launch.template!, custom: { mainApplicationFile: `local://${file}`, sparkConf } };
    const { target } = launch.template;
    const mark = `${name}.${launch.attempt.generation}`;
    if (target?.$case === 'container')
      target.value.args = [launch.outputPrefix, join(world.dir, 'fixtures'), wait ? mark : ''];
    return launch;
  };

  it('S-11: runs the executors, as large as the task states', async () => {
    const told = new Told(world.blob);
    await plugin.launch(launch('run1-n0-0', false), told);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    while ((await cluster.active()).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await cluster.ended()).toMatchObject([{ name: 'run1-n0-0', cores: 1, memoryperexecutor: 640 }]);
  });

  it('an abort of the driver ends its application there', async () => {
    const told = new Told(world.blob);
    const waiting = launch('run1-n1-0', true);
    await plugin.launch(waiting, told);
    await world.started(waiting.attempt);
    expect(await cluster.active()).toMatchObject([{ name: 'run1-n1-0' }]);
    await plugin.abort(waiting.attempt, 'enough');
    expect(Phase[(await told.end()).phase]).toBe('ABORTED');
    while ((await cluster.active()).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await cluster.ended()).map(({ name }) => name)).toContain('run1-n1-0');
  });
});
