#!/usr/bin/env node
import { main } from './main.js';

const abort = new AbortController();
process.once('SIGTERM', () => abort.abort());

main(process.argv.slice(2), { signal: abort.signal }).then(
  // As with flytekit, a failed task is no failed process: its verdict is error.pb. FLYTE_FAIL_ON_ERROR=true changes that.
  (outcome) => process.exit(outcome === 'failed' && process.env['FLYTE_FAIL_ON_ERROR'] === 'true' ? 1 : 0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  },
);
