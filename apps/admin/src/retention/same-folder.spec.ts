import { sameFolder } from './same-folder.js';

const domains = ['development', 'staging', 'production'];
const run = (project: string, domain: string, name: string) => ({ org: '', project, domain, name });

test('C-100: other runs whose parts, joined, give the same folder', () => {
  expect(sameFolder(run('flytesnacks', 'development', 'run-1'), domains)).toEqual([]);
  expect(sameFolder(run('a', 'development', 'staging-x'), domains)).toEqual([run('a-development', 'staging', 'x')]);
  expect(sameFolder(run('a', 'development', 'b-staging-x'), domains)).toEqual([run('a-development-b', 'staging', 'x')]);
  expect(sameFolder(run('a-development-b', 'staging', 'x'), domains)).toEqual([run('a', 'development', 'b-staging-x')]);
  expect(sameFolder(run('a', 'development', 'development-x'), domains)).toEqual([
    run('a-development', 'development', 'x'),
  ]);
  expect(sameFolder(run('a-development', 'development', 'x'), domains)).toEqual([
    run('a', 'development', 'development-x'),
  ]);
});
