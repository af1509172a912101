import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FakeJob, type RunInfo, type SubmitRequest } from './fake-job.js';

/** A container that runs. */
export interface Running {
  jobId: string;
  jobName: string;
  /** Index of an array's child. */
  index: number | undefined;
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  image: string;
  memoryMiB: number;
  /** Aborts when the job is terminated. */
  signal: AbortSignal;
  /** What it writes comes back from CloudWatch Logs. */
  log(line: string): void;
}

/** How a container ended; `statusReason` and `reason` in Batch's words. */
export type Ended = Pick<RunInfo, 'exitCode' | 'reason' | 'statusReason'>;

/**
 * What befalls a call: `throttle` and `error` (500) are answered without its having done anything, `lose` cuts the connection after it did.
 */
export type Fate = 'answer' | 'throttle' | 'error' | 'lose';

export interface FakeBatchOptions {
  /** Does what a container would do. */
  run: (container: Running) => Promise<Ended>;
  /** Containers that run at once. */
  room?: number;
  /** Why jobs that wait for room wait, as a queue's first job says it. */
  blocked?: () => string | undefined;
  fate?: (call: string) => Fate | Promise<Fate>;
  /** State changes, as EventBridge delivers them. */
  onEvent?: (detail: Record<string, unknown>) => void;
  queues?: readonly string[];
  /** Milliseconds until a new job, or a child's end, is listed: ListJobs is behind. */
  listedAfterMs?: number;
}

interface Definition {
  jobDefinitionName: string;
  jobDefinitionArn: string;
  revision: number;
  status: 'ACTIVE' | 'INACTIVE';
  containerProperties: { image: string };
}

class ClientError extends Error {}

/** AWS Batch as far as this backend uses it, in memory: for what moto cannot show (see README.md). */
export class FakeBatch {
  readonly calls = new Map<string, number>();
  readonly jobs = new Map<string, FakeJob>();
  readonly definitions: Definition[] = [];
  private readonly logs = new Map<string, string[]>();
  private readonly waiting: { job: FakeJob; child: number }[] = [];
  private running = 0;
  private readonly server: Server;

  constructor(readonly options: FakeBatchOptions) {
    this.server = createServer((request, response) => void this.serve(request, response));
    this.server.keepAliveTimeout = 60_000;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const job of this.jobs.values()) for (const abort of job.aborts.values()) abort.abort();
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  get callCount(): number {
    return [...this.calls.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Jobs, with arrays as one. */
  named(part: string): FakeJob[] {
    return [...this.jobs.values()].filter(({ request }) => request.jobName.includes(part));
  }

  /** The machine of a running container goes away: what runs on it ends, without a word of its own. */
  reclaim(job: FakeJob, child = 0): void {
    this.end(job, child, { statusReason: 'Host EC2 (instance i-0123456789abcdef0) terminated.' });
    job.aborts.get(child)?.abort();
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const target = request.headers['x-amz-target'];
    const call =
      (typeof target === 'string' ? target.split('.')[1] : request.url?.split('/').at(-1)?.toLowerCase()) ?? '';
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    const answer = (status: number, body: unknown, type?: string) => {
      response.writeHead(status, {
        'content-type': 'application/json',
        ...(type ? { 'x-amzn-errortype': type } : {}),
      });
      response.end(JSON.stringify(body));
    };
    const fate = (await this.options.fate?.(call)) ?? 'answer';
    if (fate === 'throttle') return answer(429, { message: 'Too Many Requests' }, 'TooManyRequestsException');
    if (fate === 'error') return answer(500, { message: 'something broke' }, 'ServerException');
    try {
      const result = this.answer(call, JSON.parse(Buffer.concat(chunks).toString() || '{}') as never);
      if (fate === 'lose') request.socket.destroy();
      else answer(200, result);
    } catch (error) {
      answer(400, { message: (error as Error).message }, 'ClientException');
    }
  }

  private answer(call: string, input: never): unknown {
    switch (call) {
      case 'submitjob':
        return this.submit(input);
      case 'describejobs':
        return this.describe(input);
      case 'listjobs':
        return this.list(input);
      case 'terminatejob':
        return this.terminate(input);
      case 'registerjobdefinition':
        return this.register(input);
      case 'describejobdefinitions':
        return this.describeDefinitions(input);
      case 'describejobqueues':
        return this.describeQueues(input);
      case 'GetLogEvents':
        return this.logEvents(input);
      default:
        throw new ClientError(`the fake has no ${call}`);
    }
  }

  private submit(request: SubmitRequest): unknown {
    const { jobName, jobQueue, jobDefinition, arrayProperties, tags = {}, containerOverrides = {} } = request;
    if (!/^[A-Za-z0-9][\w-]{0,127}$/.test(jobName)) throw new ClientError(`jobName "${jobName}" is not valid`);
    if (!(this.options.queues ?? ['on-demand', 'spot']).includes(jobQueue))
      throw new ClientError(`JobQueue ${jobQueue} does not exist`);
    const definition = this.definitions.find(
      ({ jobDefinitionArn: arn, status }) => arn === jobDefinition && status === 'ACTIVE',
    );
    if (!definition) throw new ClientError(`JobDefinition ${jobDefinition} is not ACTIVE`);
    const size = arrayProperties?.size;
    if (size !== undefined && (size < 2 || size > 10_000))
      throw new ClientError(`array size ${size} is not 2 to 10000`);
    if (Object.keys(tags).length > 50) throw new ClientError('more than 50 tags');
    if (JSON.stringify(request).length > 30 * 1024) throw new ClientError('Job size must be less than 30 KiB');
    const dependsOn = (request.dependsOn ?? []).map(({ jobId }) => this.jobs.get(jobId));
    if (dependsOn.length > 20) throw new ClientError('more than 20 dependencies');
    if (dependsOn.includes(undefined)) throw new ClientError('a job that it depends on does not exist');
    const job = new FakeJob(request, definition.jobDefinitionArn);
    this.jobs.set(job.id, job);
    const tooLong = JSON.stringify(containerOverrides).length > 8_192;
    for (let child = 0; child < (size ?? 1); child += 1) {
      if (tooLong) this.end(job, child, { statusReason: 'Container Overrides length must be at most 8192' });
      else job.move(child, 'PENDING');
    }
    this.release(job);
    this.told(job);
    setImmediate(() => this.start());
    return { jobId: job.id, jobName };
  }

  /** Lets a job go that depends on none that has not ended; one of them that failed fails it, too. */
  private release(job: FakeJob): void {
    const before = (job.request.dependsOn ?? []).map(({ jobId }) => this.jobs.get(jobId)?.status());
    const failed = before.includes('FAILED');
    if (!failed && before.some((status) => status !== 'SUCCEEDED')) return;
    for (const child of job.states.keys()) {
      if (job.statusOf(child) !== 'PENDING') continue;
      if (failed) this.end(job, child, { statusReason: 'Dependent Job failed' });
      else {
        job.move(child, 'RUNNABLE');
        this.waiting.push({ job, child });
      }
    }
  }

  private start(): void {
    const { room = Infinity, blocked } = this.options;
    const why = blocked?.();
    if (why !== undefined) {
      for (const { job, child } of this.waiting.slice(0, 1)) job.info(child).statusReason = why;
      return;
    }
    let taken = 0;
    while (this.running < room && taken < this.waiting.length) {
      const { job, child } = this.waiting[taken++]!;
      if (!job.hasEnded(child)) void this.run(job, child);
    }
    this.waiting.splice(0, taken);
  }

  /** Looks again whether there is room. */
  unblock(): void {
    this.start();
  }

  private async run(job: FakeJob, child: number): Promise<void> {
    this.running += 1;
    const abort = new AbortController();
    job.aborts.set(child, abort);
    job.move(child, 'RUNNING');
    const info = job.info(child);
    info.startedAt = Date.now();
    const index = job.size === undefined ? undefined : child;
    info.logStreamName = `job/default/${job.id}-${child}`;
    this.told(job, index);
    const lines: string[] = [];
    const { containerOverrides: { command = [], environment = [], resourceRequirements = [] } = {} } = job.request;
    const definition = this.definitions.find(({ jobDefinitionArn }) => jobDefinitionArn === job.definitionArn);
    const ended = await this.options.run({
      jobId: index === undefined ? job.id : `${job.id}:${index}`,
      jobName: job.request.jobName,
      index,
      command,
      environment: {
        ...Object.fromEntries(environment.map(({ name, value }) => [name, value])),
        AWS_BATCH_JOB_ID: job.id,
        ...(index === undefined ? {} : { AWS_BATCH_JOB_ARRAY_INDEX: String(index) }),
      },
      image: definition?.containerProperties.image ?? '',
      memoryMiB: Number(resourceRequirements.find(({ type }) => type === 'MEMORY')?.value ?? 0),
      signal: abort.signal,
      log: (line) => lines.push(line),
    });
    job.aborts.delete(child);
    if (lines.length > 0) this.logs.set(info.logStreamName, lines);
    this.running -= 1;
    // It was terminated, or its machine is gone: that came first.
    if (!job.hasEnded(child)) this.end(job, child, info.isTerminated ? { exitCode: 137, ...endOf(info) } : ended);
    this.start();
  }

  private end(job: FakeJob, child: number, ended: Ended): void {
    const failed = ended.exitCode !== 0;
    job.move(child, failed ? 'FAILED' : 'SUCCEEDED');
    // Of ten thousand that went well little needs to be kept.
    if (!failed && job.size !== undefined && job.size > 100) job.forget(child);
    else {
      const statusReason =
        failed && ended.statusReason === undefined ? 'Essential container in task exited' : ended.statusReason;
      Object.assign(job.info(child), ended, {
        stoppedAt: Date.now(),
        ...(statusReason === undefined ? {} : { statusReason }),
      });
    }
    this.told(job, job.size === undefined ? undefined : child);
    if (job.size !== undefined && job.status() !== 'PENDING') this.told(job);
    if (job.status() !== 'SUCCEEDED' && job.status() !== 'FAILED') return;
    const followers = [...this.jobs.values()].filter(({ request: { dependsOn = [] } }) =>
      dependsOn.some(({ jobId }) => jobId === job.id),
    );
    for (const follower of followers) this.release(follower);
    if (followers.length > 0) this.start();
  }

  private terminate({ jobId, reason }: { jobId: string; reason: string }): unknown {
    if (!reason) throw new ClientError('reason is required');
    const [id = '', index] = jobId.split(':');
    const job = this.jobs.get(id);
    if (!job) return {};
    const children = index === undefined ? [...job.states.keys()] : [Number(index)];
    for (const child of children) {
      if (job.hasEnded(child)) continue;
      Object.assign(job.info(child), { isTerminated: true, statusReason: reason });
      const abort = job.aborts.get(child);
      if (abort) abort.abort();
      else this.end(job, child, { statusReason: reason });
    }
    return {};
  }

  private describe({ jobs }: { jobs: string[] }): unknown {
    if (jobs.length > 100) throw new ClientError('more than 100 jobs');
    return {
      jobs: jobs.flatMap((jobId) => {
        const [id = '', index] = jobId.split(':');
        const job = this.jobs.get(id);
        return job ? [job.detail(index === undefined ? undefined : Number(index))] : [];
      }),
    };
  }

  private list(input: {
    jobQueue?: string;
    arrayJobId?: string;
    jobStatus?: string;
    filters?: { name: string; values: string[] }[];
    maxResults?: number;
    nextToken?: string;
  }): unknown {
    const { jobQueue, arrayJobId, jobStatus = 'RUNNING', filters, maxResults = 100, nextToken = '0' } = input;
    const before = Date.now() - (this.options.listedAfterMs ?? 0);
    let found: Record<string, unknown>[];
    if (arrayJobId !== undefined) {
      const job = this.jobs.get(arrayJobId);
      const children = [...(job?.states.keys() ?? [])].filter(
        (child) => job?.statusOf(child) === jobStatus && (job.infos.get(child)?.stoppedAt ?? 0) <= before,
      );
      found = children.map((child) => job!.summary(child));
    } else {
      const prefix = filters?.[0]?.values[0]?.replace(/\*$/, '').toLowerCase();
      found = [...this.jobs.values()]
        .filter(({ request, createdAt }) => request.jobQueue === jobQueue && createdAt <= before)
        .filter((job) =>
          prefix === undefined ? job.status() === jobStatus : job.request.jobName.toLowerCase().startsWith(prefix),
        )
        .map((job) => job.summary());
    }
    const from = Number(nextToken);
    const to = from + Math.min(100, maxResults);
    return { jobSummaryList: found.slice(from, to), ...(to < found.length ? { nextToken: String(to) } : {}) };
  }

  private register(input: Definition): unknown {
    const { jobDefinitionName: name } = input;
    if (!/^[A-Za-z0-9][\w-]{0,127}$/.test(name)) throw new ClientError(`jobDefinitionName "${name}" is not valid`);
    const revision = 1 + this.definitions.filter(({ jobDefinitionName }) => jobDefinitionName === name).length;
    const jobDefinitionArn = `arn:aws:batch:us-east-1:123456789012:job-definition/${name}:${revision}`;
    this.definitions.push({ ...input, revision, jobDefinitionArn, status: 'ACTIVE' });
    return { jobDefinitionName: name, jobDefinitionArn, revision };
  }

  private describeDefinitions({ jobDefinitionName, status }: { jobDefinitionName: string; status: string }): unknown {
    return {
      jobDefinitions: this.definitions.filter(
        (each) => each.jobDefinitionName === jobDefinitionName && each.status === status,
      ),
    };
  }

  private describeQueues({ jobQueues }: { jobQueues: string[] }): unknown {
    const known = this.options.queues ?? ['on-demand', 'spot'];
    const found = jobQueues.filter((name) => known.includes(name));
    return { jobQueues: found.map((jobQueueName) => ({ jobQueueName, state: 'ENABLED', status: 'VALID' })) };
  }

  private logEvents({ logStreamName, limit = 100 }: { logStreamName: string; limit?: number }): unknown {
    const lines = this.logs.get(logStreamName) ?? [];
    return { events: lines.slice(-limit).map((message) => ({ timestamp: Date.now(), message })) };
  }

  private told(job: FakeJob, child?: number): void {
    this.options.onEvent?.(job.detail(child));
  }
}

const endOf = ({ statusReason, reason }: RunInfo): Ended => ({
  ...(statusReason === undefined ? {} : { statusReason }),
  ...(reason === undefined ? {} : { reason }),
});
