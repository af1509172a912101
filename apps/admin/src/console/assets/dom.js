// What both pages use: elements, times, the REST API and its live streams. Plain DOM, nothing else.

/** Makes an element: `el('td', { class: 'number' }, 'text', child)`; `undefined` children are left out. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (typeof value === 'function') element.addEventListener(key, value);
    else if (value !== undefined) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

const good = new Set(['SUCCEEDED', 'RECOVERED']);
const bad = new Set(['FAILED', 'TIMED_OUT', 'FAILING', 'RETRYABLE_FAILED']);
const busy = new Set(['RUNNING', 'SUCCEEDING', 'DYNAMIC_RUNNING', 'INITIALIZING']);
const odd = new Set(['ABORTED', 'ABORTING']);
export const over = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT', 'SKIPPED', 'RECOVERED']);

export function tone(phase) {
  if (good.has(phase)) return 'good';
  if (bad.has(phase)) return 'bad';
  if (busy.has(phase)) return 'busy';
  return odd.has(phase) ? 'odd' : 'idle';
}

export function phaseMark(phase) {
  const name = (phase || 'UNDEFINED').replaceAll('_', ' ').toLowerCase();
  return el('span', { class: `phase ${tone(phase)}` }, name === 'undefined' ? 'waiting' : name);
}

export function seconds(duration) {
  return duration ? Number(duration.replace('s', '')) : undefined;
}

/** Seconds for people: 340 ms, 4.2 s, 3 min 20 s, 2 h 5 min. */
export function span(value) {
  if (value === undefined || Number.isNaN(value)) return '';
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

export function when(time) {
  return time ? new Date(time).toLocaleString() : '';
}

export async function getJson(path) {
  const answer = await fetch(`/api/v1/${path}`, { headers: { accept: 'application/json' } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.message ?? answer.statusText);
  return body;
}

export const encode = (...parts) => parts.map(encodeURIComponent).join('/');

/** Follows a stream of server-sent events; the browser connects again by itself and then gets a new snapshot. */
export function follow(path, onMessage) {
  const link = document.getElementById('link');
  const source = new EventSource(`/api/v1/watch/${path}`);
  source.onopen = () => (link.textContent = 'live');
  source.onerror = () => (link.textContent = 'connecting …');
  source.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.error) link.textContent = message.error.message;
    else onMessage(message.result ?? message);
  };
  return () => {
    source.close();
    link.textContent = '';
  };
}

export function crumbs(...parts) {
  const children = parts.flatMap((part, i) => (i === 0 ? [part] : [' / ', part]));
  document.getElementById('crumbs').replaceChildren(...children);
}

const page = document.getElementById('page');
export function show(...children) {
  page.replaceChildren(...children);
}
