import { readFileSync } from 'node:fs';

/** A `.cpuprofile` as V8 writes it. */
interface Profile {
  nodes: ProfileNode[];
  samples: number[];
  /** Microseconds. */
  timeDeltas: number[];
  startTime: number;
  endTime: number;
}

interface ProfileNode {
  id: number;
  callFrame: { functionName: string; url: string; lineNumber: number };
  children?: number[];
}

/** A function on a stack. */
export interface Frame {
  name: string;
  /** Relative to the repository or in `node:`; empty for what is no file. */
  place: string;
  line: number;
}

/** A sample: its stack, outermost first, and microseconds. */
export interface Sample {
  stack: readonly Frame[];
  time: number;
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

export function areaOf({ place, name }: Frame): string {
  return areas.find(([pattern]) => pattern.test(place || name))?.[1] ?? 'other';
}

/** What was sampled after the part `skip` (0…1) of its time, without idling. */
export function readSamples(file: string, skip: number): Sample[] {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const skipped = skip * (profile.endTime - profile.startTime);
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const stacks = new Map<number, Frame[]>();
  const stackOf = (id: number): Frame[] => {
    const known = stacks.get(id);
    if (known) return known;
    const parent = parents.get(id);
    const stack = parent === undefined ? [] : [...stackOf(parent), frameOf(byId.get(id) as ProfileNode)];
    stacks.set(id, stack);
    return stack;
  };
  let elapsed = 0;
  return profile.samples.flatMap((id, i) => {
    const time = profile.timeDeltas[i] as number;
    elapsed += time;
    const stack = stackOf(id);
    return elapsed < skipped || stack.at(-1)?.name === '(idle)' ? [] : [{ stack, time }];
  });
}

function frameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): Frame {
  const place = url.replace(/^.*\/(?=(apps|libs|node_modules)\/)/, '').replace(/^file:\/\//, '');
  return { name: functionName || '(anonymous)', place, line: lineNumber + 1 };
}
