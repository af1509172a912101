import { createHash } from 'node:crypto';
import type { Placement } from '@aloft/idl/aloft/v1/bus';

/** What the choice of a cluster depends on. */
export interface Target {
  readonly name: string;
  /** Share of the work that it gets among those that may have it; 0: none but what names one of its labels. */
  readonly weight: number;
  /** Runs with one of these cluster labels may come here; a cluster without labels takes runs without one. */
  readonly labels: readonly string[];
  readonly pools: readonly string[];
  /** It finishes what it has and gets nothing new. */
  readonly draining: boolean;
}

/** Clusters that may have an attempt with this placement, draining ones included (S-26). */
export function eligible<T extends Target>(targets: readonly T[], placement: Placement | undefined): T[] {
  const { clusterLabel = '', clusterPool = '' } = placement ?? {};
  return targets.filter(
    ({ labels, pools }) =>
      (clusterLabel === '' || labels.includes(clusterLabel)) && (clusterPool === '' || pools.includes(clusterPool)),
  );
}

/**
 * Which of them gets it: by weight, and the same one for the same attempt as long as they are the same (weighted rendezvous hashing),
 * so that a cluster more or less moves no more than its share. `undefined` without any.
 */
export function choose<T extends Target>(targets: readonly T[], key: string): T | undefined {
  const open = targets.filter(({ draining }) => !draining);
  const weighted = open.filter(({ weight }) => weight > 0);
  let best: { target: T; score: number } | undefined;
  for (const target of weighted.length > 0 ? weighted : open) {
    const digest = createHash('sha256').update(`${target.name}\0${key}`).digest();
    const share = (digest.readUInt32BE(0) + 0.5) / 2 ** 32;
    const score = (target.weight || 1) / -Math.log(share);
    if (!best || score > best.score) best = { target, score };
  }
  return best?.target;
}
