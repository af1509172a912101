import { WebApiBackend, type BackendModule } from '@aloft/backend-kit';
import { z } from 'zod';
import { JobApi } from './job-api.js';
import { JobClient } from './job-client.js';

const optionsSchema = z.strictObject({
  /** Where the job server listens. */
  address: z.url().transform((url) => url.replace(/\/+$/, '')),
  /** Jobs at once. */
  slots: z.number().int().positive().default(100),
  /** Milliseconds until a job is asked for first, and at most between two times. */
  pollMs: z
    .strictObject({ first: z.number().positive().default(200), longest: z.number().positive().default(5_000) })
    .prefault({}),
});

const module: BackendModule = {
  create(options, { name }) {
    const { address, slots, pollMs } = optionsSchema.parse(options);
    return new WebApiBackend(new JobApi(name, new JobClient(address), slots), { pollMs, batch: 50 });
  },
};

export default module;
