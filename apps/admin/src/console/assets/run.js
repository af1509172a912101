// One run: its tree of nodes with states, times and errors, live; logs, values and deck of the selected node.
import { crumbs, el, encode, follow, getJson, over, phaseMark, seconds, show, span, tone, when } from './dom.js';
import { loadNames, short } from './names.js';
import { describe } from './values.js';

/** What the page knows, folded from a snapshot and the events after it. */
class Run {
  nodes = new Map();
  phase = 'UNDEFINED';

  constructor(project, domain, name) {
    Object.assign(this, { project, domain, name });
  }

  snapshot({ execution, nodes, tasks, parent_node_ids: parents }) {
    const { closure, spec } = execution;
    this.phase = closure.phase;
    this.spec = spec;
    this.workflow = closure.workflow_id;
    this.started = closure.started_at ?? closure.created_at;
    this.ended = over.has(closure.phase) ? closure.updated_at : undefined;
    this.duration = seconds(closure.duration);
    this.error = closure.error?.message ?? closure.abort_metadata?.cause;
    this.nodes.clear();
    for (const { id, closure: node, metadata } of nodes) {
      Object.assign(this.node(id.node_id), {
        parent: parents?.[id.node_id],
        label: metadata.spec_node_id || id.node_id,
        phase: node.phase,
        started: node.started_at,
        ended: over.has(node.phase) ? node.updated_at : undefined,
        error: node.error?.message,
        deck: node.deck_uri,
        cache: node.task_node_metadata?.cache_status,
        child: node.workflow_node_metadata?.execution_id,
      });
    }
    for (const { id, closure: task } of tasks)
      this.attempt(id.node_execution_id.node_id, id.retry_attempt, {
        task: id.task_id.name,
        size: task.custom_info?.size,
        phase: task.phase,
        reason: task.reason,
        error: task.error?.message,
        logs: task.logs,
        items: task.metadata?.external_resources,
      });
  }

  event({ workflow, node, task, wait, quarantined }) {
    if (workflow) {
      this.phase = workflow.phase;
      if (workflow.phase === 'RUNNING') this.started = workflow.occurred_at;
      if (over.has(workflow.phase)) this.ended = workflow.occurred_at;
      this.error = workflow.error?.message ?? this.error;
    }
    if (node) {
      const known = this.node(node.id.node_id);
      const target = node.task_node_metadata;
      Object.assign(known, {
        phase: node.phase,
        parent: node.parent_node_metadata?.node_id || known.parent,
        label: node.spec_node_id || known.label,
        name: node.node_name || known.name,
        error: node.error?.message ?? known.error,
        deck: node.deck_uri || known.deck,
        cache: target?.cache_status ?? known.cache,
        child: node.workflow_node_metadata?.execution_id ?? known.child,
        wait: undefined,
      });
      if (/RUNNING$/.test(node.phase)) known.started ??= node.occurred_at;
      if (over.has(node.phase)) known.ended = node.occurred_at;
    }
    if (task)
      this.attempt(task.parent_node_execution_id.node_id, task.retry_attempt, {
        task: task.task_id.name,
        size: task.custom_info?.size,
        phase: task.phase,
        reason: task.reason,
        error: task.error?.message,
        logs: task.logs,
        items: task.metadata?.external_resources,
      });
    if (wait) this.node(wait.node_id).wait = wait.detail;
    if (quarantined) this.error = quarantined.released ? undefined : `The run is set aside: ${quarantined.reason}`;
  }

  node(id) {
    let node = this.nodes.get(id);
    if (!node) this.nodes.set(id, (node = { id, label: id, phase: 'QUEUED', attempts: [] }));
    return node;
  }

  /** Its name in the workflow, else its task's, else its id. */
  nameOf(node) {
    return this.names?.(node, (id) => this.nodes.get(id)) || node.name || short(node.task) || node.label;
  }

  attempt(nodeId, number, { task, size, phase, reason, error, logs, items }) {
    const node = this.node(nodeId);
    node.task = task ?? node.task;
    const attempt = (node.attempts[number] ??= { number, items: new Map(), logs: [] });
    attempt.size = size ?? attempt.size;
    attempt.phase = phase;
    attempt.reason = reason || attempt.reason;
    attempt.error = error ?? attempt.error;
    attempt.logs = logs?.length ? logs : attempt.logs;
    for (const item of items ?? []) attempt.items.set(item.index ?? 0, item);
  }

  /** Depth-first, in order of appearance. */
  tree() {
    const children = Map.groupBy([...this.nodes.values()], (node) =>
      this.nodes.has(node.parent) ? node.parent : undefined,
    );
    const rows = [];
    const walk = (parent, depth) => {
      for (const node of children.get(parent) ?? []) {
        if (node.label === 'start-node' || node.label === 'end-node') continue;
        rows.push({ node, depth });
        walk(node.id, depth + 1);
      }
    };
    walk(undefined, 0);
    return rows;
  }
}

export async function showRun(project, domain, name) {
  document.title = `${name} · Aloft`;
  const list = `/console/projects/${encodeURIComponent(project)}/domains/${encodeURIComponent(domain)}/executions`;
  crumbs(el('a', { href: list }, `${project} / ${domain}`), el('span', { class: 'mono' }, name));
  const run = new Run(project, domain, name);
  const view = new View(run);
  // EventSource tells no reason when the answer is a refusal: ask for the run to have one.
  const { closure } = await getJson(`executions/${encode(project, domain, name)}`);
  // Without names the ids are shown: the rest of the page does not need them.
  if (closure.workflow_id) run.names = await loadNames(closure.workflow_id).catch(() => undefined);
  const stop = follow(`executions/${encode(project, domain, name)}`, ({ snapshot, event }) => {
    if (snapshot) run.snapshot(snapshot);
    if (event) run.event(event);
    view.changed();
    if (over.has(run.phase)) {
      stop();
      view.finish();
    }
  });
}

class View {
  head = el('div');
  rows = el('tbody');
  detail = el('aside', { hidden: '' });

  constructor(run) {
    this.run = run;
    const titles = ['Node', 'State', '', 'Took'].map((text) => el('th', {}, text));
    const table = el('table', {}, el('thead', {}, el('tr', {}, ...titles)), this.rows);
    show(this.head, el('div', { class: 'split' }, table, this.detail));
    this.clock = setInterval(() => this.changed(), 1000);
  }

  changed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  finish() {
    clearInterval(this.clock);
  }

  draw() {
    const { run } = this;
    const begin = run.started ? Date.parse(run.started) : Date.now();
    const end = run.ended ? Date.parse(run.ended) : Date.now();
    const plan = run.spec?.launch_plan;
    const parent = run.spec?.metadata?.parent_node_execution?.execution_id;
    this.head.replaceChildren(
      el('h1', {}, plan?.name ?? run.name),
      el(
        'div',
        { class: 'row' },
        phaseMark(run.phase),
        el('span', {}, span(run.duration ?? (end - begin) / 1000)),
        el('span', { class: 'quiet' }, when(run.started)),
        el('span', { class: 'quiet mono' }, plan?.version ?? ''),
        parent ? runLink(parent, `Started by run ${parent.name}`) : undefined,
      ),
      ...(run.error ? [el('pre', { class: 'error' }, this.shortError())] : []),
    );
    this.rows.replaceChildren(
      ...run.tree().map(({ node, depth }) => this.row(node, depth, begin, Math.max(end - begin, 1))),
    );
    if (!this.chosen) this.selectMostTelling();
    if (this.selected) this.drawState();
  }

  row(node, depth, begin, length) {
    const from = node.started ? Date.parse(node.started) : undefined;
    const to = node.ended ? Date.parse(node.ended) : Date.now();
    const bar = el('i');
    if (from !== undefined) {
      bar.style.left = `${Math.max(0, Math.min(99, (100 * (from - begin)) / length))}%`;
      bar.style.width = `${Math.max(0.5, Math.min(100, (100 * (to - from)) / length))}%`;
    }
    const cached = /HIT$/.test(node.cache ?? '') ? el('span', { class: 'quiet' }, ' from the catalog') : undefined;
    const tries = node.attempts.length > 1 ? el('span', { class: 'quiet' }, ` try ${node.attempts.length}`) : undefined;
    const last = node.attempts.at(-1);
    const items = last?.items.size > 0 ? el('div', { class: 'quiet' }, progress(last)) : undefined;
    return el(
      'tr',
      {
        click: () => {
          this.chosen = true;
          this.select(node.id);
          this.draw();
        },
        'aria-selected': String(this.selected === node.id),
      },
      el(
        'td',
        { class: `depth-${Math.min(depth, 6)}` },
        this.run.nameOf(node),
        ' ',
        el('span', { class: 'quiet mono' }, node.label),
      ),
      el(
        'td',
        {},
        phaseMark(node.phase),
        cached,
        tries,
        items,
        node.wait ? el('div', { class: 'quiet' }, node.wait) : undefined,
      ),
      el('td', {}, el('div', { class: `bar phase-${tone(node.phase)}` }, bar)),
      el('td', { class: 'number' }, from === undefined ? '' : span((to - from) / 1000)),
    );
  }

  /** The last line where a node tells the same at length. */
  shortError() {
    const { error, nodes } = this.run;
    const told = [...nodes.values()].some((node) => node.error === error);
    return told ? error.trimEnd().split('\n').at(-1).trim() : error;
  }

  /** Until somebody has chosen: what failed (the innermost), else what runs, else what came last. */
  selectMostTelling() {
    const nodes = this.run.tree().map(({ node }) => node);
    const told = ['bad', 'busy'].map((kind) => nodes.findLast(({ phase }) => tone(phase) === kind));
    const best = told.find(Boolean) ?? nodes.at(-1);
    if (best && best.id !== this.selected) this.select(best.id);
  }

  select(id) {
    this.selected = id;
    this.reading = undefined;
    this.valuesAt = undefined;
    this.log?.abort();
    const node = this.run.node(id);
    this.state = el('div');
    this.values = el('div');
    this.output = el('div');
    this.detail.hidden = false;
    this.detail.replaceChildren(
      el('h2', {}, this.run.nameOf(node), ' ', el('span', { class: 'quiet mono' }, id)),
      this.state,
      this.output,
      this.values,
    );
  }

  drawState() {
    const node = this.run.node(this.selected);
    const { project, domain, name } = this.run;
    const attempts = node.attempts.filter(Boolean);
    const parts = [];
    // Inputs are there at its start, outputs at its end.
    if (this.valuesAt !== node.phase) {
      this.valuesAt = node.phase;
      void this.loadValues(node.id);
    }
    parts.push(el('div', { class: 'row' }, phaseMark(node.phase), el('span', { class: 'quiet' }, node.task ?? '')));
    if (node.error) parts.push(el('pre', { class: 'error' }, node.error));
    if (node.child) parts.push(el('p', {}, runLink(node.child, `Run ${node.child.name}`)));
    for (const attempt of attempts) {
      const log =
        attempt.items.size === 0 &&
        el(
          'button',
          {
            click: () => this.readLog(node.id, attempt.number),
            'aria-pressed': String(this.reading === `${node.id}/${attempt.number}`),
          },
          'Output',
        );
      const links = attempt.logs.map(({ name: text, uri }) =>
        el('a', { href: uri, target: '_blank', rel: 'noopener' }, `${text || 'Log'} ↗`),
      );
      parts.push(
        el(
          'div',
          { class: 'row' },
          el('span', { class: 'quiet' }, `Try ${attempt.number + 1}`),
          phaseMark(attempt.phase),
          el('span', { class: 'quiet' }, (node.error ?? attempt.error) ? '' : (attempt.reason ?? '')),
          ...(log ? [log] : []),
          ...links,
        ),
      );
      if (attempt.error && attempt.error !== node.error) parts.push(el('pre', { class: 'error' }, attempt.error));
      if (attempt.items.size > 0) parts.push(this.items(node.id, attempt));
    }
    if (node.deck && over.has(node.phase) && this.deckOf !== node.id) {
      this.deckOf = node.id;
      this.deck = el('iframe', {
        title: 'Deck',
        sandbox: 'allow-scripts',
        src: `/api/v1/decks/${encode(project, domain, name, node.id)}`,
      });
    }
    if (node.deck && this.deckOf === node.id && !this.deck.isConnected)
      this.detail.append(
        el('h2', {}, 'Deck ', el('a', { href: this.deck.src, target: '_blank', rel: 'noopener' }, '↗')),
        this.deck,
      );
    this.state.replaceChildren(...parts);
  }

  items(nodeId, attempt) {
    const counts = new Map();
    for (const { phase } of attempt.items.values()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
    const byWeight = ({ phase }) => (tone(phase) === 'bad' ? 0 : tone(phase) === 'busy' ? 1 : 2);
    const shown = [...attempt.items.values()].sort((a, b) => byWeight(a) - byWeight(b)).slice(0, 20);
    return el(
      'div',
      { class: 'row' },
      ...[...counts].map(([phase, count]) => el('span', {}, `${count} `, phaseMark(phase))),
      ...shown.map(({ index = 0, phase }) =>
        el(
          'button',
          { class: `phase-${tone(phase)}`, click: () => this.readLog(nodeId, attempt.number, index) },
          `Output of item ${index}`,
        ),
      ),
    );
  }

  /** Output as it comes, until the attempt has ended. */
  async readLog(nodeId, attempt, index) {
    this.log?.abort();
    this.log = new AbortController();
    this.reading = `${nodeId}/${attempt}`;
    const text = el('pre');
    this.output.replaceChildren(el('h2', {}, index === undefined ? 'Output' : `Output of item ${index}`), text);
    const { project, domain, name } = this.run;
    const path = encode(project, domain, name, nodeId, attempt, ...(index === undefined ? [] : [index]));
    try {
      const ended = over.has(this.run.node(nodeId).attempts[attempt]?.phase);
      const answer = await fetch(`/api/v1/logs/${path}?follow=${!ended}&tail=5000`, { signal: this.log.signal });
      if (!answer.ok) throw new Error((await answer.json()).message);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const atEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
        text.append(part.value);
        if (atEnd) text.scrollTop = text.scrollHeight;
      }
      if (text.textContent === '') text.textContent = 'No output.';
    } catch (error) {
      if (error.name !== 'AbortError') text.textContent = error.message;
    }
  }

  async loadValues(id) {
    const { project, domain, name } = this.run;
    try {
      const data = await getJson(`data/node_executions/${encode(project, domain, name, id)}`);
      if (this.selected !== id) return;
      const block = (title, map) =>
        Object.keys(map?.literals ?? {}).length > 0 ? [el('h2', {}, title), el('pre', {}, describe(map.literals))] : [];
      this.values.replaceChildren(...block('Inputs', data.full_inputs), ...block('Outputs', data.full_outputs));
    } catch (error) {
      this.values.replaceChildren(el('p', { class: 'quiet' }, error.message));
    }
  }
}

function progress({ items, size }) {
  const done = [...items.values()].filter(({ phase }) => over.has(phase)).length;
  return `${done} of ${size ?? items.size} items`;
}

function runLink({ project, domain, name }, text) {
  const path = ['projects', project, 'domains', domain, 'executions', name];
  return el('a', { href: `/console/${encode(...path)}` }, text);
}
