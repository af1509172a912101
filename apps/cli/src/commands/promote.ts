import { Command } from 'commander';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { UsageError } from '../failure.js';
import { table } from '../output.js';
import { Promotion } from '../promote/promote.js';
import { within, withGlobalOptions } from './context.js';

interface PromoteOptions {
  to: string;
  toProject?: string;
  activate?: boolean;
}

/** A version from one domain to the next (S-20). */
export function promoteCommand(): Command {
  return withGlobalOptions(new Command('promote'))
    .description('register a version, with all that it uses, in another domain as it is')
    .argument('<name>')
    .argument('[version]', 'the active one, if none is named')
    .requiredOption('--to <domain>', 'where it is wanted')
    .option('--to-project <id>', 'in another project')
    .option('--activate', 'make it the one that runs there by default, and on schedule')
    .action(async (name: string, version: string | undefined, options: PromoteOptions, command: Command) => {
      await within(command, async ({ connection, output, target }) => {
        const from = { project: target.project, domain: target.domain };
        const to = { project: options.toProject ?? target.project, domain: options.to };
        if (to.project === from.project && to.domain === from.domain)
          throw new UsageError(`--to ${to.domain} is where it is: name another domain, or --to-project.`);
        const named = { ...from, name, org: '' };
        const id = version
          ? { ...named, version, resourceType: ResourceType.LAUNCH_PLAN }
          : (await connection.admin.getActiveLaunchPlan({ id: named })).id!;
        const promotion = new Promotion(connection.admin, from, to);
        await promotion.launchPlan(id, options.activate === true);
        const rows = promotion.done.map((one) => [
          one.kind,
          one.id.name,
          one.id.version,
          one.existed ? 'was there' : 'registered',
        ]);
        output.result(promotion.done, table(['what', 'name', 'version', `in ${to.project}/${to.domain}`], rows));
      });
    });
}
