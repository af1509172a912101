// What nodes are called: in the workflow's compiled closure, which a snapshot does not repeat.
import { encode, getJson } from './dom.js';

/** The last part of a dotted name, without what flytekit adds to maps: `module.map_task_<hash>-arraynode` is `map_task`. */
export const short = (name) =>
  name
    ?.split('.')
    .at(-1)
    .replace(/_[0-9a-f]{32}(-arraynode)?$/, '');

const keyOf = ({ project, domain, name, version }) => [project, domain, name, version].join('\n');

/** The nodes of a workflow by id, those of its branches too. */
function nodesOf(template) {
  const nodes = new Map();
  const walk = (node) => {
    nodes.set(node.id, node);
    const cases = node.branch_node?.if_else;
    if (!cases) return;
    for (const { then_node: then } of [cases.case, ...(cases.other ?? [])]) if (then) walk(then);
    if (cases.else_node) walk(cases.else_node);
  };
  template.nodes.forEach(walk);
  if (template.failure_node) walk(template.failure_node);
  return nodes;
}

/** Resolves to a function of a node of a run (`label`, `parent`) and of how to find another, to its name if the closure has it. */
export async function loadNames({ project, domain, name, version }) {
  const { closure } = await getJson(`workflows/${encode(project, domain, name, version)}`);
  const { primary, sub_workflows: subs } = closure.compiled_workflow;
  const workflows = new Map((subs ?? []).map(({ template }) => [keyOf(template.id), nodesOf(template)]));
  const top = nodesOf(primary.template);
  const within = (node, find) => {
    if (!node) return top;
    const around = within(find(node.parent), find);
    const spec = around?.get(node.label);
    if (spec?.branch_node) return around;
    const sub = spec?.workflow_node?.sub_workflow_ref;
    return sub ? workflows.get(keyOf(sub)) : undefined;
  };
  return (node, find) => {
    const spec = within(find(node.parent), find)?.get(node.label);
    const { launchplan_ref: plan, sub_workflow_ref: sub } = spec?.workflow_node ?? {};
    const entity = spec?.task_node?.reference_id ?? plan ?? sub;
    return short(spec?.metadata?.name || entity?.name);
  };
}
