import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalBlobStore } from '@aloft/blob';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { type LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { encodeLiterals, integer, integerType, launchOf, type LaunchOptions } from '../testing/launches.js';
import { scanLiteralNames } from './literal-map-scan.js';
import { clip } from './phases.js';
import { nothingWritten, outcomeUris, readOutcome } from './read-outcome.js';

const simple = (value: SimpleType) => ({ type: { $case: 'simple', value } }) as LiteralType;
const optional = {
  type: { $case: 'unionType', value: { variants: [integerType, simple(SimpleType.NONE)] } },
} as LiteralType;

describe('readOutcome', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-outcome-'));
  const blob = createLocalBlobStore({ dir, durable: false });
  let count = 0;

  afterAll(() => rm(dir, { recursive: true }));

  const outcomeOf = async (files: Record<string, Uint8Array>, options: Partial<LaunchOptions> = {}) => {
    const launch = launchOf({ name: `a${count++}`, outputs: { x: integerType }, ...options });
    for (const [name, bytes] of Object.entries(files)) await blob.put(`${launch.outputPrefix}/${name}`, bytes);
    return { launch, report: await readOutcome(launch, blob, { maxBytes: 1_000_000 }) };
  };

  const error = (message: string, seconds: number, kind = ContainerError_Kind.NON_RECOVERABLE, worker = '') =>
    ErrorDocument.encode({
      error: {
        code: 'USER:Oops',
        message,
        kind,
        origin: ExecutionError_ErrorKind.USER,
        timestamp: { seconds: BigInt(seconds), nanos: 5 },
        worker,
      },
    }).finish();

  it('nothing written: outputs were declared, so the end itself must say', async () => {
    const { launch, report } = await outcomeOf({});
    expect(report).toBeUndefined();
    expect(nothingWritten(launch).outcome.result).toMatchObject({ value: { code: 'OutputsNotFound' } });
  });

  it('nothing written and nothing declared is success without outputs', async () => {
    const { report } = await outcomeOf({}, { outputs: {} });
    expect(report?.phase).toBe(Phase.SUCCEEDED);
  });

  it('C-170: error.pb comes before outputs.pb and keeps code, time and worker', async () => {
    const { launch, report } = await outcomeOf({
      'outputs.pb': encodeLiterals({ x: integer(1) }),
      'error.pb': error('broken', 9, ContainerError_Kind.RECOVERABLE, 'w1'),
    });
    expect(report).toMatchObject({
      phase: Phase.RETRYABLE_FAILED,
      outcome: {
        result: {
          $case: 'error',
          value: {
            code: 'USER:Oops',
            message: 'broken',
            worker: 'w1',
            timestamp: { seconds: 9n, nanos: 5 },
            errorUri: outcomeUris(launch.outputPrefix).error,
          },
        },
      },
    });
  });

  it('C-171: of the errors of a distributed task the earliest counts', async () => {
    const { report } = await outcomeOf(
      { 'error-b.pb': error('second', 20), 'error-a.pb': error('first', 10), 'error-c.pb': error('third', 30) },
      { env: { _F_DES: 'EARLIEST' } },
    );
    expect(report?.outcome.result).toMatchObject({ value: { message: 'first' } });
  });

  it('C-110: a deck is named if there is one', async () => {
    const { launch, report } = await outcomeOf({
      'outputs.pb': encodeLiterals({ x: integer(1) }),
      'deck.html': Buffer.from('<h1/>'),
    });
    expect(report?.outcome.deckUri).toBe(outcomeUris(launch.outputPrefix).deck);
  });

  it('C-150: futures.pb by reference with its digest', async () => {
    const { report } = await outcomeOf({ 'futures.pb': Buffer.from([10, 0]) });
    expect(report?.outcome.result).toMatchObject({ $case: 'futures', value: { size: 2n, digest: { length: 32 } } });
  });

  it('C-108: a missing optional output is None, of an item too', async () => {
    const { report } = await outcomeOf({ 'outputs.pb': encodeLiterals({}) }, { outputs: { x: optional } });
    const result = report?.outcome.result;
    expect(result).toMatchObject({
      value: { value: { value: { literals: { x: { value: { value: { value: { $case: 'union' } } } } } } } },
    });
    const list = { type: { $case: 'collectionType', value: optional } } as LiteralType;
    const item = await outcomeOf({ 'outputs.pb': encodeLiterals({}) }, { outputs: { x: list }, index: 3 });
    expect(item.report?.phase).toBe(Phase.SUCCEEDED);
  });

  it('outputs above the limit are refused with size, limit and what to do', async () => {
    const { report } = await outcomeOf({ 'outputs.pb': Buffer.alloc(1_000_001) });
    expect(report?.outcome.result).toMatchObject({ value: { code: 'OutputsTooLarge' } });
    expect(report?.reason).toMatch(/1000001.*1000000/);
  });

  it('large outputs are checked for names without being decoded', () => {
    const names = Array.from({ length: 2_000 }, (_, i) => `name${i}`);
    const bytes = encodeLiterals(Object.fromEntries(names.map((name, i) => [name, integer(i)])));
    expect(scanLiteralNames(bytes)).toEqual(names);
    expect(() => scanLiteralNames(bytes.subarray(0, bytes.length - 3))).toThrow(/claims \d+ bytes/);
    expect(() => scanLiteralNames(Buffer.from([0x0f]))).toThrow('wire type 7');
    expect(() => scanLiteralNames(Buffer.from([0x0a, 0xff]))).toThrow('end within a number');
  });

  it('C-166: error texts are cut to 100 KB in the middle, counted in bytes', () => {
    const text = `begin${'ü'.repeat(200_000)}end`;
    const cut = clip(text);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(100_000);
    expect(cut).toMatch(/^begin.*left out.*end$/s);
    expect(clip('short')).toBe('short');
  });
});
