import { parseArgs } from 'node:util';
import { areaOf, readSamples } from './profile.js';

/**
 * Where the time of a CPU profile goes, as Markdown: `node bench/dist/profile-table.js FILE.cpuprofile [--skip 0.4] [--top 12]`. `skip`
 * is the part of the time to leave out at the beginning (the start of the platform, warm-up). Self times, without idling.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { skip: { type: 'string', default: '0' }, top: { type: 'string', default: '12' } },
});
const [file] = positionals;
if (file === undefined) throw new Error('name a file: profile-table FILE.cpuprofile [--skip 0.4] [--top 12]');
const byArea = new Map<string, number>();
const byFunction = new Map<string, number>();
let busy = 0;
for (const { stack, time } of readSamples(file, Number(values.skip))) {
  const frame = stack.at(-1);
  if (!frame) continue;
  busy += time;
  const area = areaOf(frame);
  byArea.set(area, (byArea.get(area) ?? 0) + time);
  const name = `\`${frame.name}\`${frame.place ? ` ${frame.place}:${frame.line}` : ''}`;
  byFunction.set(name, (byFunction.get(name) ?? 0) + time);
}

function table(title: string, times: ReadonlyMap<string, number>, rows: number): string {
  const sorted = [...times].sort((a, b) => b[1] - a[1]).slice(0, rows);
  const lines = sorted.map(([name, time]) => `| ${name} | ${((100 * time) / busy).toFixed(1)} |`);
  return [`| ${title} | % of the time |`, '| --- | --- |', ...lines].join('\n');
}

console.log(table('area', byArea, byArea.size));
console.log();
console.log(table('function', byFunction, Number(values.top)));
