import type { AttemptContext, Launch } from '@aloft/backend-kit';
import { AloftError, failedPrecondition, invalidArgument } from '@aloft/errors';
import { ArrayBatcher, notWanted, type Gathered } from '../arrays/array-batcher.js';
import { splitRanges, writeRanges } from '../arrays/item-ranges.js';
import { arrayOf, arrayOverrides } from '../arrays/item-template.js';
import type { BatchCalls } from '../client/batch-calls.js';
import { JobDefinitions } from '../definitions/job-definitions.js';
import type { AwsBatchOptions } from '../options.js';
import type { BatchJob } from './handle.js';
import { arrayJobName, jobTags } from './names.js';
import { NoPlace } from './no-place.js';
import { roomIn, type Overrides } from './overrides.js';
import { arrayKey, singleRequest, submissionOf, type Submission } from './submission.js';

/** Batch's own limits on the size of an array. */
const arraySizes = { least: 2, most: 10_000 };
/** Characters of indices without which an array is not worth its name. */
const leastRoom = 100;

interface Item {
  /** As it runs in an array, and with a job of its own. */
  shared: Submission;
  alone: Submission;
  template: Overrides;
  context: AttemptContext;
  done(job: BatchJob): void;
  failed(error: unknown): void;
}

export interface SubmitterOptions {
  calls: Pick<BatchCalls, 'submit' | 'definitions' | 'register'>;
  options: AwsBatchOptions;
}

/** Submits attempts as jobs, those of one array that come together as an array job. */
export class Submitter {
  private readonly definitions: JobDefinitions;
  private readonly batcher: ArrayBatcher<Item>;

  constructor(private readonly deps: SubmitterOptions) {
    this.definitions = new JobDefinitions(deps.calls);
    const { windowMs, maxSize } = deps.options.arrays;
    this.batcher = new ArrayBatcher({
      windowMs,
      maxSize: Math.min(maxSize, arraySizes.most),
      submit: (_key, items) => this.submitItems(items),
    });
  }

  async submit(launch: Launch, context: AttemptContext): Promise<BatchJob> {
    return this.submitAlone(this.submissionOf(launch), context);
  }

  /** `item`: the launch as it runs in an array job (`asArrayItem`). */
  async submitItem(launch: Launch, item: Launch, context: AttemptContext, signal: AbortSignal): Promise<BatchJob> {
    const alone = this.submissionOf(launch);
    const shared = this.submissionOf(item);
    const { key, template } = arrayKey(shared);
    const index = launch.attempt.index ?? 0;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        if (this.batcher.remove(key, index)) reject(notWanted(signal.reason));
      };
      const over = <T>(then: (value: T) => void) => {
        return (value: T) => {
          signal.removeEventListener('abort', onAbort);
          then(value);
        };
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) return reject(notWanted(signal.reason));
      const waiting = { shared, alone, template, context, done: over(resolve), failed: over(reject) };
      this.batcher.add(key, { index, item: waiting }, launch.arraySize);
    });
  }

  stop(): void {
    this.batcher.stop();
  }

  private submissionOf(launch: Launch): Submission {
    const submission = submissionOf(launch, this.deps.options);
    if (submission instanceof NoPlace) throw failedPrecondition(submission.reason);
    if (typeof submission === 'string') throw invalidArgument(submission);
    return submission;
  }

  private async submitAlone(submission: Submission, context: AttemptContext): Promise<BatchJob> {
    const id = await this.withDefinition(submission, (definition) => {
      requireHeld(context);
      return this.deps.calls.submit(singleRequest(submission, definition));
    });
    return { id };
  }

  /** In as many array jobs as it takes; never rejects. */
  private async submitItems(gathered: readonly Gathered<Item>[]): Promise<void> {
    const held = gathered.filter(({ item }) => {
      if (item.context.holds()) return true;
      item.failed(notHeld());
      return false;
    });
    const byIndex = new Map(held.map(({ index, item }) => [index, item]));
    const first = held[0]?.item;
    if (!first) return;
    const of = arrayOf(first.shared.launch);
    const room = roomIn(arrayOverrides(first.template, '', of));
    const size = room < leastRoom ? 1 : Math.min(this.deps.options.arrays.maxSize, arraySizes.most);
    await Promise.all(
      [...splitRanges([...byIndex.keys()], size, room)].map(async (indices) => {
        const items = indices.map((index) => byIndex.get(index) as Item);
        try {
          if (items.length < arraySizes.least) {
            for (const item of items) item.done(await this.submitAlone(item.alone, item.context));
            return;
          }
          const id = await this.submitArray(items, indices, of);
          for (const [child, item] of items.entries()) item.done({ id, child });
        } catch (error) {
          for (const item of items) item.failed(error);
        }
      }),
    );
  }

  private submitArray(items: readonly Item[], indices: readonly number[], of: string): Promise<string> {
    const { shared, template } = items[0] as Item;
    const overrides = arrayOverrides(template, writeRanges(indices), of);
    return this.withDefinition(shared, (jobDefinition) => {
      for (const { context } of items) requireHeld(context);
      return this.deps.calls.submit({
        ...shared.input,
        jobName: arrayJobName(shared.launch.attempt, arrayKey(shared).key),
        jobDefinition,
        arrayProperties: { size: items.length },
        containerOverrides: { ...shared.input.containerOverrides, ...overrides },
        tags: jobTags(shared.launch, shared.input.tags ?? {}, true),
      });
    });
  }

  /** A definition that somebody deregistered is made again, once. */
  private async withDefinition({ need }: Submission, submit: (definition: string) => Promise<string>): Promise<string> {
    try {
      return await submit(await this.definitions.arnOf(need));
    } catch (error) {
      if (
        !(error instanceof AloftError) ||
        error.code !== 'INVALID_ARGUMENT' ||
        !/job ?definition/i.test(error.message)
      )
        throw error;
      this.definitions.forget(need);
      return submit(await this.definitions.arnOf(need));
    }
  }
}

/** A process that was paused may not have the attempt any more: whoever has it submits it. */
function requireHeld(context: AttemptContext): void {
  if (!context.holds()) throw notHeld();
}

const notHeld = () => new AloftError('ABORTED', 'the attempt is not held here any more');
