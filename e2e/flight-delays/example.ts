import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchClient } from '@aloft/bench/client';
import { TaskExecutionListRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { NodeExecutionListRequest } from '@aloft/idl/flyteidl/admin/node_execution';
import type { LiteralMap } from '@aloft/idl/flyteidl/core/literals';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** An interpreter with what the example needs, pyspark and a Java runtime, as the suite makes it. */
export const python = process.env['ALOFT_TEST_PYTHON'] ?? '';

/** A thirtieth of the flights, so that a run is a matter of a minute. */
const sample = `
import sys, pandas
pandas.read_parquet(sys.argv[1]).iloc[::30].to_parquet(sys.argv[2])
`;

const run = async (command: string, args: readonly string[], options: { cwd?: string } = {}) => {
  try {
    return await promisify(execFile)(command, args, { maxBuffer: 2 ** 26, ...options });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')}: ${stdout ?? ''}${stderr ?? ''}`, { cause: error });
  }
};

/** Where a run's attempts were: names of backends of all but the training, and of the links that the training's items have there. */
export interface Whereabouts {
  backends: string[];
  itemLinks: string[];
}

/** The Python example, registered once by stock pyflyte, and run as often as wanted. */
export class Example {
  private readonly flights: string;

  /** `folder`: for the sample; `config`: what the platform wrote for flytekit, again after every start. */
  constructor(
    folder: string,
    private readonly config: string,
  ) {
    this.flights = join(folder, 'flights.parquet');
  }

  async register(image: string): Promise<void> {
    const data = join(root, 'node_modules', 'vega-datasets', 'data', 'flights-3m.parquet');
    await run(python, ['-c', sample, data, this.flights]);
    await this.pyflyte(
      ...['register', '-p', 'flytesnacks', '-d', 'development', '--image', image, '--destination-dir', '.'],
      ...['--version', 'v1', 'flight_delays.py'],
    );
  }

  /** Launches it and resolves to its outputs, and to where its attempts were. Nothing comes from the catalog. */
  async run(grpc: string): Promise<{ outputs: LiteralMap | undefined; where: Whereabouts }> {
    const { stdout } = await this.pyflyte(
      ...['run', '-p', 'flytesnacks', '-d', 'development', '--overwrite-cache'],
      ...['remote-launchplan', 'flight_delays.pipeline', '--rows', '6000', '--flights', this.flights],
      // Its own defaults have a time zone, which the command line cannot read.
      ...['--validation_from', '2001-05-01', '--test_from', '2001-06-01'],
      ...['--airports', join(root, 'node_modules', 'vega-datasets', 'data', 'airports.csv')],
    );
    const name = /executions\/(\w+)/.exec(stdout)?.[1];
    if (name === undefined) throw new Error(`pyflyte named no execution: ${stdout}`);
    const id = { org: '', project: 'flytesnacks', domain: 'development', name };
    const client = new BenchClient(grpc);
    try {
      await client.succeeded(id);
      const { fullOutputs } = await client.admin.getExecutionData({ id });
      return { outputs: fullOutputs, where: await whereabouts(client, id) };
    } finally {
      client.close();
    }
  }

  private pyflyte(...args: string[]) {
    const program = join(dirname(python), 'pyflyte');
    const cwd = join(root, 'examples', 'flight-delays-python');
    return run(program, ['--config', this.config, ...args], { cwd });
  }
}

async function whereabouts(client: BenchClient, workflowExecutionId: { name: string }): Promise<Whereabouts> {
  const { nodeExecutions } = await client.admin.listNodeExecutions(
    NodeExecutionListRequest.fromPartial({ workflowExecutionId, limit: 100 }),
  );
  const backends = new Set<string>();
  const itemLinks = new Set<string>();
  for (const { id } of nodeExecutions) {
    const request = TaskExecutionListRequest.fromPartial({ nodeExecutionId: id, limit: 100 });
    for (const { closure } of (await client.admin.listTaskExecutions(request)).taskExecutions) {
      const { pluginIdentifier = '', externalResources = [] } = closure?.metadata ?? {};
      if (externalResources.length === 0) backends.add(pluginIdentifier);
      for (const { logs } of externalResources) for (const log of logs) itemLinks.add(log.name.replace(/-\d+$/, ''));
    }
  }
  return { backends: [...backends].sort(), itemLinks: [...itemLinks].sort() };
}
