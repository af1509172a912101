// What the engine alone costs: no database, no bus. Build first (node tools/build.mjs), then
//   node --expose-gc libs/engine/bench/engine.mjs [chain fanout graph array]
// Prints one JSON line per workload: reports per second, microseconds of CPU per report, memory.
import { compileGraph, createRun, restoreRun } from '../dist/index.js';
import { array, closure, INT, int, list, task } from '../dist/testing/closures.js';
import { ExecutionSettings, StartExecution } from '@aloft/idl/aloft/v1/bus';

const time = { seconds: 1n, nanos: 0 };
const tasks = { t: { inputs: { a: INT, b: INT }, outputs: { o: INT } } };
const entry = (input) => ({ time, behaviourFlags: 0n, input: { input } });
const outputs = {
  result: { $case: 'outputs', value: { value: { $case: 'inline', value: { literals: { o: int(1) } } } } },
  deckUri: '',
  checkpointUri: '',
};

function start(spec, inputs = {}) {
  const made = closure({ tasks, ...spec });
  const before = performance.now();
  const graph = compileGraph(made, '01');
  const compiled = performance.now() - before;
  const run = createRun();
  const value = StartExecution.create({
    id: { project: 'p', domain: 'd', name: 'bench', org: '' },
    uid: 'uid',
    settings: ExecutionSettings.create({ rawOutputPrefix: 's3://raw' }),
    inputs: { value: { $case: 'inline', value: { literals: inputs } } },
    closureDigest: Buffer.of(1),
  });
  return { run, graph, compiled, first: entry({ $case: 'started', value }) };
}

/** Reports success for every launch, `batch` reports between two looks at the effects. */
function drive({ run, graph, first }, { batch = 256, answer } = {}) {
  const lookup = () => graph;
  let ready = [];
  let events = 0;
  let reports = 0;
  const look = () => {
    for (let effects = run.takeEffects(); effects.length > 0; effects = run.takeEffects()) {
      for (const effect of effects) {
        if (effect.kind === 'launch') ready.push(effect.attempt);
        else if (effect.kind === 'event') events++;
        else if (effect.kind === 'request') {
          run.apply(
            entry({ $case: 'answered', value: { request: effect.request, answer: answer(effect.ask) } }),
            lookup,
          );
        }
      }
    }
  };
  run.apply(first, lookup);
  look();
  while (ready.length > 0) {
    const now = ready;
    ready = [];
    for (let at = 0; at < now.length; at++) {
      const value = {
        attempt: now[at],
        phase: 3,
        phaseVersion: 0,
        occurredAt: time,
        reason: '',
        logs: [],
        customInfo: undefined,
        outcome: outputs,
        usage: undefined,
        backend: 'bench',
        interruptible: false,
      };
      run.apply(entry({ $case: 'taskReported', value }), lookup);
      reports++;
      if (reports % batch === 0) look();
    }
    look();
  }
  if (!run.finished) throw new Error('the run did not end');
  return { reports, events };
}

function measure(workload, n, prepare, options) {
  globalThis.gc?.();
  const prepared = prepare();
  const cpu = process.cpuUsage();
  const began = performance.now();
  const { reports, events } = drive(prepared, options);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const rss = Math.round(process.memoryUsage().rss / 1e6);
  const line = {
    workload,
    n,
    compile_ms: Math.round(prepared.compiled),
    seconds: Number(seconds.toFixed(3)),
    reports_per_s: Math.round(reports / seconds),
    cpu_us_per_report: Number(((user + system) / reports).toFixed(1)),
    events,
    rss_mb: rss,
  };
  console.log(JSON.stringify(line));
}

let state = 7;
const random = (below) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % below;
const chain = (n) =>
  Array.from({ length: n }, (_, at) =>
    task(`n${at}`, 't', at === 0 ? { a: int(1), b: int(1) } : { a: `n${at - 1}.o`, b: int(1) }),
  );
const fan = (n) => Array.from({ length: n }, (_, at) => task(`n${at}`, 't', { a: int(at), b: int(1) }));
const graph = (n) =>
  Array.from({ length: n }, (_, at) =>
    task(`n${at}`, 't', at === 0 ? { a: int(1), b: int(1) } : { a: `n${random(at)}.o`, b: `n${random(at)}.o` }),
  );

const workloads = {
  chain: () => measure('chain', 10_000, () => start({ nodes: chain(10_000) }), { batch: 1 }),
  fanout: () => measure('fan-out', 5000, () => start({ nodes: fan(5000) })),
  graph: () => {
    for (const n of [1000, 100_000]) measure('random graph', n, () => start({ nodes: graph(n) }));
  },
  array: () => {
    const n = 1_000_000;
    const spec = { tasks: { t: { inputs: { a: INT }, outputs: { o: INT } } }, inputs: { xs: list(INT) } };
    const prepare = () =>
      start({
        ...spec,
        nodes: [array('n0', task('item', 't'), { a: 'in.xs' })],
        outputs: { r: 'n0.o' },
        outputTypes: { r: list(INT) },
      });
    // The list lies in the store, as a million elements do: the engine sees its length only.
    const stored = { uri: 's3://list', size: 0n, digest: Buffer.alloc(0) };
    const answer = (ask) =>
      ask.kind === 'load'
        ? { $case: 'loaded', value: { literals: undefined, lengths: { a: n } } }
        : { $case: 'stored', value: { stored } };
    measure(
      'array',
      n,
      () => {
        const prepared = prepare();
        prepared.first.input.input.value.inputs = { value: { $case: 'stored', value: stored } };
        return prepared;
      },
      { answer },
    );
  },
  restore: () => {
    // A run with 100,000 nodes in flight, to a snapshot and back.
    const prepared = start({ nodes: fan(100_000) });
    prepared.run.apply(prepared.first, () => prepared.graph);
    prepared.run.takeEffects();
    globalThis.gc?.();
    const cpu = () => process.cpuUsage().user / 1000;
    const began = cpu();
    const snapshot = prepared.run.snapshot();
    const written = cpu();
    restoreRun(snapshot, () => prepared.graph);
    const ms = (value) => Math.round(value);
    console.log(
      JSON.stringify({
        workload: 'snapshot of 100,000 in flight',
        bytes: snapshot.length,
        write_cpu_ms: ms(written - began),
        read_cpu_ms: ms(cpu() - written),
      }),
    );
  },
};
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(workloads)) workloads[name]();
