import { parseArgs } from 'node:util';
import { z } from 'zod';

const whole = (from: number, to: number) => z.coerce.number().int().min(from).max(to);

const schema = z.object({
  seed: whole(0, 0x7fffffff),
  faults: whole(1, 100_000).default(30),
  shape: z.enum(['embedded', 'distributed']).default('embedded'),
  bus: z.enum(['kafka', 'postgres']).default('kafka'),
  minutes: z.coerce.number().positive().default(30),
  overlap: whole(1, 20).default(2),
  runs: whole(1, 100).default(5),
  pace: z.coerce.number().positive().default(1),
  settle: z.coerce.number().positive().default(120),
  recovery: z.coerce.number().positive().default(60),
  only: z
    .string()
    .transform((text) => new RegExp(text))
    .optional(),
  json: z.string().optional(),
  dir: z.string().optional(),
  keep: z.boolean().default(false),
});

export type Options = z.output<typeof schema>;

export const usage = `node e2e/faults/dist/main.js [options]
  --seed N         repeat this one (default: ALOFT_SEED, else a new one, which is printed first)
  --faults N       how many (30)
  --shape S        embedded | distributed (embedded)
  --bus B          kafka | postgres, of the distributed shape (kafka)
  --minutes M      no fault begins later; fewer faults than asked for are a failure (30)
  --overlap K      faults at once, at most (2)
  --runs N         runs in flight (5)
  --pace F         factor on how long tasks take (1)
  --settle S       seconds in which every run must end after the last fault (120)
  --recovery S     seconds in which new work must be done after each fault (60)
  --only RE        only faults whose "kind role" matches, e.g. '^kill'
  --json FILE      append the report, one JSON object a line
  --dir FOLDER     work in it (default: a new one under the system's temporary folder)
  --keep           keep the folder though all went well`;

/** Throws an Error whose message names the option and what would be right. */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Options {
  const text = { type: 'string' as const };
  const options = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, text]));
  const { values } = parseArgs({ args: [...argv], options: { ...options, keep: { type: 'boolean' } } });
  const given: Record<string, unknown> = values;
  const parsed = schema.safeParse({
    ...given,
    seed: given['seed'] ?? env['ALOFT_SEED'] ?? Math.floor(Math.random() * 0x7fffffff),
  });
  if (!parsed.success)
    throw new Error(parsed.error.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`).join('\n'));
  return parsed.data;
}
