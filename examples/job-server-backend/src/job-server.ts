// A toy of a service that runs jobs, such as many companies have one: over HTTP, on one machine. `node job-server.js [PORT]` says where it listens.
//   PUT /jobs/<name>        begins it; again: as if it had been said once
//   GET /jobs?name=a&name=b how they are, those that it knows
//   GET /jobs/<name>/log    what it wrote
//   DELETE /jobs/<name>     ends it; answers when nothing of it runs
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { json } from 'node:stream/consumers';
import type { JobRequest, JobState } from './job.js';

const maxLogBytes = 1024 * 1024;

class Job {
  readonly state: JobState;
  log = Buffer.alloc(0);
  readonly over: Promise<void>;
  private readonly child: ChildProcess;
  private endsAs: 'exited' | 'timed-out' | 'cancelled' = 'exited';

  constructor(name: string, { command: [program = '', ...args], env, timeoutMs }: JobRequest) {
    this.state = { name, state: 'running', startedAt: Date.now(), host: hostname() };
    // A group of its own: whatever it starts ends with it.
    this.child = spawn(program, args, {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.log = Buffer.concat([this.log, chunk]).subarray(-maxLogBytes)));
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.end('timed-out'), timeoutMs);
    this.over = new Promise((resolve) => {
      const done = (changes: Partial<JobState>) => {
        if (this.state.endedAt !== undefined) return;
        clearTimeout(timer);
        Object.assign(this.state, { endedAt: Date.now(), lastWords: this.log.subarray(-2_000).toString() }, changes);
        resolve();
      };
      this.child.once('error', (error) => done({ state: 'unstartable', lastWords: error.message }));
      this.child.once('close', (code, signal) =>
        done({ state: this.endsAs, exitCode: code ?? undefined, signal: signal ?? undefined }),
      );
    });
  }

  end(as: 'timed-out' | 'cancelled'): Promise<void> {
    if (this.state.state === 'running' && this.child.pid !== undefined) {
      this.endsAs = as;
      process.kill(-this.child.pid, 'SIGKILL');
    }
    return this.over;
  }
}

const jobs = new Map<string, Job>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, root, name, part] = url.pathname.split('/').map(decodeURIComponent);
  const say = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (root !== 'jobs') return void say(404, { message: 'there is only /jobs' });
  if (name === undefined) {
    const states = url.searchParams.getAll('name').flatMap((wanted) => jobs.get(wanted)?.state ?? []);
    return void say(200, states);
  }
  const job = jobs.get(name);
  if (request.method === 'PUT') {
    if (!job) jobs.set(name, new Job(name, (await json(request)) as JobRequest));
    return void say(job ? 200 : 201, (jobs.get(name) as Job).state);
  }
  if (!job) return void say(404, { message: `there is no job ${name}` });
  if (part === 'log') return void response.writeHead(200, { 'content-type': 'text/plain' }).end(job.log);
  if (request.method === 'DELETE') await job.end('cancelled');
  say(200, job.state);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', () => {
  void Promise.all([...jobs.values()].map((job) => job.end('cancelled'))).then(() => process.exit(0));
});
