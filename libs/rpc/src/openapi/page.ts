import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { RestGateway } from '../gateway/rest-gateway.js';
import { send } from '../gateway/http-answer.js';
import type { OpenApiOptions } from './document.js';

export const openApiPath = '/api/v1/openapi';

/** Of swagger-ui-dist, by the names that the page asks for. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};
// Its styles and icons are inline.
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/**
 * `GET /api/v1/openapi`: what the gateway serves as an OpenAPI 3 document; to a browser, a page to read and try it, whose parts come
 * from here alone. Made when it is first asked for.
 */
export function mountOpenApi(
  fastify: FastifyInstance,
  gateway: RestGateway,
  { commentsPath, ...options }: Omit<OpenApiOptions, 'comments'> & { commentsPath: string },
): void {
  let document: Promise<Buffer> | undefined;
  const make = async () => {
    const comments = new Map(
      Object.entries(JSON.parse(await readFile(commentsPath, 'utf8')) as Record<string, string>),
    );
    return Buffer.from(JSON.stringify(gateway.openApi({ ...options, comments: (name) => comments.get(name) })));
  };
  const files = new Map<string, Promise<Buffer>>();

  fastify.get(openApiPath, async (request, reply) => {
    const toRead = (request.headers.accept ?? '').includes('text/html');
    const body = toRead ? Buffer.from(page(options.title)) : await (document ??= make());
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) reply.raw.setHeader(name, value);
    reply.raw.setHeader('Vary', 'Accept').setHeader('Cache-Control', 'no-cache');
    if (toRead) reply.raw.setHeader('Content-Security-Policy', policy);
    await send(request.raw, reply.raw, 200, toRead ? 'text/html; charset=utf-8' : 'application/json', body);
  });

  fastify.get(`${openApiPath}/assets/:file`, async (request, reply) => {
    const { file } = request.params as { file: string };
    const type = file === 'start.js' ? 'text/javascript; charset=utf-8' : Object.hasOwn(assets, file) && assets[file];
    if (!type) return reply.code(404).send({ code: 5, message: `there is no asset ${file}` });
    const loading = files.get(file) ?? (file === 'start.js' ? Promise.resolve(Buffer.from(start)) : readAsset(file));
    files.set(file, loading);
    const body = await loading;
    reply.hijack();
    reply.raw.setHeader('Cache-Control', 'public, max-age=3600');
    await send(request.raw, reply.raw, 200, type, body);
    return reply;
  });
}

function readAsset(file: string): Promise<Buffer> {
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  return readFile(join(folder, file));
}

const start = `window.ui = SwaggerUIBundle({
  url: '${openApiPath}',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'none',
  filter: true,
  // Thousands of models are told in the operations that use them.
  defaultModelsExpandDepth: -1,
});
`;

const page = (title: string): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>${title}</title>
    <link rel="stylesheet" href="${openApiPath}/assets/swagger-ui.css" />
    <link rel="icon" type="image/png" href="${openApiPath}/assets/favicon-32x32.png" />
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${openApiPath}/assets/swagger-ui-bundle.js"></script>
    <script src="${openApiPath}/assets/start.js"></script>
  </body>
</html>
`;
