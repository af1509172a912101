import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { launchOf } from '../testing/launches.js';
import { checkLogTemplate, logLinks, type LogTemplate } from './log-links.js';

const launch = (config: Record<string, string>) => ({
  ...launchOf({ name: 'run1-n0-0' }),
  template: TaskTemplate.fromPartial({ config }),
});
const templates: LogTemplate[] = [
  { name: 'Logs', uri: 'https://logs/{{ .executionName }}/{{.pod}}' },
  {
    name: 'VSCode',
    uri: 'https://code/{{ .generatedName }}:{{ .taskConfig.port }}',
    linkType: 'vscode',
    showWhilePending: true,
  },
  { name: 'Grafana', uri: 'https://grafana/{{ .nodeID }}', linkType: 'grafana', hideOnceFinished: true },
];
const uris = (config: Record<string, string>) =>
  logLinks(templates, launch(config), { pod: 'a b' }).map(({ uri }) => uri);

describe('C-176: links to logs', () => {
  it('are those without a type, and those that the task’s configuration names', () => {
    expect(uris({})).toEqual(['https://logs/run1/a%20b']);
    expect(uris({ link_type: 'vscode, grafana', port: '8080' })).toEqual([
      'https://logs/run1/a%20b',
      'https://code/run1-n0-0:8080',
      'https://grafana/n0-0',
    ]);
    expect(logLinks(templates, launch({ link_type: 'vscode', port: '1' }))[1]).toMatchObject({
      name: 'VSCode',
      ShowWhilePending: true,
      HideOnceFinished: false,
    });
  });

  it('of something that the task does not say are left out', () => {
    expect(uris({ link_type: 'vscode' })).toHaveLength(1);
  });

  it('with a variable that there is not are refused', () => {
    for (const template of templates) checkLogTemplate(template, ['pod']);
    expect(() => checkLogTemplate(templates[0]!)).toThrow(
      /log link "Logs": there is no {{ \.pod }}; there are executionName/,
    );
  });
});
