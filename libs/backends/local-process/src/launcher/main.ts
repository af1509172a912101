// The launcher: the platform's helper process for everything that spawns, forks, unpacks, samples or kills.
// Argument: its settings as JSON. Requests on stdin, events on stdout, one JSON object a line. Ends with its stdin;
// what it started lives on and is found again by the next launcher.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readIfThere } from './attempt-folder.js';
import { Attempts } from './attempts.js';
import { BrokenBundle, Bundles } from './bundles.js';
import { startCold } from './cold-start.js';
import { readJsonLines } from './line-channel.js';
import { NodeWorkers } from './node-workers.js';
import { readProcess, signal } from './processes.js';
import type { LauncherEvent, LauncherRequest, LaunchSpec } from './protocol.js';
import { PythonWorkers } from './python-workers.js';

export interface LauncherSettings {
  workDir: string;
  graceMs: number;
  /** Environment of warm Python parents. */
  pythonEnv: Record<string, string>;
  node: {
    command: string[];
    executor: string;
    keep: number;
    env: Record<string, string>;
    /** Unpacked bundles of the TypeScript SDK, and what they see as `node_modules`. */
    bundles: string;
    modules?: string;
  };
}

const settings = JSON.parse(process.argv[2] ?? '{}') as LauncherSettings;

const emit = (event: LauncherEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);

mkdirSync(settings.workDir, { recursive: true });
await replacePredecessor(join(settings.workDir, 'launcher'));

const attempts = new Attempts(join(settings.workDir, 'attempts'), emit, settings.graceMs);
const bundles = new Bundles(join(settings.workDir, 'bundles'));
const pythons = new PythonWorkers(attempts, { env: settings.pythonEnv, workDir: settings.workDir, emit });
const { command: node, bundles: nodeFolder, modules, ...nodeSettings } = settings.node;
const nodes = new NodeWorkers(attempts, { ...nodeSettings, node, workDir: settings.workDir, emit });
const nodeBundles = new Bundles(nodeFolder);
if (modules !== undefined) linkModules(nodeFolder, modules);

/** Packages that a bundle leaves out are found beside the platform's own. */
function linkModules(folder: string, target: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const link = join(folder, 'node_modules');
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

/** Only one launcher acts on a work folder: an earlier one that hasn't noticed its platform's death yet is ended. */
async function replacePredecessor(file: string): Promise<void> {
  const [pid, start] = (readIfThere(file) ?? '').split(' ').map(Number);
  while (pid && readProcess(pid)?.start === start && readProcess(pid)?.state !== 'Z') {
    signal(pid, 'SIGKILL');
    await delay(5);
  }
  writeFileSync(file, `${process.pid} ${readProcess(process.pid)?.start}`);
}

async function launch(spec: LaunchSpec): Promise<void> {
  if (!attempts.begin(spec)) return;
  const { id } = spec;
  try {
    const folder = attempts.folder(id);
    folder.create(spec);
    if (spec.bundle && spec.start === 'node') await nodeBundles.shareAs(spec.bundle);
    else if (spec.bundle) await bundles.copyTo(spec.bundle, folder.code);
    if (attempts.isCancelled(id)) {
      attempts.failed(id, 'Aborted', 'It was aborted before it began.', false);
      return;
    }
    if (spec.start === 'python') pythons.start(spec);
    else if (spec.start === 'node') nodes.start(spec);
    else startCold(attempts, spec);
  } catch (error) {
    const broken = error instanceof BrokenBundle;
    attempts.failed(
      id,
      broken ? 'BrokenCodeBundle' : 'StartFailed',
      broken ? error.message : `The attempt could not be prepared: ${(error as Error).message}.`,
      broken,
    );
  }
}

async function handle(request: LauncherRequest): Promise<void> {
  switch (request.do) {
    case 'launch':
      return launch(request.spec);
    case 'adopt': {
      const found = request.ids.filter((id) => attempts.adopt(id));
      const absent = request.ids.filter((id) => !found.includes(id));
      emit({ event: 'adopted', found, absent });
      if (request.exclusive) await attempts.clear(new Set(found));
      return;
    }
    case 'kill':
      return attempts.kill(request.id, request.why);
    case 'forget':
      return attempts.forget(request.ids);
    case 'warm':
      if (request.python !== undefined) pythons.warm(request.python);
      if (request.node) nodes.fill();
  }
}

readJsonLines<LauncherRequest>(process.stdin, (request) => {
  handle(request).catch((error: unknown) =>
    emit({
      event: 'log',
      level: 'error',
      message: `${request.do}: ${error instanceof Error ? error.stack : String(error)}`,
    }),
  );
});
process.stdin.on('end', () => process.exit(0));
// The platform ends it by closing its input; a Ctrl-C in the terminal is the platform's.
process.on('SIGINT', () => undefined);
process.stdout.on('error', () => process.exit(0));
emit({ event: 'ready' });
