import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { areaOf, readSamples, type Frame } from './profile.js';

/**
 * A CPU profile as a picture: `node bench/dist/flame-graph.js FILE.cpuprofile OUT.svg [--skip 0.4] [--title TEXT]`. The wider a function,
 * the more time was spent in it and in what it called (below it); what took too little to be seen is left out. Frames of
 * Node that only say how a callback came to be called are left out too.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { skip: { type: 'string', default: '0' }, title: { type: 'string', default: '' } },
});
const [file, out] = positionals;
if (file === undefined || out === undefined)
  throw new Error('name two files: flame-graph FILE.cpuprofile OUT.svg [--skip 0.4] [--title TEXT]');

interface Box {
  frame: Frame;
  time: number;
  children: Map<string, Box>;
}

const width = 1200;
const row = 15;
const head = 26;
const maxBytes = 280_000;
/** How callbacks are called, and nothing that anybody could mend. */
const plumbing =
  /^node:internal\/(process\/task_queues|timers|async_hooks|streams|stream_base_commons|event_target|per_context)|^node:(events|async_hooks|net)$/;

const root: Box = { frame: { name: 'all', place: '', line: 0 }, time: 0, children: new Map() };
for (const { stack, time } of readSamples(file, Number(values.skip))) {
  root.time += time;
  let box = root;
  const shown = stack.filter(({ name, place }) => !plumbing.test(place) && name !== 'runMicrotasks');
  for (const frame of shown.length > 0 ? shown : stack.slice(-1)) {
    const key = `${frame.name} ${frame.place}:${frame.line}`;
    let child = box.children.get(key);
    if (!child) box.children.set(key, (child = { frame, time: 0, children: new Map() }));
    child.time += time;
    box = child;
  }
}

const colours = new Map<string, string>();
function colourOf(area: string): string {
  const known = colours.get(area);
  if (known) return known;
  const colour = `hsl(${(colours.size * 47) % 360} ${area === 'other' ? 0 : 60}% 78%)`;
  colours.set(area, colour);
  return colour;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** Boxes of at least so much of the whole. */
function draw(least: number): string {
  const parts: string[] = [];
  let deepest = 0;
  const place = (box: Box, x: number, depth: number): void => {
    const share = box.time / root.time;
    const w = share * width;
    const y = head + depth * row;
    deepest = Math.max(deepest, depth);
    const { name, place: where, line } = box.frame;
    const at = where ? ` ${where}:${line}` : '';
    const room = Math.floor((w - 4) / 6.1);
    const text = room < 3 ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 11}">${escaped(name.slice(0, room))}</text>`;
    parts.push(
      `<g><title>${escaped(`${name}${at}: ${(100 * share).toFixed(1)} %`)}</title>` +
        `<rect x="${x.toFixed(1)}" y="${y}" width="${w.toFixed(1)}" height="${row - 1}" fill="${colourOf(areaOf(box.frame))}"/>${text}</g>`,
    );
    let from = x;
    for (const child of [...box.children.values()].sort((a, b) => b.time - a.time)) {
      if (child.time / root.time >= least) place(child, from, depth + 1);
      from += (child.time / root.time) * width;
    }
  };
  place(root, 0, 0);
  const bottom = head + (deepest + 1) * row + 8;
  const legend = [...colours].map(([area, colour], i) => {
    const [x, y] = [10 + (i % 4) * 295, bottom + Math.floor(i / 4) * 16];
    return `<rect x="${x}" y="${y}" width="10" height="10" fill="${colour}"/><text x="${x + 14}" y="${y + 9}">${escaped(area)}</text>`;
  });
  const height = bottom + Math.ceil(colours.size / 4) * 16 + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="10">`,
    `<rect width="${width}" height="${height}" fill="#fff"/><text x="10" y="17" font-size="13">${escaped(values.title)}</text>`,
    ...parts,
    ...legend,
    '</svg>\n',
  ].join('\n');
}

let least = 0.0005;
let svg = draw(least);
for (; svg.length > maxBytes; svg = draw((least *= 1.5)));
writeFileSync(out, svg);
console.log(
  `${out}: ${svg.length} bytes, what took at least ${(100 * least).toFixed(2)} % of ${Math.round(root.time / 1000)} ms`,
);
