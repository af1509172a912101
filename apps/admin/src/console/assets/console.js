// A read-only view of runs: lists through the REST API, one run live through server-sent events. No framework, no build.
const main = document.getElementById('main');
const crumbs = document.getElementById('crumbs');
const live = document.getElementById('live');

const tones = {
  SUCCEEDED: 'good',
  RECOVERED: 'good',
  FAILED: 'bad',
  TIMED_OUT: 'bad',
  ABORTED: 'bad',
  FAILING: 'bad',
  ABORTING: 'bad',
  RUNNING: 'busy',
  DYNAMIC_RUNNING: 'busy',
  SUCCEEDING: 'busy',
  QUEUED: 'wait',
};
const terminal = new Set(['SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT', 'SKIPPED', 'RECOVERED']);

/** An element: text is always text, so nothing that a task wrote is ever taken for markup. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'style') for (const [property, v] of Object.entries(value)) node.style.setProperty(property, v);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

const phaseChip = (phase, label = phase) =>
  el(
    'span',
    { class: `phase tone-${tones[phase] ?? 'none'}` },
    (label || 'UNDEFINED').replaceAll('_', ' ').toLowerCase(),
  );

function duration(ms) {
  if (!Number.isFinite(ms) || ms < 0) return '';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60
    ? `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const time = (text) => (text ? Date.parse(text) : NaN);
const clock = (text) => (text ? new Date(text).toLocaleString() : '');
const seconds = (text) => (text ? parseFloat(text) * 1000 : NaN);

async function get(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? body.error ?? response.statusText);
  return body;
}

function setCrumbs(...items) {
  crumbs.replaceChildren(
    ...items.flatMap(([text, href], i) => [i ? '/' : '', href ? el('a', { href }, text) : el('span', {}, text)]),
  );
}

const runsPath = (project, domain) => `/console/projects/${project}/domains/${domain}/executions`;

async function showProjects() {
  setCrumbs(['projects']);
  const { projects } = await get('/api/v1/projects');
  main.replaceChildren(
    el('h1', {}, 'Projects'),
    el(
      'section',
      {},
      el(
        'table',
        {},
        el('tr', {}, el('th', {}, 'Project'), el('th', {}, 'Runs by domain')),
        ...projects.map(({ id, name, domains }) =>
          el(
            'tr',
            {},
            el('td', {}, name || id),
            el(
              'td',
              {},
              el(
                'span',
                { class: 'links' },
                ...domains.map((domain) => el('a', { href: runsPath(id, domain.id) }, domain.name || domain.id)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

async function showRuns(project, domain) {
  setCrumbs(['projects', '/console'], [project], [domain]);
  const query = 'limit=100&sort_by.key=created_at&sort_by.direction=DESCENDING';
  const { executions } = await get(`/api/v1/executions/${project}/${domain}?${query}`);
  const rows = executions.map(({ id, spec, closure }) =>
    el(
      'tr',
      {},
      el('td', {}, el('a', { href: `${runsPath(project, domain)}/${id.name}` }, id.name)),
      el('td', {}, closure.workflow_id?.name ?? spec.launch_plan?.name ?? ''),
      el('td', {}, phaseChip(closure.phase)),
      el('td', {}, clock(closure.created_at)),
      el('td', { class: 'number' }, duration(seconds(closure.duration))),
    ),
  );
  main.replaceChildren(
    el('h1', {}, 'Runs'),
    el(
      'section',
      {},
      rows.length
        ? el(
            'table',
            {},
            el(
              'tr',
              {},
              ...['Run', 'Workflow', 'Phase', 'Created'].map((t) => el('th', {}, t)),
              el('th', { class: 'number' }, 'Duration'),
            ),
            ...rows,
          )
        : el(
            'p',
            { class: 'empty' },
            `No runs in ${project}, ${domain} yet. Launch one: aloft run, or pyflyte run --remote.`,
          ),
    ),
  );
}

/** State of one run, built from a snapshot and then changed by events. */
class Run {
  execution;
  nodes = new Map();
  tasks = new Map();

  snapshot({ execution, nodes = [], tasks = [], parent_node_ids: parents = {} }) {
    this.execution = execution;
    this.nodes = new Map(nodes.map((node) => [node.id.node_id, this.node(node, parents)]));
    this.tasks.clear();
    for (const task of tasks) this.task(task.id.node_execution_id.node_id, task.id.retry_attempt ?? 0, task.closure);
  }

  node({ id, metadata = {}, closure = {} }, parents) {
    return {
      id: id.node_id,
      parent: parents[id.node_id],
      phase: closure.phase,
      from: time(closure.started_at ?? closure.created_at),
      to: time(closure.started_at) + seconds(closure.duration),
      error: closure.error,
      deck: closure.deck_uri,
      cache: closure.task_node_metadata?.cache_status,
      child: closure.workflow_node_metadata?.execution_id,
      name: metadata.spec_node_id,
    };
  }

  task(node, attempt, closure) {
    this.tasks.set(`${node}/${attempt}`, {
      node,
      attempt,
      phase: closure.phase,
      logs: closure.logs ?? [],
      items: closure.metadata?.external_resources ?? [],
    });
  }

  apply(event) {
    if (event.workflow) {
      const { phase, occurred_at: at, error } = event.workflow;
      const { closure } = this.execution;
      closure.phase = phase;
      if (phase === 'RUNNING') closure.started_at ??= at;
      if (terminal.has(phase))
        closure.duration = `${(time(at) - time(closure.started_at ?? closure.created_at)) / 1000}s`;
      if (error) closure.error = error;
    } else if (event.node) {
      const {
        id,
        phase,
        occurred_at: at,
        error,
        parent_node_metadata: parent,
        task_node_metadata: task,
        workflow_node_metadata: workflow,
        deck_uri: deck,
      } = event.node;
      const known = this.nodes.get(id.node_id) ?? {
        id: id.node_id,
        parent: parent?.node_id,
        name: event.node.spec_node_id,
      };
      known.phase = phase;
      if (phase === 'RUNNING' || Number.isNaN(known.from) || known.from === undefined) known.from = time(at);
      if (terminal.has(phase)) known.to = time(at);
      known.error = error ?? known.error;
      known.cache = task?.cache_status ?? known.cache;
      known.child = workflow?.execution_id ?? known.child;
      known.deck = deck || known.deck;
      this.nodes.set(id.node_id, known);
    } else if (event.task) {
      const { parent_node_execution_id: node, retry_attempt: attempt = 0, phase, logs = [], metadata } = event.task;
      const before = this.tasks.get(`${node.node_id}/${attempt}`);
      this.task(node.node_id, attempt, { phase, logs: logs.length ? logs : before?.logs, metadata });
    }
  }

  /** Nodes in the order of a tree, each with its depth; start and end nodes are not work. */
  tree() {
    const children = Map.groupBy(
      [...this.nodes.values()].filter(({ id }) => !/(^|-)(start|end)-node$/.test(id)),
      ({ parent }) => parent ?? '',
    );
    const rows = [];
    const visit = (parent, depth) => {
      const sorted = (children.get(parent) ?? []).sort(
        (a, b) => (a.from || Infinity) - (b.from || Infinity) || a.id.localeCompare(b.id, undefined, { numeric: true }),
      );
      for (const node of sorted) {
        rows.push({ ...node, depth });
        visit(node.id, depth + 1);
      }
    };
    visit('', 0);
    return rows;
  }
}

function showRun(project, domain, name) {
  setCrumbs(['projects', '/console'], [project], [domain, runsPath(project, domain)], [name]);
  const run = new Run();
  let drawn = false;
  const draw = () => {
    drawn = false;
    if (run.execution) render(run, project, domain, name);
  };
  const redraw = () => {
    if (!drawn) requestAnimationFrame(draw);
    drawn = true;
  };
  const source = new EventSource(`/api/v1/watch/executions/${project}/${domain}/${name}`);
  source.onopen = () => (live.textContent = 'live');
  const close = (said = '') => {
    source.close();
    live.textContent = said;
  };
  source.onmessage = ({ data }) => {
    const { result, error } = JSON.parse(data);
    if (error) {
      close();
      main.replaceChildren(el('p', { class: 'empty' }, error.message));
      return;
    }
    if (result.snapshot) run.snapshot(result.snapshot);
    if (result.event) run.apply(result.event);
    redraw();
  };
  // The stream ends with the run; a browser would ask again for ever.
  source.onerror = () => {
    if (run.execution && terminal.has(run.execution.closure.phase)) close();
    else if (source.readyState === EventSource.CLOSED) close('not connected');
    else live.textContent = 'connecting …';
  };
  setInterval(() => run.execution && !terminal.has(run.execution.closure.phase) && redraw(), 1000);
}

function render(run, project, domain, name) {
  const { closure, spec } = run.execution;
  const over = terminal.has(closure.phase);
  const began = time(closure.started_at ?? closure.created_at);
  const span = over ? seconds(closure.duration) : Date.now() - began;
  const rows = run.tree();
  const cached = rows.filter((node) => node.cache === 'CACHE_HIT').length;
  const fact = (label, value) => (value ? [el('div', {}, el('dt', {}, label), el('dd', {}, value))] : []);
  document.title = `${name} · Aloft`;
  main.replaceChildren(
    el('div', { class: 'title' }, el('h1', {}, name), phaseChip(closure.phase)),
    el(
      'dl',
      { class: 'facts' },
      ...fact('Workflow', closure.workflow_id && `${closure.workflow_id.name} ${closure.workflow_id.version}`),
      ...fact('Launch plan', spec.launch_plan?.name),
      ...fact('Created', clock(closure.created_at)),
      ...fact('Duration', duration(span)),
      ...fact('From the catalog', cached ? `${cached} of ${rows.length} nodes` : ''),
      ...fact('Aborted because', closure.abort_metadata?.cause),
    ),
    closure.error
      ? el(
          'section',
          {},
          el('h2', {}, `${closure.error.kind ?? ''} error ${closure.error.code ?? ''}`.trim()),
          el('pre', { class: 'error' }, closure.error.message ?? ''),
        )
      : null,
    el(
      'section',
      {},
      el('h2', {}, 'Nodes'),
      el(
        'table',
        {},
        el(
          'tr',
          {},
          ...['Node', 'Phase', ''].map((t) => el('th', {}, t)),
          el('th', { class: 'number' }, 'Duration'),
          el('th', {}, ''),
        ),
        ...rows.map((node) => nodeRow(run, node, began, span, project, domain, name)),
      ),
    ),
    ...rows
      .filter((node) => node.error)
      .map((node) =>
        el(
          'section',
          {},
          el('h2', {}, `${node.id}: ${node.error.code ?? 'error'}`),
          el('pre', { class: 'error' }, node.error.message ?? ''),
        ),
      ),
  );
}

function nodeRow(run, node, began, span, project, domain, name) {
  const hit = node.cache === 'CACHE_HIT';
  const to = node.to || (terminal.has(node.phase) ? node.from : Date.now());
  const attempts = [...run.tasks.values()].filter((task) => task.node === node.id);
  const tone = hit ? 'cached' : (tones[node.phase] ?? 'none');
  const percent = (ms) => `${Math.max(0, Math.min(100, (100 * ms) / Math.max(span, 1)))}%`;
  const items = attempts.at(-1)?.items.length ?? 0;
  const links = attempts.flatMap((task) =>
    task.logs.map((log) =>
      el(
        'a',
        { href: log.uri, target: '_blank', rel: 'noopener' },
        attempts.length > 1 ? `${log.name} ${task.attempt + 1}` : log.name,
      ),
    ),
  );
  if (node.deck)
    links.push(
      el(
        'a',
        { href: `/api/v1/decks/${project}/${domain}/${name}/${node.id}`, target: '_blank', rel: 'noopener' },
        'Deck',
      ),
    );
  if (node.child)
    links.push(el('a', { href: `${runsPath(node.child.project, node.child.domain)}/${node.child.name}` }, 'Child run'));
  return el(
    'tr',
    {},
    el(
      'td',
      {},
      el(
        'div',
        { class: 'node', style: { '--depth': node.depth } },
        node.id,
        ' ',
        el(
          'small',
          {},
          [
            node.name && node.name !== node.id ? node.name : '',
            attempts.length > 1 ? `${attempts.length} attempts` : '',
            items > 1 ? `${items} items` : '',
          ]
            .filter(Boolean)
            .join(', '),
        ),
      ),
    ),
    el('td', {}, hit ? el('span', { class: 'phase tone-cached' }, 'from the catalog') : phaseChip(node.phase)),
    el(
      'td',
      {},
      Number.isFinite(node.from)
        ? el(
            'div',
            { class: `bar tone-${tone}` },
            el('i', { style: { '--from': percent(node.from - began), '--width': percent(to - node.from) } }),
          )
        : null,
    ),
    el('td', { class: 'number' }, duration(to - node.from)),
    el('td', {}, el('span', { class: 'links' }, ...links)),
  );
}

const [, , , project, , domain, page, name] = location.pathname.split('/').map(decodeURIComponent);
const shown =
  name && page === 'executions'
    ? showRun(project, domain, name)
    : project && domain
      ? showRuns(project, domain)
      : showProjects();
Promise.resolve(shown).catch((error) =>
  main.replaceChildren(el('p', { class: 'empty' }, String(error.message ?? error))),
);
