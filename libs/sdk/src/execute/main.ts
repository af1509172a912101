import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { DeckPage, type TaskContext } from '../context.js';
import { TaskSystemError } from '../errors.js';
import { secretVariable } from '../local/secrets.js';
import { itemIndex, parseArguments, type ExecuteArguments } from './arguments.js';
import { errorDocument } from './error-document.js';
import { AttemptFiles } from './files.js';
import { loadModule, unpackBundle } from './load.js';
import { storageFrom, type Storage } from './storage.js';

export interface ExecuteOptions {
  /** Default: the process's. */
  env?: NodeJS.ProcessEnv;
  /** Tells the task that its attempt is being aborted. */
  signal?: AbortSignal;
}

export type ExecuteOutcome = 'succeeded' | 'failed';

/**
 * Runs one attempt of a task: reads inputs.pb, loads the code, runs it, and leaves outputs.pb (or futures.pb) or error.pb,
 * and deck.html, under the output prefix. A failing task resolves as 'failed': the verdict is in error.pb. Rejects only
 * when not even that could be written, or when the arguments make no sense. May be called many times in one process, one
 * after the other.
 */
export async function main(argv: readonly string[], options: ExecuteOptions = {}): Promise<ExecuteOutcome> {
  const args = parseArguments(argv);
  const env = options.env ?? process.env;
  const storage = storageFrom(env);
  const folder = await mkdtemp(join(env['TMPDIR'] ?? tmpdir(), 'aloft-task-'));
  const deck = new DeckPage();
  try {
    const { kind, bytes } = await runAttempt(args, { env, storage, folder, deck, signal: options.signal });
    await writeDeck(args, storage, deck);
    await storage.write(`${args.outputPrefix}/${kind}.pb`, bytes);
    return 'succeeded';
  } catch (thrown) {
    const document = errorDocument(thrown, new Date());
    process.stderr.write(`${document.error!.message}\n`);
    await storage.write(`${args.outputPrefix}/error.pb`, ErrorDocument.encode(document).finish());
    await writeDeck(args, storage, deck);
    return 'failed';
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Attempt {
  env: NodeJS.ProcessEnv;
  storage: Storage;
  folder: string;
  deck: DeckPage;
  signal?: AbortSignal;
}

async function runAttempt(args: ExecuteArguments, attempt: Attempt) {
  const { env, storage, folder } = attempt;
  // Stack traces then name the author's files and lines; it must be on before the module is loaded.
  process.setSourceMapsEnabled(true);
  const bundle = args.distribution ? await unpackBundle(args.distribution, storage, env) : undefined;
  const entry = await loadModule(args.module, bundle);
  const inputs = await storage.read(args.inputs);
  if (!inputs)
    throw new TaskSystemError(`${args.inputs} does not exist; the platform writes it before it starts a task.`);
  const transfer = new AttemptFiles(storage, folder, args.rawOutputPrefix);
  const outputs = join(folder, 'outputs');
  await mkdir(outputs, { recursive: true });
  return entry.runTask({
    task: args.task,
    inputs,
    transfer,
    context: contextOf(args, attempt, outputs),
    serialization: {
      project: env['FLYTE_INTERNAL_TASK_PROJECT'] ?? env['FLYTE_INTERNAL_EXECUTION_PROJECT'] ?? '',
      domain: env['FLYTE_INTERNAL_TASK_DOMAIN'] ?? env['FLYTE_INTERNAL_EXECUTION_DOMAIN'] ?? '',
      version: env['FLYTE_INTERNAL_TASK_VERSION'] ?? '',
      image: env['FLYTE_INTERNAL_IMAGE'] ?? '',
      module: args.module,
      distribution: args.distribution,
      transfer,
    },
  });
}

function contextOf(args: ExecuteArguments, attempt: Attempt, outputs: string): TaskContext {
  const { env, storage, deck } = attempt;
  return {
    execution: {
      project: env['FLYTE_INTERNAL_EXECUTION_PROJECT'] ?? '',
      domain: env['FLYTE_INTERNAL_EXECUTION_DOMAIN'] ?? '',
      name: env['FLYTE_INTERNAL_EXECUTION_ID'] ?? '',
    },
    attempt: Number(env['FLYTE_ATTEMPT_NUMBER'] ?? 0),
    index: itemIndex(env),
    file: (name) => join(outputs, name),
    deck,
    checkpoint: {
      previous: () =>
        args.previousCheckpoint ? storage.read(`${args.previousCheckpoint}/checkpoint`) : Promise.resolve(undefined),
      save: async (data) => {
        if (!args.checkpointPath)
          throw new TaskSystemError('The platform gave this task no --checkpoint-path to save to.');
        await storage.write(`${args.checkpointPath}/checkpoint`, data);
      },
    },
    secret: (key, group = '') => secretFrom(env, key, group),
    signal: attempt.signal ?? new AbortController().signal,
  };
}

/** A secret from the environment or from a mounted file, where flytekit looks for them. */
async function secretFrom(env: NodeJS.ProcessEnv, key: string, group: string): Promise<string> {
  const variable = secretVariable(key, group);
  const value = env[variable];
  if (value !== undefined) return value;
  const path = join(
    env['FLYTE_SECRETS_DEFAULT_DIR'] ?? '/etc/secrets',
    group,
    `${env['FLYTE_SECRETS_FILE_PREFIX'] ?? ''}${key.toLowerCase()}`,
  );
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new Error(
      `Secret '${key}'${group ? ` of group '${group}'` : ''} is neither in ${variable} nor in ${path}; ask for it in the task's secrets.`,
      { cause },
    );
  });
}

async function writeDeck(args: ExecuteArguments, storage: Storage, deck: DeckPage): Promise<void> {
  if (!deck.isEmpty)
    await storage.write(`${args.outputPrefix}/deck.html`, Buffer.from(deck.render()), 'text/html; charset=utf-8');
}
