import { Command } from 'commander';
import { Output } from '../output.js';
import { withGlobalOptions, type GlobalOptions } from './context.js';

export function demoCommand(): Command {
  return withGlobalOptions(new Command('demo'))
    .description('start a platform if none runs, run a real pipeline on it, and run it again from the catalog')
    .option('--keep', 'leave the platform running')
    .action(async (_options: object, command: Command) => {
      const { project, domain, output, keep } = command.optsWithGlobals<GlobalOptions & { keep?: boolean }>();
      const { runDemo } = await import('../demo/demo.js');
      await runDemo({ project, domain, keep }, new Output(output));
    });
}
