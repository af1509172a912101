/** What befalls the work of one attempt at its backend. */
export const fates = [
  'ok',
  /** It writes an error that says another attempt is worth it. */
  'recoverable',
  /** It writes an error that says no other is. */
  'final',
  'exit',
  'out-of-memory',
  /** Spot capacity is taken back while it runs. */
  'reclaimed',
  'node-lost',
  /** Ended by its node, or its agent. */
  'evicted',
  /** Somebody deletes it while it runs. */
  'deleted',
  /** Its image cannot be pulled. */
  'no-image',
  /** Nor now: the registry is away. */
  'registry-away',
] as const;
export type Fate = (typeof fates)[number];

/** What the attempt's end must say (C-172): whose failure, and whether another attempt is worth it. */
export interface Verdict {
  phase: 'SUCCEEDED' | 'FAILED' | 'RETRYABLE_FAILED';
  kind?: 'USER' | 'SYSTEM';
  code?: string;
  /** Or so, where it went before a host could look. */
  otherCode?: string;
}

/** Verdicts by fate; a fate that a backend cannot have is not there. */
export type Verdicts = Readonly<Partial<Record<Fate, Verdict>>>;

const user = (code: string): Verdict => ({ phase: 'RETRYABLE_FAILED', kind: 'USER', code });
const system = (code: string): Verdict => ({ phase: 'RETRYABLE_FAILED', kind: 'SYSTEM', code });

const everywhere = {
  ok: { phase: 'SUCCEEDED' },
  recoverable: user('Flaky'),
  final: { phase: 'FAILED', kind: 'USER', code: 'BadInput' },
  exit: user('ExitCode'),
  'out-of-memory': user('OOMKilled'),
} as const satisfies Verdicts;

export const kubernetesVerdicts: Verdicts = {
  ...everywhere,
  reclaimed: system('NodeShutdown'),
  // Its pod is collected soon, and says nothing any more.
  'node-lost': { ...system('NodeLost'), otherCode: 'Interrupted' },
  evicted: system('Evicted'),
  deleted: system('Interrupted'),
  'no-image': user('ImagePullBackOff'),
};

export const batchVerdicts: Verdicts = {
  ...everywhere,
  reclaimed: system('Interrupted'),
  'node-lost': system('Interrupted'),
  evicted: system('Interrupted'),
  'no-image': { phase: 'FAILED', kind: 'USER', code: 'ImagePullFailed' },
  'registry-away': system('ImagePullFailed'),
};
