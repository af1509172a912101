// The runs of a project and domain, newest first; phases live.
import { crumbs, el, encode, follow, getJson, over, phaseMark, seconds, show, span, when } from './dom.js';

const pageSize = 50;

export async function showRuns(project, domain) {
  const { projects } = await getJson('projects');
  document.title = `Runs in ${project} · Aloft`;
  crumbs(el('span', {}, project), el('span', {}, domain));
  const go = (where) =>
    (location.href = `/console/projects/${encodeURIComponent(where[0])}/domains/${encodeURIComponent(where[1])}/executions`);
  const select = (label, options, current, change) =>
    el(
      'select',
      { 'aria-label': label, change: ({ target }) => change(target.value) },
      ...options.map((id) => el('option', { value: id, selected: id === current ? '' : undefined }, id)),
    );
  const domains = projects[0]?.domains.map(({ id }) => id) ?? [domain];
  const rows = el('tbody');
  const more = el('button', { hidden: '' }, 'Older runs');
  show(
    el('h1', {}, 'Runs'),
    el(
      'div',
      { class: 'row' },
      select(
        'Project',
        projects.map(({ id }) => id),
        project,
        (id) => go([id, domain]),
      ),
      select('Domain', domains, domain, (id) => go([project, id])),
    ),
    el(
      'table',
      {},
      el(
        'thead',
        {},
        el('tr', {}, ...['Run', 'Launch plan', 'Phase', 'Started', 'Took'].map((text) => el('th', {}, text))),
      ),
      rows,
    ),
    more,
  );

  const shown = new Map();
  const load = async (token = '') => {
    const query = new URLSearchParams({
      limit: pageSize,
      token,
      'sort_by.key': 'created_at',
      'sort_by.direction': 'DESCENDING',
    });
    const list = await getJson(`executions/${encode(project, domain)}?${query}`);
    for (const run of list.executions) shown.set(run.id.name, run);
    more.hidden = !list.token;
    more.onclick = () => load(list.token);
    draw();
  };
  const draw = () => {
    const all = [...shown.values()].sort((a, b) => (a.closure.created_at < b.closure.created_at ? 1 : -1));
    rows.replaceChildren(...all.map((run) => row(project, domain, run)));
    if (all.length === 0)
      rows.replaceChildren(
        el('tr', {}, el('td', { colspan: '5', class: 'quiet' }, 'No runs yet: start one with `aloft run` or pyflyte.')),
      );
  };
  await load();
  follow(`projects/${encode(project, domain)}`, async ({ id, event }) => {
    const run = shown.get(id.name);
    // What is new, or has ended, is read whole: its times and error are in the row.
    if (!run || over.has(event.workflow?.phase)) {
      const fresh = await getJson(`executions/${encode(project, domain, id.name)}`);
      shown.set(id.name, {
        ...fresh,
        closure: { ...fresh.closure, phase: event.workflow?.phase ?? fresh.closure.phase },
      });
    } else if (event.workflow) run.closure.phase = event.workflow.phase;
    draw();
  });
}

function row(project, domain, { id, spec, closure }) {
  const href = `/console/projects/${encodeURIComponent(project)}/domains/${encodeURIComponent(domain)}/executions/${encodeURIComponent(id.name)}`;
  const plan = spec.launch_plan ?? {};
  return el(
    'tr',
    { click: () => (location.href = href) },
    el('td', { class: 'mono' }, el('a', { href }, id.name)),
    el('td', {}, plan.name ?? '', ' ', el('span', { class: 'quiet mono' }, plan.version ?? '')),
    el('td', {}, phaseMark(closure.phase)),
    el('td', {}, when(closure.started_at ?? closure.created_at)),
    el('td', { class: 'number' }, span(seconds(closure.duration))),
  );
}
