import { TaskLog_MessageFormat, type TaskLog } from '@aloft/idl/flyteidl/core/execution';
import { jobIdOf, type BatchJob } from './handle.js';

const link = (name: string, uri: string): TaskLog => ({
  uri,
  name,
  messageFormat: TaskLog_MessageFormat.UNKNOWN,
  ttl: undefined,
  ShowWhilePending: true,
  HideOnceFinished: false,
});

/** Where people see a job, and its output once it has one. */
export function logLinks(
  { job, logStreamName }: { job: BatchJob; logStreamName?: string | undefined },
  { region, logGroup }: { region: string; logGroup: string },
): TaskLog[] {
  const console = `https://${region}.console.aws.amazon.com`;
  const links = [link('AWS Batch', `${console}/batch/home?region=${region}#jobs/detail/${jobIdOf(job)}`)];
  if (logStreamName)
    links.push(
      link(
        'CloudWatch Logs',
        `${console}/cloudwatch/home?region=${region}#logsV2:log-groups/log-group/${twice(logGroup)}/log-events/${twice(logStreamName)}`,
      ),
    );
  return links;
}

/** The console's own way: encoded twice, with `$25` for `%25`. */
const twice = (text: string): string => encodeURIComponent(encodeURIComponent(text)).replaceAll('%', '$');
