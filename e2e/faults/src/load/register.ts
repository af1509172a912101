import { fileURLToPath } from 'node:url';
import { connect, registerFile } from '@aloft/cli';
import { AloftError } from '@aloft/errors';
import { domain, project } from './client.js';
import { shellTask } from './shell-task.js';
import { version } from './tasks.js';

const source = fileURLToPath(new URL('./tasks.js', import.meta.url));

/** Registers what the load runs; what is there already stays. */
export async function registerLoad(endpoint: string): Promise<void> {
  const connection = connect({ endpoint, project, domain });
  try {
    const { id, template } = shellTask(project, domain, version);
    await connection.admin
      .createTask({ id, spec: { template, inputs: undefined, description: undefined } as never })
      .catch((error: unknown) => {
        if (!(error instanceof AloftError) || error.code !== 'ALREADY_EXISTS') throw error;
      });
    await registerFile(connection, source, { version });
  } finally {
    connection.close();
  }
}
