import { alreadyExists, failedPrecondition } from '@aloft/errors';
import type { Verdict } from '../projection/phases.js';
import type { ExecutionEngineName } from '../registry/entities.js';
import { alreadyTerminalDetail, incompatibleClusterDetail } from '../registry/error-details.js';
import { describeKey, type NameKey } from '../registry/identifiers.js';

/** What producers of old versions say of themselves: it names no cluster. */
const legacyProducer = 'propeller';

/** Whether a producer names the cluster it is in. */
export const namesCluster = (producer: string): boolean => producer !== '' && producer !== legacyProducer;

/** Our own runs are told of by our own engine only. */
export function requireExternal(key: NameKey, engine: ExecutionEngineName): void {
  if (engine === 'EXTERNAL') return;
  throw failedPrecondition(
    `execution ${describeKey(key)} is run by Aloft's own engine, which alone tells what happens in it; events are taken for runs of ` +
      'projects whose engine is EXTERNAL (aloft.v1.ProjectSettingsService)',
  );
}

/** Only the cluster that is recorded tells of a run. */
export function requireCluster(key: NameKey, recorded: string, producer: string): void {
  if (!namesCluster(producer) || recorded === '' || producer === recorded) return;
  throw failedPrecondition(
    `event.producer_id: execution ${describeKey(key)} is run by cluster ${JSON.stringify(recorded)}, not ${JSON.stringify(producer)}`,
    { details: [incompatibleClusterDetail(recorded)] },
  );
}

/** Turns down what the phase rules refuse. `what`: of whom the event tells. */
export function requireAccepted(verdict: Verdict, what: string, current: string, next: string): void {
  switch (verdict) {
    case 'apply':
      return;
    case 'duplicate':
      throw alreadyExists(`event.phase: ${next} of ${what} is recorded already`);
    case 'terminal':
      throw failedPrecondition(`event.phase: ${what} is ${current} already and can't become ${next}`, {
        details: [alreadyTerminalDetail(current)],
      });
    case 'backwards':
      throw failedPrecondition(`event.phase: ${what} is ${current} and can't become ${next}`);
  }
}
