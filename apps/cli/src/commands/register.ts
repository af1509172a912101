import chalk from 'chalk';
import { Command } from 'commander';
import { registerFile } from '../register.js';
import { table } from '../output.js';
import { within, withGlobalOptions } from './context.js';

interface Options {
  version?: string;
  image?: string;
  activate?: boolean;
  external?: string[];
}

export function registerCommand(): Command {
  return withGlobalOptions(new Command('register'))
    .description('bundle files of tasks and workflows and register what they export')
    .argument('<file...>', 'files like pipeline.ts')
    .option('-v, --version <version>', 'version (default: a digest of the code)')
    .option('--image <image>', 'container image of the tasks')
    .option('--activate', 'start the schedules of launch plans that have one')
    .option('--external <package...>', 'packages to leave out of the bundle: those with native code')
    .action(async (files: string[], options: Options, command: Command) => {
      await within(command, async ({ connection, output }) => {
        for (const file of files) {
          const { version, entities, bundle, distribution } = await registerFile(connection, file, options);
          output.result(
            { file, version, distribution, external: bundle.external, entities },
            `${chalk.bold(file)} version ${chalk.bold(version)} (${Math.ceil(bundle.archive.length / 1024)} KiB)\n${table(
              ['kind', 'name', ''],
              entities.map(({ kind, id, outcome }) => [
                kind,
                id.name,
                outcome === 'created' ? chalk.green(outcome) : chalk.dim(outcome),
              ]),
            )}`,
          );
          if (bundle.external.length > 0)
            output.say(
              chalk.yellow(`Left out of the bundle, to be installed where tasks run: ${bundle.external.join(', ')}`),
            );
        }
      });
    });
}
