import type { Command } from 'commander';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { connect, defaultEndpoint, type Connection, type Target } from '../connection.js';
import { Output, type OutputFormat } from '../output.js';
import { UsageError } from '../failure.js';

export interface GlobalOptions extends Target {
  output: OutputFormat;
  json?: boolean;
}

/** What a command works with. */
export interface CommandContext {
  readonly connection: Connection;
  readonly output: Output;
  readonly target: Target;
}

/** The options that every command takes, so that they may stand before or after its name. */
export function withGlobalOptions(command: Command): Command {
  return command
    .option('-e, --endpoint <host:port>', 'gRPC address of the platform', defaultEndpoint(process.env))
    .option('-p, --project <id>', 'project', process.env['ALOFT_PROJECT'] ?? 'flytesnacks')
    .option('-d, --domain <id>', 'domain', process.env['ALOFT_DOMAIN'] ?? 'development')
    .option(
      '-o, --output <format>',
      'text or json',
      (value) => {
        if (value !== 'text' && value !== 'json')
          throw new UsageError(`--output must be text or json, but it is ${value}.`);
        return value;
      },
      'text',
    )
    .option('--json', 'the same as --output json');
}

/** Opens a connection for a command's work and closes it after. */
export async function within<R>(command: Command, work: (context: CommandContext) => Promise<R>): Promise<R> {
  const { endpoint, project, domain, output, json } = command.optsWithGlobals<GlobalOptions>();
  const target = { endpoint: endpoint.replace(/^(grpc|http):\/\//, ''), project, domain };
  const out = new Output(json ? 'json' : output);
  const told = new Set<string>();
  const connection = connect(target, (warning) => {
    if (!told.has(warning)) out.say(`Warning: ${warning}`);
    told.add(warning);
  });
  try {
    return await work({ connection, target, output: out });
  } finally {
    connection.close();
  }
}

export const executionId = (target: Target, name: string): WorkflowExecutionIdentifier => ({
  org: '',
  project: target.project,
  domain: target.domain,
  name,
});
