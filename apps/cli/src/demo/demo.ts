import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import chalk from 'chalk';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { ArtifactType } from '@aloft/idl/flyteidl/service/dataproxy';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { formatLiteral } from '@aloft/literals';
import { connect, type Connection } from '../connection.js';
import { executionId } from '../commands/context.js';
import { inputsFrom, startRun } from '../commands/run.js';
import { UsageError } from '../failure.js';
import { formatDuration, type Output } from '../output.js';
import { freePort, isPortFree, StartedPlatform } from '../platform.js';
import { registerFile } from '../register.js';
import { isFromCatalog, type NodeState, type RunState } from '../watch/run-state.js';
import { showRun } from '../watch/watch.js';

/** The demonstration did not show what it is there to show. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}

export interface DemoOptions {
  project: string;
  domain: string;
  /** Leave the platform that the demo started running. */
  keep?: boolean;
}

/** Share of the first run's time that the second may take. */
const repeatShare = 0.1;

/**
 * Shows the platform at work: a real pipeline on real data, run once for good and once out of the catalog. Throws unless
 * both runs succeed, every task of the second came from the catalog, and it took under a tenth of the first's time.
 */
export async function runDemo(options: DemoOptions, output: Output): Promise<void> {
  const dataDir = resolve(process.env['ALOFT_DATA_DIR'] ?? '.aloft');
  const { connection, platform, httpPort } = await platformFor(options, dataDir, output);
  try {
    const first = await demonstrate(connection, output, dataDir);
    const page = `http://localhost:${httpPort}/console/projects/${options.project}/domains/${options.domain}/executions/${first.name}`;
    if (platform && !options.keep) output.say(`\nTo look around: npm start, then ${page}`);
    else output.say(`\nLook around: ${page}`);
  } finally {
    connection.close();
    if (platform && !options.keep) await platform.stop();
  }
}

async function platformFor(options: DemoOptions, dataDir: string, output: Output) {
  let grpcPort = Number(process.env['ALOFT_GRPC_PORT'] ?? 8089);
  let httpPort = Number(process.env['ALOFT_HTTP_PORT'] ?? 8088);
  const target = { project: options.project, domain: options.domain };
  const connectTo = (port: number): Connection => connect({ ...target, endpoint: `localhost:${port}` });
  if (!(await isPortFree(grpcPort))) {
    const connection = connectTo(grpcPort);
    if (await connection.answers(3_000)) {
      output.say(`Using the platform that runs on port ${grpcPort}.`);
      return { connection, platform: undefined, httpPort };
    }
    connection.close();
    grpcPort = await freePort();
    httpPort = await freePort();
    output.say(`The usual ports are taken by something else; using ${grpcPort} (gRPC) and ${httpPort} (HTTP).`);
  } else if (!(await isPortFree(httpPort))) {
    httpPort = await freePort();
  }
  output.say('Starting the platform …');
  const started = performance.now();
  const connection = connectTo(grpcPort);
  try {
    const platform = await StartedPlatform.start(
      { grpcPort, httpPort, dataDir, logFile: join(dataDir, 'demo', 'platform.log') },
      () => connection.answers(1_000),
    );
    output.say(`Ready after ${formatDuration(performance.now() - started)}: gRPC on ${grpcPort}, HTTP on ${httpPort}.`);
    return { connection, platform, httpPort };
  } catch (error) {
    connection.close();
    throw error;
  }
}

interface TimedRun {
  name: string;
  run: RunState;
  milliseconds: number;
}

async function demonstrate(connection: Connection, output: Output, dataDir: string): Promise<TimedRun> {
  // The example is part of the repository, not a package that could be installed.
  const example = fileURLToPath(new URL('../../../../examples/flight-delays', import.meta.url));
  if (!existsSync(example))
    throw new UsageError(`There is no ${example}.`, 'The demo runs from a clone of the repository.');
  const data = join(dirname(createRequire(join(example, 'package.json')).resolve('vega-datasets')), '..', 'data');
  const source = join(example, 'src', 'flight-delays.ts');

  output.say(chalk.bold(`\nRegistering ${relative(process.cwd(), source)}`));
  const { version, entities } = await registerFile(connection, source);
  output.say(`version ${version}: ${entities.length} tasks, workflows and launch plans`);
  const { project, domain } = connection.target;
  const plan = await connection.admin.getLaunchPlan({
    id: { resourceType: ResourceType.LAUNCH_PLAN, org: '', project, domain, name: 'flight-delays.pipeline', version },
  });
  const inputs = await inputsFrom(
    connection,
    plan.id!,
    plan.closure!.expectedInputs!,
    ['--flights', join(data, 'flights-3m.parquet'), '--airports', join(data, 'airports.csv')],
    undefined,
  );
  const run = async (title: string, overwriteCache: boolean): Promise<TimedRun> => {
    output.say(chalk.bold(`\n${title}`));
    const started = performance.now();
    const { id } = await startRun(connection, plan.id!, inputs!, { overwriteCache });
    const state = await showRun(connection, executionId(connection.target, id!.name), output);
    const milliseconds = performance.now() - started;
    if (!state.succeeded) throw new DemoError(`${title} failed; see it with: aloft watch ${id!.name}`);
    return { name: id!.name, run: state, milliseconds };
  };

  // The first run computes everything even where an earlier demonstration has filled the catalog.
  const first = await run('First run: three million flights, six models', true);
  const second = await run('Second run: the same inputs', false);

  const ran = (node: NodeState): boolean =>
    node.phase === NodeExecution_Phase.SUCCEEDED && !node.isParent && node.taskName !== undefined;
  const tasks = second.run.visible.filter((node) => ran(node) || isFromCatalog(node));
  const computed = tasks.filter((node) => !isFromCatalog(node));
  const data1 = await connection.admin.getExecutionData({ id: executionId(connection.target, second.name) });
  const evaluation = data1.fullOutputs?.literals['evaluation'];
  if (evaluation) output.say(`\n${chalk.bold('Result')} ${formatLiteral(evaluation)}`);
  output.say(`\n${chalk.bold('First run')}   ${formatDuration(first.milliseconds)}`);
  output.say(`${chalk.bold('Second run')}  ${formatDuration(second.milliseconds)}`);
  output.say(
    `From the catalog: ${tasks
      .filter(isFromCatalog)
      .map((node) => `${node.name || node.specId} (${node.id})`)
      .join(', ')}`,
  );
  const report = await saveReport(connection, first, dataDir);
  output.say(`Report: ${pathToFileURL(report).href}`);
  if (output.isJson)
    output.result(
      {
        first: { name: first.name, milliseconds: Math.round(first.milliseconds) },
        second: { name: second.name, milliseconds: Math.round(second.milliseconds) },
        fromCatalog: tasks.filter(isFromCatalog).map((node) => node.id),
        report,
      },
      '',
    );
  if (tasks.length === 0) throw new DemoError('The second run shows no tasks.');
  if (computed.length > 0)
    throw new DemoError(
      `The second run computed ${computed.map((node) => node.name || node.id).join(', ')} instead of taking it from the catalog.`,
    );
  if (second.milliseconds > repeatShare * first.milliseconds)
    throw new DemoError(
      `The second run took ${formatDuration(second.milliseconds)}, more than a tenth of the first's ${formatDuration(first.milliseconds)}.`,
    );
  return first;
}

/** Fetches the report task's deck and keeps it as a file. */
async function saveReport(connection: Connection, { name, run }: TimedRun, dataDir: string): Promise<string> {
  const node = run.visible.find(({ taskName }) => taskName === 'flight-delays.report');
  if (!node) throw new DemoError('The run has no report node.');
  const link = await connection.dataProxy.createDownloadLink({
    artifactType: ArtifactType.ARTIFACT_TYPE_DECK,
    expiresIn: undefined,
    source: { $case: 'nodeExecutionId', value: { nodeId: node.id, executionId: executionId(connection.target, name) } },
  });
  const url = link.preSignedUrls?.signedUrl[0] ?? link.signedUrl[0];
  const response = url ? await fetch(url) : undefined;
  if (!response?.ok)
    throw new DemoError(
      `The report could not be fetched: ${response ? `HTTP ${response.status}` : 'there is no link to it'}.`,
    );
  const path = join(dataDir, 'demo', 'flight-delays.html');
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.from(await response.arrayBuffer()));
  return path;
}
