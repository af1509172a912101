import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * Where the time of a CPU profile goes, as Markdown: `node bench/dist/profile-table.js FILE.cpuprofile [--skip 0.4] [--top 12]`. `skip`
 * is the part of the time to leave out at the beginning (the start of the platform, warm-up). Self times, without idling.
 */
interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number }; children?: number[] }[];
  samples: number[];
  /** Microseconds. */
  timeDeltas: number[];
  startTime: number;
  endTime: number;
}

/** The first that matches a function's file, or its name where it has none. */
const areas: readonly (readonly [RegExp, string])[] = [
  [/^\(garbage collector\)$/, 'garbage collection'],
  [/^(writev|writeUtf8String|writeBuffer)$/, 'system calls that write to sockets'],
  [/^\(program\)$/, 'native code: reading sockets, waiting for events'],
  [/libs\/idl\/dist|@bufbuild\/protobuf/, 'protobuf codecs'],
  [/node_modules\/(pg|postgres)/, 'pg: parameters and rows'],
  [/libs\/database\/dist/, '@aloft/database'],
  [/libs\/engine\/dist/, '@aloft/engine'],
  [/apps\/propeller\/dist/, 'propeller'],
  [/libs\/bus\/dist/, '@aloft/bus'],
  [/libs\/(backend-kit|backends)\b|apps\/backends\/dist/, 'backend host'],
  [/apps\/admin\/dist\/projection/, 'admin: projection'],
  [/apps\/admin\/dist/, 'admin: calls and live streams'],
  [/@grpc|node:internal\/http2|libs\/rpc\/dist/, 'gRPC'],
  [/node:internal\/async_hooks|node:async_hooks/, 'async context'],
  [/node:internal\/modules|node:internal\/bootstrap|^(wrapSafe|internalModuleStat)$/, 'loading of modules'],
  [/node:(buffer|internal\/(buffer|encoding))|^(hexWrite|hexSlice|utf8Write|utf8Slice|encodeInto)/, 'buffers and text'],
  [/^node:|^\(anonymous\)$|^runMicrotasks$/, 'Node: streams, promises, timers'],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { skip: { type: 'string', default: '0' }, top: { type: 'string', default: '12' } },
});
const [file] = positionals;
if (file === undefined) throw new Error('name a file: profile-table FILE.cpuprofile [--skip 0.4] [--top 12]');
const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
const skipped = Number(values.skip) * (profile.endTime - profile.startTime);
const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
const byArea = new Map<string, number>();
const byFunction = new Map<string, number>();
let elapsed = 0;
let busy = 0;
for (const [i, id] of profile.samples.entries()) {
  const time = profile.timeDeltas[i] as number;
  elapsed += time;
  const { functionName, url, lineNumber } = nodes.get(id) as Profile['nodes'][number]['callFrame'];
  if (elapsed < skipped || functionName === '(idle)') continue;
  busy += time;
  const place = url.replace(/^.*\/(?=(apps|libs|node_modules)\/)/, '').replace(/^file:\/\//, '');
  const area = areas.find(([pattern]) => pattern.test(place || functionName || '(anonymous)'))?.[1] ?? 'other';
  byArea.set(area, (byArea.get(area) ?? 0) + time);
  const name = `\`${functionName || '(anonymous)'}\`${place ? ` ${place}:${lineNumber + 1}` : ''}`;
  byFunction.set(name, (byFunction.get(name) ?? 0) + time);
}

function table(title: string, times: ReadonlyMap<string, number>, rows: number): string {
  const sorted = [...times].sort((a, b) => b[1] - a[1]).slice(0, rows);
  const lines = sorted.map(([name, time]) => `| ${name} | ${((100 * time) / busy).toFixed(1)} |`);
  return [`| ${title} | % of the time |`, '| --- | --- |', ...lines].join('\n');
}

console.log(table('area', byArea, areas.length + 1));
console.log();
console.log(table('function', byFunction, Number(values.top)));
