import { setTimeout as delay } from 'node:timers/promises';
import { AloftError, type ErrorCode } from '@aloft/errors';
import { WatchServiceClient, type WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import {
  ExecutionCreateRequest,
  ExecutionTerminateRequest,
  WorkflowExecutionGetDataRequest,
  WorkflowExecutionGetRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { createClient } from '@aloft/rpc/client';
import { literalOf } from './literals.js';
import type { PlannedRun } from './shapes.js';
import { version } from './tasks.js';

export const project = 'flytesnacks';
export const domain = 'development';

/** What stock clients try again: the service is away, or did not answer in time. */
const passing: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

export interface ClientSettings {
  /** Longest pause between two tries, ms. */
  maxBackoffMs: number;
  callDeadlineMs: number;
}

/** The public API as a stock client uses it: fixed names, UNAVAILABLE tried again with backoff, anything else is an error. */
export class Client {
  private readonly admin;
  private readonly watches;
  private readonly settings: ClientSettings;

  constructor(address: string, settings: Partial<ClientSettings> = {}) {
    this.settings = { maxBackoffMs: 2_000, callDeadlineMs: 15_000, ...settings };
    const channelOptions = {
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': this.settings.maxBackoffMs,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      // A channel of its own: a cut of one client's connection is not everybody's.
      'grpc.use_local_subchannel_pool': 1,
    };
    this.admin = createClient(AdminServiceClient, address, {
      deadlineMs: this.settings.callDeadlineMs,
      channelOptions,
    });
    this.watches = createClient(WatchServiceClient, address, { channelOptions });
  }

  static id(name: string): WorkflowExecutionIdentifier {
    return { org: '', project, domain, name };
  }

  /** Tries again until it is answered or `signal` says that nobody waits any more. */
  async call<T>(what: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let pause = 50; ; pause = Math.min(this.settings.maxBackoffMs, pause * 2)) {
      try {
        return await what();
      } catch (error) {
        if (!(error instanceof AloftError) || !passing.has(error.code) || signal?.aborted) throw error;
        await delay(pause * (0.5 + Math.random() / 2));
      }
    }
  }

  /** A repeat that finds the run there already has launched it before. */
  async launch(
    name: string,
    run: Pick<PlannedRun, 'workflow' | 'inputs'>,
    envs: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<void> {
    const request = ExecutionCreateRequest.fromPartial({
      project,
      domain,
      name,
      spec: {
        launchPlan: { resourceType: ResourceType.LAUNCH_PLAN, project, domain, name: run.workflow, version },
        metadata: {},
        envs: { values: Object.entries(envs).map(([key, value]) => ({ key, value })) },
      },
      inputs: {
        literals: Object.fromEntries(Object.entries(run.inputs).map(([key, value]) => [key, literalOf(value)])),
      },
    });
    let tries = 0;
    await this.call(async () => {
      try {
        tries++;
        await this.admin.createExecution(request);
      } catch (error) {
        if (error instanceof AloftError && error.code === 'ALREADY_EXISTS' && tries > 1) return;
        throw error;
      }
    }, signal);
  }

  terminate(name: string, cause: string, signal?: AbortSignal): Promise<unknown> {
    const request = ExecutionTerminateRequest.fromPartial({ id: Client.id(name), cause });
    return this.call(() => this.admin.terminateExecution(request), signal);
  }

  execution(name: string, signal?: AbortSignal) {
    return this.call(
      () => this.admin.getExecution(WorkflowExecutionGetRequest.fromPartial({ id: Client.id(name) })),
      signal,
    );
  }

  data(name: string, signal?: AbortSignal) {
    return this.call(
      () => this.admin.getExecutionData(WorkflowExecutionGetDataRequest.fromPartial({ id: Client.id(name) })),
      signal,
    );
  }

  /** Updates as they come, over as many connections as it takes; ends when `isOver` says so. */
  async *watch(
    name: string,
    options: { executionOnly: boolean; after: () => bigint; isOver: () => boolean; signal?: AbortSignal },
  ): AsyncGenerator<WatchExecutionResponse> {
    for (let pause = 50; !options.isOver(); pause = Math.min(this.settings.maxBackoffMs, pause * 2)) {
      try {
        const { executionOnly } = options;
        const request = { id: Client.id(name), executionOnly, afterSequence: options.after(), untilStored: false };
        for await (const message of this.watches.watchExecution(request, { signal: options.signal })) {
          pause = 50;
          yield message;
        }
      } catch (error) {
        if (!(error instanceof AloftError) || !passing.has(error.code) || options.signal?.aborted) throw error;
      }
      if (!options.isOver()) await delay(pause);
    }
  }

  close(): void {
    this.admin.close();
    this.watches.close();
  }
}
