import type { DescField, DescMessage } from '@bufbuild/protobuf';
import type { HttpRoute } from '../gateway/http-rules.js';
import { described, Schemas, type Comments, type Schema } from './schemas.js';

export interface OpenApiOptions {
  title: string;
  version: string;
  description?: string;
  comments: Comments;
}

/** An OpenAPI 3.0 document: plain JSON. */
export interface OpenApiDocument {
  openapi: string;
  info: { title: string; version: string; description?: string };
  tags: { name: string; description?: string }[];
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, Schema> };
}

const errorSchema = 'Error';
/** Fields of fields of a request that are parameters: `sort_by.key`. */
const deepest = 3;

/** What the gateway serves, as OpenAPI: one operation a route, its texts from the comments of the proto files. */
export function openApiDocument(routes: readonly HttpRoute[], options: OpenApiOptions): OpenApiDocument {
  const schemas = new Schemas(options.comments);
  const paths: OpenApiDocument['paths'] = {};
  const names = new PathNames();
  const ids = new Map<string, number>();
  for (const route of routes) {
    const { path, parameters } = names.of(route);
    const { parent, name } = route.rpc;
    const id = `${parent.name}_${name}`;
    const count = (ids.get(id) ?? 0) + 1;
    ids.set(id, count);
    // An rpc with several bindings is several operations.
    const operationId = count === 1 ? id : `${id}${count}`;
    const verb = route.verb.toLowerCase();
    (paths[path] ??= {})[verb] ??= operation(route, operationId, parameters, schemas, options.comments);
  }
  const tags = [...new Map(routes.map(({ rpc }) => [rpc.parent.name, rpc.parent])).values()].map((service) => ({
    name: service.name,
    ...described(options.comments(service.typeName)),
  }));
  const { title, version, description } = options;
  return {
    openapi: '3.0.3',
    info: { title, version, ...(description === undefined ? {} : { description }) },
    tags,
    paths,
    components: { schemas: { ...sorted(schemas.components), [errorSchema]: errorBodySchema } },
  };
}

interface PathParameter {
  /** As the path names it. */
  name: string;
  /** The request's field that it fills: `id.project`. */
  field: string;
}

/**
 * OpenAPI takes two paths that differ in names of parameters only for one: the first route's names stand for all, and each operation
 * says which field of its own a parameter fills.
 */
class PathNames {
  private readonly byShape = new Map<string, string[]>();

  of({ segments }: HttpRoute): { path: string; parameters: PathParameter[] } {
    const shape = segments.map((segment) => ('text' in segment ? segment.text : '{}')).join('/');
    const fields = segments.flatMap((segment) => ('field' in segment ? [segment.field] : []));
    const names = this.byShape.get(shape) ?? fields;
    this.byShape.set(shape, names);
    let next = 0;
    const path = segments.map((segment) => ('text' in segment ? segment.text : `{${names[next++]}}`)).join('/');
    return { path: `/${path}`, parameters: fields.map((field, i) => ({ name: names[i]!, field })) };
  }
}

function operation(
  route: HttpRoute,
  operationId: string,
  path: readonly PathParameter[],
  schemas: Schemas,
  comments: Comments,
): Schema {
  const { rpc, body } = route;
  const text = comments(`${rpc.parent.typeName}.${rpc.name}`);
  const inPath = path.map(({ name, field }) => {
    const desc = fieldAt(rpc.input, field);
    const description = [name === field ? '' : `Fills \`${field}\`.`, desc && commentOf(desc, comments)];
    return {
      name,
      in: 'path',
      required: true,
      schema: (desc && schemas.parameter(desc)) ?? { type: 'string' },
      ...described(description.filter(Boolean).join(' ')),
    };
  });
  const taken = new Set(path.map(({ field }) => field));
  const inQuery = body === '*' ? [] : queryParameters(rpc.input, '', taken, schemas, comments, body);
  const parameters = [...inPath, ...inQuery];
  return {
    operationId,
    tags: [rpc.parent.name],
    ...(text === undefined ? {} : { summary: firstSentence(text), description: text }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === '' ? {} : { requestBody: requestBody(route, schemas) }),
    responses: responses(route, schemas),
    ...(rpc.deprecated ? { deprecated: true } : {}),
  };
}

function queryParameters(
  message: DescMessage,
  prefix: string,
  taken: ReadonlySet<string>,
  schemas: Schemas,
  comments: Comments,
  body: string,
): Schema[] {
  return message.fields.flatMap((field): Schema[] => {
    const name = prefix === '' ? field.name : `${prefix}.${field.name}`;
    if (taken.has(name) || name === body) return [];
    const schema = schemas.parameter(field);
    if (schema) return [{ name, in: 'query', schema, ...described(commentOf(field, comments)) }];
    // A list of messages, a map or a message of a message can't be written down as parameters.
    if (field.fieldKind !== 'message' || name.split('.').length >= deepest) return [];
    return field.message.typeName.startsWith('google.protobuf.')
      ? []
      : queryParameters(field.message, name, taken, schemas, comments, body);
  });
}

function requestBody({ rpc, body }: HttpRoute, schemas: Schemas): Schema {
  const field = body === '*' ? undefined : rpc.input.fields.find(({ name }) => name === body);
  const schema = schemas.message(field?.fieldKind === 'message' ? field.message : rpc.input);
  return {
    required: true,
    content: {
      'application/json': { schema },
      ...(body === '*' ? { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } : {}),
    },
  };
}

function responses({ rpc, responseBody }: HttpRoute, schemas: Schemas): Schema {
  const field = responseBody === '' ? undefined : rpc.output.fields.find(({ name }) => name === responseBody);
  const schema = schemas.message(field?.fieldKind === 'message' ? field.message : rpc.output);
  const streamed = {
    schema: {
      type: 'object',
      properties: { result: schema, error: { $ref: `#/components/schemas/${errorSchema}` } },
    },
  };
  const content =
    rpc.methodKind === 'server_streaming'
      ? { 'application/x-ndjson': streamed, 'text/event-stream': streamed }
      : {
          'application/json': { schema },
          'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
        };
  return {
    '200': { description: `\`${rpc.output.typeName}\``, content },
    default: {
      description: 'What was wrong, with the code of gRPC and the HTTP status that stands for it.',
      content: { 'application/json': { schema: { $ref: `#/components/schemas/${errorSchema}` } } },
    },
  };
}

const errorBodySchema: Schema = {
  type: 'object',
  properties: {
    code: { type: 'integer', format: 'int32', description: 'Of google.rpc.Code.' },
    message: { type: 'string' },
    error: { type: 'string', description: 'The message again.' },
    details: {
      type: 'array',
      items: { type: 'object', properties: { '@type': { type: 'string' } }, additionalProperties: true },
    },
  },
};

function fieldAt(message: DescMessage, path: string): DescField | undefined {
  const [first, ...rest] = path.split('.');
  const field = message.fields.find(({ name }) => name === first);
  if (!field || rest.length === 0) return field;
  return field.fieldKind === 'message' ? fieldAt(field.message, rest.join('.')) : undefined;
}

function commentOf(field: DescField, comments: Comments): string | undefined {
  return comments(`${field.parent.typeName}.${field.name}`);
}

function firstSentence(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  const end = line.search(/\. |\.$/);
  return (end < 0 ? line : line.slice(0, end)).replace(/^:ref:`[^`]*`/, '').slice(0, 120);
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
