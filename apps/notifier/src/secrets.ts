import { readFile } from 'node:fs/promises';
import { failedPrecondition } from '@aloft/errors';
import type { SecretReference } from './config.js';

/** Reads a secret when it is used, so that a rotated one counts at once. FAILED_PRECONDITION if it is not there. */
export async function readSecret(reference: SecretReference, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  if ('env' in reference) {
    const value = env[reference.env]?.trim();
    if (!value) throw failedPrecondition(`the variable ${reference.env} that should hold a secret is not set`);
    return value;
  }
  try {
    const value = (await readFile(reference.file, 'utf8')).trim();
    if (value !== '') return value;
  } catch (error) {
    throw failedPrecondition(`the file ${reference.file} that should hold a secret cannot be read`, { cause: error });
  }
  throw failedPrecondition(`the file ${reference.file} that should hold a secret is empty`);
}
