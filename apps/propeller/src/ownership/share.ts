import type { HeldLease } from '@aloft/bus';
import { topics } from '../events/outgoing.js';

/** What is held beyond the share: the highest ones, so that processes agree on nothing and still come to rest. */
export function surplus(held: readonly number[], share: number): number[] {
  return [...held].sort((a, b) => a - b).slice(share);
}

/** Partitions of which both leases are held: a run's commands and its reports have one owner. */
export function pairs(leases: readonly HeldLease[]): Map<number, { commands: HeldLease; reports: HeldLease }> {
  const commands = new Map<number, HeldLease>();
  const reports = new Map<number, HeldLease>();
  for (const lease of leases) {
    if (lease.stream.topic === topics.commands) commands.set(lease.stream.partition, lease);
    if (lease.stream.topic === topics.reports) reports.set(lease.stream.partition, lease);
  }
  const both = new Map<number, { commands: HeldLease; reports: HeldLease }>();
  for (const [partition, lease] of commands) {
    const other = reports.get(partition);
    if (other) both.set(partition, { commands: lease, reports: other });
  }
  return both;
}
