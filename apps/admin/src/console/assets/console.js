// Start of the page: what the address names is shown by one of the two modules.
import { el, show } from './dom.js';
import { showRun } from './run.js';
import { showRuns } from './runs.js';

const [, project, domain, run] =
  /^\/console\/projects\/([^/]+)\/domains\/([^/]+)\/executions(?:\/([^/]+))?\/?$/.exec(location.pathname) ?? [];
const decoded = [project, domain, run].map((part) => (part === undefined ? undefined : decodeURIComponent(part)));
try {
  if (decoded[2] !== undefined) await showRun(...decoded);
  else await showRuns(decoded[0] ?? 'flytesnacks', decoded[1] ?? 'development');
} catch (error) {
  show(el('h1', {}, 'Not shown'), el('pre', { class: 'error' }, error.message));
}
