// Runs the pipeline in this process, without a platform: node dist/local-run.js [rows]
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { nameExports } from '@aloft/sdk';
import * as flightDelays from './flight-delays.js';

nameExports(flightDelays, 'flight-delays');
const require = createRequire(import.meta.url);
const data = join(dirname(dirname(require.resolve('vega-datasets'))), 'data');
const result = await flightDelays.pipeline.local(
  {
    flights: join(data, 'flights-3m.parquet'),
    airports: join(data, 'airports.csv'),
    ...(process.argv[2] ? { rows: Number(process.argv[2]) } : {}),
  },
  {
    concurrency: 1,
    onNode: ({ node, entity, outcome, duration }) =>
      console.log(`${node.padEnd(8)} ${entity.padEnd(40)} ${outcome} ${(duration / 1000).toFixed(1)} s`),
  },
);
console.log(result.choice, result.evaluation, result.page.location);
