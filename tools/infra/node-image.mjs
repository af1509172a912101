// The layer of an image with Node and one of the platform's apps in /app, as deploy/Dockerfile has it, without Docker.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assemble } from '../image.mjs';
import { addTo, librariesOf, run } from './layers.mjs';

/** Writes `archive` and returns its path; the shell of `base`, a folder, comes with it. Expects a built checkout. */
export function nodeLayer({ app, archive, base }) {
  const root = `${archive}.root`;
  mkdirSync(join(root, 'usr', 'local', 'bin'), { recursive: true });
  copyFileSync(process.execPath, join(root, 'usr', 'local', 'bin', 'node'));
  assemble(app, join(root, 'app'));
  run('tar', ['-C', base, '-cf', archive, '.']);
  run('tar', ['-C', root, '-rf', archive, '.']);
  addTo(archive, librariesOf([join(root, 'app')], [process.execPath]), { followed: true });
  return archive;
}
