import { getOption, hasOption, type DescMethod, type Message, type Registry } from '@bufbuild/protobuf';

/** One HTTP binding of an rpc. */
export interface HttpRoute {
  /** Upper case. */
  verb: string;
  /** `/api/v1/tasks/{id.project}` as its segments: text, or the field that a segment fills. */
  segments: readonly Segment[];
  rpc: DescMethod;
  /** `/flyteidl.service.AdminService/CreateTask`. */
  path: string;
  /** `*`: the whole request; a field; none: everything is in path and query. */
  body: string;
  /** Field that is the answer; empty = all of it. */
  responseBody: string;
}

export type Segment = { text: string } | { field: string };

/** As much of `google.api.HttpRule` as is used; its field numbers are the registry's business. */
interface HttpRule extends Message {
  pattern: { case?: string; value?: string | { kind: string; path: string } };
  body: string;
  /** Absent in older versions of http.proto. */
  responseBody?: string;
  additionalBindings: HttpRule[];
}

/** All routes that `google.api.http` gives the rpcs of the services, additional bindings included. */
export function httpRoutes(registry: Registry, services: readonly string[]): HttpRoute[] {
  const extension = registry.getExtension('google.api.http');
  if (!extension) throw new Error('the descriptor set has no google.api.http');
  return services.flatMap((name) => {
    const service = registry.getService(name);
    if (!service) throw new Error(`the descriptor set has no service ${name}`);
    return service.methods.flatMap((rpc) => {
      if (!rpc.proto.options || !hasOption(rpc, extension)) return [];
      const rule = getOption(rpc, extension) as HttpRule;
      return [rule, ...rule.additionalBindings].map((one) => routeOf(one, rpc));
    });
  });
}

/** A route that is not in the annotations: `routeFor(registry, 'GET /api/v1/watch/{id.name}', 'aloft.v1.WatchService/…')`. */
export function routeFor(registry: Registry, pattern: string, rpc: string, body = ''): HttpRoute {
  const [verb = '', path = ''] = pattern.split(' ');
  const [serviceName = '', methodName] = rpc.split('/');
  const method = registry.getService(serviceName)?.methods.find(({ name }) => name === methodName);
  if (!method) throw new Error(`the descriptor set has no rpc ${rpc}`);
  return { verb, segments: segmentsOf(path), rpc: method, path: pathOf(method), body, responseBody: '' };
}

function routeOf({ pattern, body, responseBody }: HttpRule, rpc: DescMethod): HttpRoute {
  const custom = typeof pattern.value === 'object' ? pattern.value : undefined;
  const verb = (custom?.kind ?? pattern.case ?? '').toUpperCase();
  const template = custom?.path ?? (pattern.value as string);
  return { verb, segments: segmentsOf(template), rpc, path: pathOf(rpc), body, responseBody: responseBody ?? '' };
}

function pathOf(rpc: DescMethod): string {
  return `/${rpc.parent.typeName}/${rpc.name}`;
}

function segmentsOf(template: string): Segment[] {
  return template
    .slice(1)
    .split('/')
    .map((segment) => {
      const [, field] = /^\{([\w.]+)\}$/.exec(segment) ?? [];
      if (field !== undefined) return { field };
      if (/[{}*:]/.test(segment)) throw new Error(`the path template ${template} is of a kind that is not supported`);
      return { text: segment };
    });
}
