import { type AloftError, invalidArgument, notFound, unavailable } from '@aloft/errors';
import type { JobRequest, JobState } from './job.js';

/** Calls to a job server. UNAVAILABLE where it does not answer: whoever hears that asks again. */
export class JobClient {
  constructor(private readonly address: string) {}

  put(name: string, job: JobRequest): Promise<JobState> {
    return this.call(`/jobs/${encodeURIComponent(name)}`, { method: 'PUT', body: JSON.stringify(job) });
  }

  /** Those that it knows, in any order. */
  states(names: readonly string[]): Promise<JobState[]> {
    return this.call(`/jobs?${names.map((name) => `name=${encodeURIComponent(name)}`).join('&')}`);
  }

  async delete(name: string): Promise<void> {
    await this.call(`/jobs/${encodeURIComponent(name)}`, { method: 'DELETE' });
  }

  logOf(name: string): string {
    return `${this.address}/jobs/${encodeURIComponent(name)}/log`;
  }

  private async call<T>(path: string, init: RequestInit = {}): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${this.address}${path}`, { ...init, signal: AbortSignal.timeout(30_000) });
    } catch (error) {
      throw unavailable(`the job server ${this.address} does not answer: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (response.ok) return (await response.json()) as T;
    throw errorOf(response.status, `${this.address}${path} answered ${response.status}: ${await response.text()}`);
  }
}

function errorOf(status: number, message: string): AloftError {
  if (status === 404) return notFound(message);
  return status === 429 || status >= 500 ? unavailable(message) : invalidArgument(message);
}
