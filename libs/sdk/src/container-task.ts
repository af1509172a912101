import { DefinitionError } from './errors.js';
import type { Task, TaskSettings } from './entities.js';
import { makeTask, type None } from './task.js';
import type { Fields } from './types/data-type.js';

interface CommandOptions<I extends Fields, O extends Fields> extends Omit<TaskSettings, 'deck'> {
  /** Default: `<file>.<export>`. */
  name?: string;
  inputs?: I;
  outputs?: O;
}

export interface ContainerTaskOptions<I extends Fields, O extends Fields> extends CommandOptions<I, O> {
  image: string;
  /** The program and its arguments; `{{.inputs.x}}` stands for the value of an input that is a scalar (C-106). */
  command: readonly string[];
  args?: readonly string[];
  /** Folder of the container with a file for each input, named by it, and `inputs.json`; default `/var/inputs`. */
  inputPath?: string;
  /** Folder where it leaves a file for each output; a file `_ERROR` says that it failed. Default `/var/outputs`. */
  outputPath?: string;
}

export interface ShellTaskOptions<I extends Fields, O extends Fields> extends CommandOptions<I, O> {
  /** Run by `sh -e`. Inputs are the files `$INPUTS/<name>`, outputs those that it writes to `$OUTPUTS/<name>`. */
  script: string;
  shell?: string;
}

const folders = { inputPath: '/var/inputs', outputPath: '/var/outputs' };

/**
 * Defines a task that is any command in any image (C-180). Scalars come and go as text, `t.file` and `t.directory` as files and folders,
 * structs as JSON. On a local platform the command runs as a process of the machine, its folders moved to the attempt's own.
 */
export function containerTask<I extends Fields = None, O extends Fields = None>(
  options: ContainerTaskOptions<I, O>,
): Task<I, O> {
  const { command, args = [], inputPath = folders.inputPath, outputPath = folders.outputPath, ...settings } = options;
  const where = `Task ${options.name ?? '(not named yet)'}`;
  if (command.length === 0) throw new DefinitionError(`${where}: command must name at least the program to run.`);
  for (const [name, path] of Object.entries({ inputPath, outputPath }))
    if (!path.startsWith('/') || path.length < 2)
      throw new DefinitionError(
        `${where}: ${name} must be an absolute path like ${folders.inputPath}, but it is '${path}'.`,
      );
  if (inputPath === outputPath) throw new DefinitionError(`${where}: inputPath and outputPath must differ.`);
  return makeTask({
    ...settings,
    kind: 'task',
    inputs: options.inputs ?? ({} as I),
    outputs: options.outputs ?? ({} as O),
    container: { command, args, inputPath, outputPath },
  });
}

/** Defines a task that is a shell script: a container task that needs no more than a shell. */
export function shellTask<I extends Fields = None, O extends Fields = None>(
  options: ShellTaskOptions<I, O>,
): Task<I, O> {
  const { script, shell = '/bin/sh', image = 'busybox:1.37', ...settings } = options;
  return containerTask({
    ...settings,
    image,
    command: [shell, '-e', '-c', script],
    env: { INPUTS: folders.inputPath, OUTPUTS: folders.outputPath, ...options.env },
  });
}
