/** A fault planted by hand into one built file: what it says, and what it says instead. */
export interface Mutation {
  name: string;
  /** Of the built file, from the repository's root. */
  file: string;
  find: string;
  replace: string;
}

const shell = (file: string, name: string, find: string, replace: string): Mutation => ({
  name,
  file: `apps/propeller/dist/${file}.js`,
  find,
  replace,
});
const engine = (file: string, name: string, find: string, replace: string): Mutation => ({
  name,
  file: `libs/engine/dist/${file}.js`,
  find,
  replace,
});

/** Each is the sort of mistake that somebody could make on a Friday. One at a time; the simulation has to catch them all. */
export const mutations: readonly Mutation[] = [
  shell(
    'commit/writer',
    'a commit neither checks its lease nor moves its positions',
    'positions.advance(tx, sealed.moves);',
    '',
  ),
  shell(
    'commit/writer',
    'of a commit with several messages, the last is not sent',
    'await bus.publish(tx, messages);',
    'await bus.publish(tx, messages.length > 1 ? messages.slice(0, -1) : messages);',
  ),
  shell(
    'commit/writer',
    'the log is not written when a run changed its row too',
    'repository.appendLog(tx, sealed.log);',
    'if (sealed.updates.length === 0) repository.appendLog(tx, sealed.log);',
  ),
  shell(
    'commit/seal',
    'a snapshot claims one entry too many',
    'nextSeq: entry.nextSeq,',
    'nextSeq: entry.nextSeq + 1n,',
  ),
  shell('commit/seal', 'timers are not written', 'else sealed.timersSet.push(', 'else void ('),
  shell(
    'commit/applier',
    'a run with open questions is not marked for its next owner',
    'entry.open.size > 0 && !entry.attention',
    'false',
  ),
  shell('commit/batch', 'a commit that no message caused is not written', 'this.partitions.add(entry.partition);', ''),
  shell(
    'inputs/position-tracker',
    'a position passes messages that wait for their run',
    'this.taken[this.first].done)',
    'this.taken[this.first])',
  ),
  shell(
    'inputs/stream-source',
    'reading goes on one message too late',
    'bus.read(lease.stream, position, {',
    'bus.read(lease.stream, position > 0n ? position + 1n : position, {',
  ),
  shell(
    'loop/incarnation',
    'reports are acknowledged before their commit',
    'this.committing = this.write(batch, sealed)',
    'for (const group of batch.settled.splice(0)) group.settle();\n        this.committing = this.write(batch, sealed)',
  ),
  shell(
    'loop/incarnation',
    'memory outlives a failed commit',
    '(error)=>this.fail(new CommitFailed',
    '(error)=>batch.inputs % 2 === 0 ? (this.committing = undefined) : this.fail(new CommitFailed',
  ),
  shell('loop/incarnation', 'runs of a partition given away stay in memory', 'this.dispatcher.drop(partition);', ''),
  shell(
    'loop/incarnation',
    'a new owner does not take up what was left undone',
    'for (const { uid } of undone)this.dispatcher.entry(uid);',
    '',
  ),
  shell(
    'loop/incarnation',
    'shards are given away before what was taken of them is committed',
    'await this.settled();\n        const error',
    'const error',
  ),
  shell(
    'loop/dispatcher',
    'a restored run does not ask again',
    "kind: 'request',\n                request,\n                ask\n            });\n        }\n        if (entry.run.finished)",
    "kind: 'request',\n                request,\n                ask: { kind: 'nothing' }\n            });\n        }\n        if (entry.run.finished)",
  ),
  shell(
    'loop/dispatcher',
    'a restored run that is over gets no history',
    'if (entry.run.finished) this.host.archive(entry);',
    '',
  ),
  shell(
    'loop/dispatcher',
    'messages that waited for their run are applied last first',
    'for (const pending of queue)this.feedEntry(entry, pending);',
    'for (const pending of queue.reverse())this.feedEntry(entry, pending);',
  ),
  shell(
    'runs/run-loader',
    'a restored run forgets what it asked',
    'for (const effect of entry.run.outstanding())',
    'for (const effect of [])',
  ),
  shell(
    'runs/run-loader',
    'a run restored from a snapshot alone numbers its log from 1',
    'row.snapshot_seq ?? 1n',
    '1n',
  ),
  shell(
    'runs/clock',
    "a log's time follows a clock that goes back",
    'Math.max(this.wall(), this.last + (steady - this.lastSteady) / 2)',
    'this.wall()',
  ),
  shell(
    'runs/archiver',
    'a log is trimmed before its history is written',
    'await blob.put(object.uri, object.bytes);',
    '',
  ),
  shell('runs/history-object', 'every history of a pack begins where the first one does', 'at += bytes.length;', ''),
  shell('timers/timer-service', "a new owner does not read the timers' rows", 'this.heap.load({', 'void ({'),
  shell(
    'timers/timer-service',
    'timers are asked for again and again while they are being read',
    'this.horizon = Infinity;',
    'this.arm();',
  ),
  shell(
    'requests/child-requests',
    'a child that is there already is a failure',
    "error.code === 'ALREADY_EXISTS'",
    'false',
  ),
  shell(
    'requests/catalog-key',
    'a result is found whatever the inputs',
    'catalogTag(inputs,',
    'catalogTag({ literals: {} },',
  ),
  shell(
    'requests/retry',
    'storage is asked once only',
    'tries: Infinity,\n    firstPauseMs: 100,',
    'tries: 1,\n    firstPauseMs: 100,',
  ),
  shell('propeller', 'a lease without its other half is kept', 'await this.letGoOfUnused(incarnation, share);', ''),
  shell('propeller', 'shards lost to another are served on', 'await incarnation.give(lost);', ''),
  shell(
    'events/outgoing',
    "a child's end is told to the child",
    'outgoing.envelope.executionUid = parent.executionUid;',
    '',
  ),
  engine(
    'nodes/task',
    'a report of an older attempt counts for this one',
    'attempt?.retryAttempt !== work.attempt || attempt.generation !== generationOf(work.attempt)',
    'false',
  ),
  engine(
    'lifecycle/retry',
    'one attempt too many',
    'if (budget.spent >= budget.allowed) return fail(run, work',
    'if (budget.spent > budget.allowed) return fail(run, work',
  ),
  engine(
    'lifecycle/retry',
    "what the system lost counts as the user's failure",
    'spent: attempts - systemFailures,',
    'spent: attempts,',
  ),
  engine(
    'lifecycle/finish',
    'a node starts when its last dependency but one is over',
    'unmet === 0 && waits',
    'unmet <= 1 && waits',
  ),
  engine(
    'lifecycle/finish',
    'a failure leaves running what runs beside it',
    'abortScope(run, scope, `node ${work.id} failed`);',
    '',
  ),
  engine(
    'lifecycle/abort',
    'the backend does not hear that an attempt is not wanted',
    "kind: 'abort',",
    "kind: 'unheard',",
  ),
  engine(
    'lifecycle/abort',
    'attempts are told to be over before their backends have said so',
    'if (!ending) return begin(',
    'if (!ending) return false && begin(',
  ),
  engine(
    'lifecycle/followers',
    'what was launched ahead of an attempt that failed is not taken back',
    'run.work.push(Step.TakeBack, scope, node);',
    '{}',
  ),
  engine(
    'nodes/task',
    'what is said of an attempt launched ahead counts at once',
    'if (state === NodeState.Ahead) work.held = report;',
    'if (state === NodeState.Ahead) { work.held = undefined; enter(run, work, NodeState.Launched); heard(run, work, report); }',
  ),
  engine('lifecycle/parallelism', 'parallelism is one too high', 'run.permits >= limit', 'run.permits > limit'),
  engine('nodes/gate', 'a rejected gate opens', 'if (primitive.value) return succeed', 'if (true) return succeed'),
  engine('nodes/gate', 'a signal that came before its gate is lost', 'if (signal.value) open(run, signalId);', ''),
  engine(
    'nodes/array-end',
    'an array needs one item less',
    'items.size - items.failed < items.needed',
    'items.size - items.failed < items.needed - 1',
  ),
  engine(
    'nodes/branch',
    'a branch takes its last case',
    'cases.conditions.findIndex(',
    'cases.conditions.findLastIndex(',
  ),
  engine(
    'names',
    "all attempts of a node have the first one's name",
    'dnsName(fixedLengthId(`${execution}-${nodeId}-${attempt}`',
    'dnsName(fixedLengthId(`${execution}-${nodeId}-0`',
  ),
  engine(
    'snapshot/node-work-codec',
    'a snapshot forgets how often the system failed',
    'out.int(work.systemFailures);',
    'out.int(0);',
  ),
  engine(
    'snapshot/node-work-codec',
    "a snapshot forgets a node's permit",
    'out.flag(work.permit);',
    'out.flag(false);',
  ),
];
