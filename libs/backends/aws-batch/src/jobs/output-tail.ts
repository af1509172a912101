import { CloudWatchLogsClient, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import type { Logger } from '@aloft/telemetry';
import { Pace } from '../client/pace.js';
import type { AwsBatchOptions } from '../options.js';

const lines = 20;
const maxCharacters = 2_048;
/** Of a storm of failures the first tell; the others have their link. */
const maxWaiting = 50;

/** The last lines that a container wrote, from CloudWatch Logs. A look that fails is an empty text: it explains, it decides nothing. */
export class OutputTail {
  private readonly client: CloudWatchLogsClient;
  private readonly pace = new Pace({ perSecond: 10 });
  private waiting = 0;

  constructor(
    private readonly options: AwsBatchOptions,
    private readonly logger: Logger,
  ) {
    const { region, endpoint, credentials } = options;
    this.client = new CloudWatchLogsClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials ? { credentials } : {}),
    });
  }

  async of(logStreamName: string | undefined): Promise<string> {
    if (logStreamName === undefined || this.waiting >= maxWaiting) return '';
    this.waiting += 1;
    try {
      await this.pace.turn();
      const { logGroup: logGroupName } = this.options;
      const { events = [] } = await this.client.send(
        new GetLogEventsCommand({ logGroupName, logStreamName, limit: lines, startFromHead: false }),
      );
      const text = events.map(({ message = '' }) => message).join('\n');
      return text.slice(-maxCharacters).trim();
    } catch (error) {
      this.logger.debug({ err: error, logStreamName }, 'the last output of a failed job could not be read');
      return '';
    } finally {
      this.waiting -= 1;
    }
  }

  stop(): void {
    this.client.destroy();
  }
}
