import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Embedded } from '../trace/embedded.js';
import { Example, python } from './example.js';
import { awsBatch, image, kubernetes, local, oneThread, type Place, spark } from './places.js';

// A cold interpreter loads the example's packages in seconds of a core, a dozen times a run.
jest.setTimeout(900_000);

/** Real: the embedded platform in a process of its own, stock pyflyte, the Python example as it is, and each backend's own part. */
describe('the flight-delays example, registered once, on each backend by configuration alone (U-23, S-1, S-4, S-11)', () => {
  const config = () => join(platform.folder, 'aloft.json');
  let platform: Embedded;
  let example: Example;
  let first: LiteralMap | undefined;

  const configure = (configuration: object) => writeFileSync(config(), JSON.stringify(configuration));

  beforeAll(async () => {
    platform = new Embedded({ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
    platform.use({ ALOFT_CONFIG: config(), ALOFT_PYTHON: python, ...oneThread });
    configure({});
    await platform.start();
    example = new Example(platform.folder, join(platform.folder, 'data', 'flytekit.yaml'));
    await example.register(image);
  });

  afterAll(async () => {
    await platform?.close();
  });

  it.each<[string, string, string, () => Promise<Place>]>([
    ['local', 'local', 'Output', local],
    ['kubernetes', 'kubernetes', 'Pod', () => kubernetes(join(platform.folder, 'kubernetes'))],
    [
      'aws-batch',
      'aws-batch',
      'AWS Batch',
      () => awsBatch(join(platform.folder, 'batch'), join(platform.folder, 'data', 'flytekit.yaml')),
    ],
    ['spark, for the training alone', 'local', 'Spark UI', spark],
  ])('%s', async (_, backend, link, start) => {
    const place = await start();
    try {
      await platform.end('SIGTERM');
      configure(place.configuration);
      await platform.start();
      const { outputs, where } = await example.run(platform.grpc);
      expect(where.backends).toEqual([backend]);
      expect(where.itemLinks).toContainEqual(expect.stringContaining(link));
      // Seeds are fixed: what was learnt, chosen and found is the same wherever it ran. The page is a file of each run's own.
      const { o0, o1 } = named(outputs);
      first ??= outputs;
      expect({ o0, o1 }).toEqual({ o0: named(first).o0, o1: named(first).o1 });
      expect(packed(o0)).toContain('boosted');
    } finally {
      await platform.end('SIGTERM');
      await place.stop();
    }
  });
});

const named = (outputs: LiteralMap | undefined) => {
  const { evaluation: o0, choice: o1 } = outputs?.literals ?? {};
  return { o0, o1 };
};

/** A dataclass as flytekit packs it: names and texts are there as they are. */
const packed = (literal: Literal | undefined) => {
  const scalar = literal?.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  return scalar?.$case === 'binary' ? Buffer.from(scalar.value.value).toString('latin1') : '';
};
