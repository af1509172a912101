import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

const assets: Readonly<Record<string, string>> = {
  'console.css': 'text/css; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'dom.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'names.js': 'text/javascript; charset=utf-8',
  'run.js': 'text/javascript; charset=utf-8',
  'runs.js': 'text/javascript; charset=utf-8',
  'values.js': 'text/javascript; charset=utf-8',
};
const folder = join(import.meta.dirname, 'assets');

/** A small read-only page for runs, until the real console comes. It reads the REST API like anybody else. */
@Controller('console')
export class ConsoleController {
  @Get('assets/:file')
  async asset(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { file } = request.params as { file: string };
    const type = Object.hasOwn(assets, file) ? assets[file] : undefined;
    if (type === undefined) {
      void reply.status(404).send({ code: 5, message: `there is no asset ${file}` });
      return;
    }
    void reply
      .header('content-type', type)
      .header('cache-control', 'no-cache')
      .send(await readFile(join(folder, file)));
  }

  /** flytekit prints `/console/projects/<project>/domains/<domain>/executions/<name>`. */
  @Get(['', 'projects/:project/domains/:domain/executions', 'projects/:project/domains/:domain/executions/:name'])
  async page(@Res() reply: FastifyReply): Promise<void> {
    void reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('cache-control', 'no-cache')
      .header('content-security-policy', "default-src 'self'; frame-src 'self'; style-src 'self'")
      .send(await readFile(join(folder, 'index.html')));
  }
}
