import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export const binary = 'application/octet-stream';
export const json = 'application/json';

const compress = promisify(gzip);
/** Below, a compressed body saves no packet. */
const minCompressed = 1_400;
/** Nearly as small as the default's 6, for half of its time. */
const level = 4;

/** Sends a whole body, compressed for those who take it. Streams never come here: each of their messages goes out at once. */
export async function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: Buffer,
): Promise<void> {
  let sent = body;
  if (body.length >= minCompressed) {
    vary(response, 'Accept-Encoding');
    if (acceptsGzip(request.headers['accept-encoding'])) {
      sent = await compress(body, { level });
      response.setHeader('Content-Encoding', 'gzip');
    }
  }
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': sent.length }).end(sent);
}

/** Whether a type is named in `Accept`. */
export function accepts(request: IncomingMessage, type: string): boolean {
  return (request.headers.accept ?? '').split(',').some((one) => one.split(';')[0]!.trim() === type);
}

/** As grpc-gateway chooses: what `Accept` names, else what the body came in. */
export function wantsBinary(request: IncomingMessage): boolean {
  return accepts(request, binary) || (!accepts(request, json) && isBinary(request));
}

export function isBinary(request: IncomingMessage): boolean {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim() === binary;
}

/** RFC 9110, section 12.5.3: gzip is named, or `*` is and gzip isn't, with a weight above 0. */
export function acceptsGzip(header: string | string[] | undefined): boolean {
  const weights = new Map(
    String(header ?? '')
      .toLowerCase()
      .split(',')
      .map((one): [string, number] => {
        const [name = '', ...parameters] = one.split(';').map((part) => part.trim());
        const q = parameters.find((part) => part.startsWith('q='))?.slice(2);
        return [name, q === undefined ? 1 : Number(q) || 0];
      }),
  );
  return (weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0) > 0;
}

function vary(response: ServerResponse, name: string): void {
  const before = response.getHeader('Vary');
  response.setHeader('Vary', before === undefined ? name : `${String(before)}, ${name}`);
}
