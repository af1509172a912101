import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { Request, StartChild } from '../api.js';
import { attemptOf } from '../data/attempts.js';
import { collectOutputs, listTypes } from '../data/array-outputs.js';
import { composeInputs } from '../data/compose.js';
import { overwritesCache, runnable, templateOf } from '../data/task-settings.js';
import { emptyValue, storedUri } from '../data/values.js';
import { attemptPrefix, childExecutionName, closureFile, inputsFile, outputsFile } from '../names.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';

type Ask = Request['ask'];

/**
 * What a pending request asks, from the state alone: the same when it is made and after a restore. Items of arrays have their own
 * (see array-asks.ts), which the caller adds.
 */
export function askOf(run: RunState, pending: PendingRequest): Ask | undefined {
  if (pending.purpose === Purpose.StopChild) return pending.child;
  if (pending.source) {
    const { scope, node } = pending.source;
    return { kind: 'recall-outputs', nodeId: scope.uniqueId(node) };
  }
  const work = pending.work as NodeWork;
  const dataPrefix = work.dataPrefix(run.id);
  const outputPrefix = attemptPrefix(dataPrefix, work.attempt);
  switch (pending.purpose) {
    case Purpose.Recover:
      return {
        kind: 'recovered-node',
        recoverFromUid: run.start?.recoverFromUid ?? '',
        recoverFrom: run.start?.recoverFrom ?? run.id,
        specPath: work.scope.specPath(work.node),
      };
    case Purpose.StoreInputs:
      return { kind: 'store', uri: inputsFile(dataPrefix), variables: composeInputs(work.scope, work.node) };
    case Purpose.LoadInputs:
      return {
        kind: 'load',
        uri: storedUri(work.inputs) ?? '',
        ...(work.scope.template.spec(work.node).target?.$case === 'arrayNode' ? { lengthsOnly: true } : {}),
      };
    case Purpose.LookUpCache:
      return {
        kind: 'cache-lookup',
        ...cacheable(run, work),
        reserve: templateOf(work.scope, work.node).metadata?.cacheSerializable ?? false,
      };
    case Purpose.StoreInCache:
      return {
        kind: 'cache-store',
        ...cacheable(run, work),
        outputs: work.outputs ?? emptyValue,
        overwrite: overwritesCache(run, work.scope, work.node),
      };
    case Purpose.ResolveGraph:
      return {
        kind: 'resolve-graph',
        futuresUri: work.futuresUri,
        template: templateOf(work.scope, work.node),
        storeUnder: closureFile(outputPrefix),
      };
    case Purpose.StartChild:
      return startChild(run, work, work.attempt, work.inputs ?? emptyValue);
    case Purpose.StoreOutputs:
      return {
        kind: 'store',
        uri: outputsFile(outputPrefix),
        variables: work.items ? collectOutputs(work, work.items) : composeInputs(work.scope, work.node),
        ...(work.items ? { offload: listTypes(work) } : {}),
      };
    default:
      return undefined;
  }
}

export function cacheable(run: RunState, work: NodeWork) {
  return {
    template: templateOf(work.scope, work.node),
    inputs: work.inputs ?? emptyValue,
    settings: run.settings,
    attempt: attemptOf(run, work),
  };
}

export function startChild(run: RunState, work: NodeWork, attempt: number, inputs: LiteralsValue): StartChild {
  const target = runnable(work.scope.template, work.node).target;
  const reference = target?.$case === 'workflowNode' ? target.value.reference : undefined;
  if (reference?.$case !== 'launchplanRef') throw new Error(`engine: node ${work.id} starts no child execution`);
  return {
    kind: 'start-child',
    name: childExecutionName(run.id.name, work.id, attempt),
    launchPlan: reference.value,
    inputs,
    settings: run.settings,
    nodeId: work.id,
    attempt,
    ...(work.recovered?.childName ? { recover: work.recovered.childName } : {}),
  };
}
