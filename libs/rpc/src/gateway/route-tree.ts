import type { HttpRoute } from './http-rules.js';

export interface RouteMatch {
  route: HttpRoute;
  /** Values of the path's fields, decoded, by field path. */
  params: [string, string][];
}

interface Node {
  texts: Map<string, Node>;
  any: Node | undefined;
  routes: Map<string, HttpRoute>;
}

/** Finds the route of a path, segment by segment; text is preferred to a field. */
export class RouteTree {
  private readonly root = newNode();

  constructor(routes: readonly HttpRoute[]) {
    for (const route of routes) this.add(route);
  }

  /** The match; or, where only the verb is wrong, those that are right; or nothing. */
  find(verb: string, path: string): RouteMatch | { allowed: string[] } | undefined {
    const segments = path.slice(1).split('/');
    const node = walk(this.root, segments, 0, verb) ?? walk(this.root, segments, 0, undefined);
    if (!node) return undefined;
    const route = node.routes.get(verb);
    if (!route) return { allowed: [...node.routes.keys()] };
    const params = route.segments.flatMap((segment, i): [string, string][] =>
      'field' in segment ? [[segment.field, decodeURIComponent(segments[i]!)]] : [],
    );
    return { route, params };
  }

  private add(route: HttpRoute): void {
    let node = this.root;
    for (const segment of route.segments)
      if ('field' in segment) node = node.any ??= newNode();
      else {
        let next = node.texts.get(segment.text);
        if (!next) node.texts.set(segment.text, (next = newNode()));
        node = next;
      }
    const taken = node.routes.get(route.verb);
    if (taken) throw new Error(`${route.verb} leads to both ${taken.path} and ${route.path}`);
    node.routes.set(route.verb, route);
  }
}

/** `verb` undefined: any. */
function walk(node: Node, segments: readonly string[], at: number, verb: string | undefined): Node | undefined {
  if (at === segments.length)
    return (verb === undefined ? node.routes.size > 0 : node.routes.has(verb)) ? node : undefined;
  const segment = segments[at]!;
  const exact = node.texts.get(segment);
  const found = exact && walk(exact, segments, at + 1, verb);
  if (found) return found;
  return node.any && segment !== '' ? walk(node.any, segments, at + 1, verb) : undefined;
}

function newNode(): Node {
  return { texts: new Map(), any: undefined, routes: new Map() };
}
