import {
  BooleanExpression,
  ComparisonExpression_Operator,
  ConjunctionExpression_LogicalOperator,
} from '@aloft/idl/flyteidl/core/condition';
import type { DeepPartial } from '@aloft/idl/flyteidl/core/workflow';
import { Binding as BindingMessage, BindingData, type Literal } from '@aloft/idl/flyteidl/core/literals';
import {
  ArrayNode_DataMode,
  ArrayNode_ExecutionMode,
  IfBlock,
  Node as NodeMessage,
  NodeMetadata,
  WorkflowMetadata_OnFailurePolicy,
  WorkflowTemplate,
} from '@aloft/idl/flyteidl/core/workflow';
import { entityBrand, type Workflow } from '../entities.js';
import { operandName, type Condition, type Operand } from '../graph/conditions.js';
import { sourcesOf, type Binding, type Node } from '../graph/node.js';
import { nameOf } from '../registry.js';
import { milliseconds, toProtoDuration } from '../types/durations.js';
import { identifierOf, type SerializeContext } from './context.js';
import { resourcesMessage, variables } from './task.js';

export async function workflowTemplate(workflow: Workflow, context: SerializeContext): Promise<WorkflowTemplate> {
  const definition = workflow[entityBrand];
  const graph = definition.graph();
  return WorkflowTemplate.fromPartial({
    id: identifierOf(workflow, context),
    metadata: {
      onFailure:
        definition.onFailure === 'finish-executable'
          ? WorkflowMetadata_OnFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
          : WorkflowMetadata_OnFailurePolicy.FAIL_IMMEDIATELY,
      tags: { ...definition.tags },
    },
    metadataDefaults: { interruptible: definition.interruptible ?? false },
    interface: { inputs: variables(definition.inputs), outputs: variables(definition.outputs) },
    nodes: await Promise.all(graph.nodes.map((node) => nodeMessage(node, context))),
    outputs: await bindings(graph.outputs, context),
    failureNode: graph.failureNode && (await nodeMessage(graph.failureNode, context)),
  });
}

export async function nodeMessage(node: Node, context: SerializeContext): Promise<NodeMessage> {
  const inputs = await bindings(node.inputs, context);
  const upstream = new Set([...Object.values(node.inputs).flatMap(sourcesOf), ...node.after]);
  return NodeMessage.fromPartial({
    id: node.id,
    metadata: metadataOf(node),
    inputs,
    upstreamNodeIds: [...upstream],
    target: await targetOf(node, inputs, context),
  });
}

function displayName(node: Node): string {
  if (node.options.name) return node.options.name;
  const { target } = node;
  switch (target.kind) {
    case 'task':
    case 'map':
      return nameOf(target.task);
    case 'workflow':
      return nameOf(target.workflow);
    case 'launchPlan':
      return nameOf(target.launchPlan);
    default:
      return target.kind;
  }
}

function metadataOf({ options, ...node }: Node): NodeMetadata {
  const { cache } = options;
  return NodeMetadata.fromPartial({
    name: displayName({ options, ...node }),
    timeout:
      options.timeout === undefined
        ? undefined
        : toProtoDuration(milliseconds(options.timeout, `timeout of ${node.id}`)),
    retries: options.retries === undefined ? undefined : { retries: options.retries },
    interruptibleValue:
      options.interruptible === undefined ? undefined : { $case: 'interruptible', value: options.interruptible },
    ...(cache === false
      ? { cacheableValue: { $case: 'cacheable' as const, value: false } }
      : cache && {
          cacheableValue: { $case: 'cacheable' as const, value: true },
          cacheVersionValue:
            cache.version === undefined ? undefined : { $case: 'cacheVersion' as const, value: cache.version },
          cacheSerializableValue:
            cache.serialize === undefined ? undefined : { $case: 'cacheSerializable' as const, value: cache.serialize },
        }),
  });
}

type TargetMessage = DeepPartial<NodeMessage>['target'];

async function targetOf(node: Node, inputs: BindingMessage[], context: SerializeContext): Promise<TargetMessage> {
  const { target, options } = node;
  const overrides = {
    resources: options.resources && resourcesMessage(options.resources),
    containerImage: options.image ?? '',
  };
  switch (target.kind) {
    case 'task':
      return {
        $case: 'taskNode',
        value: { reference: { $case: 'referenceId', value: identifierOf(target.task, context) }, overrides },
      };
    case 'workflow':
      return {
        $case: 'workflowNode',
        value: { reference: { $case: 'subWorkflowRef', value: identifierOf(target.workflow, context) } },
      };
    case 'launchPlan':
      return {
        $case: 'workflowNode',
        value: { reference: { $case: 'launchplanRef', value: identifierOf(target.launchPlan, context) } },
      };
    case 'map':
      return {
        $case: 'arrayNode',
        value: {
          node: {
            id: nameOf(target.task),
            metadata: metadataOf(node),
            inputs,
            upstreamNodeIds: [...new Set(Object.values(node.inputs).flatMap(sourcesOf))],
            target: {
              $case: 'taskNode',
              value: {
                reference: { $case: 'referenceId', value: identifierOf(target.task, context) },
                overrides,
              },
            },
          },
          parallelismOption: target.concurrency ? { $case: 'parallelism', value: target.concurrency } : undefined,
          successCriteria:
            target.minSuccesses === undefined
              ? { $case: 'minSuccessRatio', value: target.minSuccessRatio ?? 1 }
              : { $case: 'minSuccesses', value: target.minSuccesses },
          executionMode: ArrayNode_ExecutionMode.MINIMAL_STATE,
          // Each item is a call of the task like any other, with inputs of its own: the catalog knows it by the same key.
          dataMode: ArrayNode_DataMode.INDIVIDUAL_INPUT_FILES,
          isOriginalSubNodeInterface: true,
          boundInputs: [...target.bound],
        },
      };
    case 'branch': {
      const blocks = await Promise.all(
        target.cases.map(async (branch) =>
          IfBlock.fromPartial({
            condition: await expression(branch.condition, context),
            thenNode: await nodeMessage(branch.node, context),
          }),
        ),
      );
      return {
        $case: 'branchNode',
        value: {
          ifElse: {
            case: blocks[0],
            other: blocks.slice(1),
            default:
              'node' in target.otherwise
                ? { $case: 'elseNode', value: await nodeMessage(target.otherwise.node, context) }
                : { $case: 'error', value: { failedNodeId: node.id, message: target.otherwise.error } },
          },
        },
      };
    }
    case 'approve':
      return {
        $case: 'gateNode',
        value: { condition: { $case: 'approve', value: { signalId: target.signal } } },
      };
    case 'signal':
      return {
        $case: 'gateNode',
        value: {
          condition: {
            $case: 'signal',
            value: { signalId: target.signal, type: target.type.literalType, outputVariableName: 'value' },
          },
        },
      };
    case 'sleep':
      return {
        $case: 'gateNode',
        value: { condition: { $case: 'sleep', value: { duration: toProtoDuration(target.milliseconds) } } },
      };
  }
}

async function expression(condition: Condition, context: SerializeContext): Promise<BooleanExpression> {
  if (condition.kind !== 'comparison')
    return BooleanExpression.fromPartial({
      expr: {
        $case: 'conjunction',
        value: {
          operator:
            condition.kind === 'and'
              ? ConjunctionExpression_LogicalOperator.AND
              : ConjunctionExpression_LogicalOperator.OR,
          leftExpression: await expression(condition.left, context),
          rightExpression: await expression(condition.right, context),
        },
      },
    });
  return BooleanExpression.fromPartial({
    expr: {
      $case: 'comparison',
      value: {
        operator: ComparisonExpression_Operator[condition.operator],
        leftValue: await operandMessage(condition.left, context),
        rightValue: await operandMessage(condition.right, context),
      },
    },
  });
}

async function operandMessage(operand: Operand, context: SerializeContext) {
  if ('promise' in operand) return { val: { $case: 'var' as const, value: operandName(operand.promise) } };
  const literal = await operand.type.toLiteral(operand.value, context.transfer, 'a condition');
  const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  if (scalar?.$case !== 'primitive')
    throw new TypeError(`A condition compares with a ${operand.type.label}, which is no primitive.`);
  return { val: { $case: 'primitive' as const, value: scalar.value } };
}

export async function bindings(
  inputs: Readonly<Record<string, Binding>>,
  context: SerializeContext,
): Promise<BindingMessage[]> {
  return Promise.all(
    Object.keys(inputs)
      .sort()
      .map(async (name) =>
        BindingMessage.fromPartial({ var: name, binding: await bindingData(inputs[name]!, context, name) }),
      ),
  );
}

async function bindingData(binding: Binding, context: SerializeContext, path: string): Promise<BindingData> {
  switch (binding.kind) {
    case 'promise':
      return BindingData.fromPartial({
        value: {
          $case: 'promise',
          value: {
            nodeId: binding.promise.nodeId,
            var: binding.promise.output,
            attrPath: binding.promise.path.map((key) => ({
              value:
                typeof key === 'number'
                  ? { $case: 'intValue' as const, value: key }
                  : { $case: 'stringValue' as const, value: key },
            })),
          },
        },
      });
    case 'value':
      return literalBinding(await binding.expected.toLiteral(binding.value, context.transfer, path));
    case 'list':
      return BindingData.fromPartial({
        value: {
          $case: 'collection',
          value: {
            bindings: await Promise.all(
              binding.items.map((item, index) => bindingData(item, context, `${path}[${index}]`)),
            ),
          },
        },
      });
    case 'map': {
      const entries = await Promise.all(
        Object.entries(binding.entries).map(async ([key, item]) => [
          key,
          await bindingData(item, context, `${path}.${key}`),
        ]),
      );
      return BindingData.fromPartial({
        value: { $case: 'map', value: { bindings: Object.fromEntries(entries) } },
      });
    }
  }
}

function literalBinding(literal: Literal): BindingData {
  switch (literal.value?.$case) {
    case 'scalar':
      return BindingData.fromPartial({ value: { $case: 'scalar', value: literal.value.value } });
    case 'collection':
      return BindingData.fromPartial({
        value: { $case: 'collection', value: { bindings: literal.value.value.literals.map(literalBinding) } },
      });
    case 'map':
      return BindingData.fromPartial({
        value: {
          $case: 'map',
          value: {
            bindings: Object.fromEntries(
              Object.entries(literal.value.value.literals).map(([key, item]) => [key, literalBinding(item)]),
            ),
          },
        },
      });
    default:
      return BindingData.create();
  }
}

/** Sub-workflows that a graph runs inline, at any depth, each once. */
export function subWorkflows(workflow: Workflow): Workflow[] {
  const found = new Set<Workflow>();
  const visit = (current: Workflow): void => {
    for (const inner of directSubWorkflows(current[entityBrand].graph().nodes))
      if (!found.has(inner)) {
        found.add(inner);
        visit(inner);
      }
  };
  visit(workflow);
  return [...found];
}

export function directSubWorkflows(nodes: readonly Node[]): Workflow[] {
  return nodes.flatMap(({ target }) => {
    if (target.kind === 'workflow') return [target.workflow];
    if (target.kind !== 'branch') return [];
    return directSubWorkflows([
      ...target.cases.map((branch) => branch.node),
      ...('node' in target.otherwise ? [target.otherwise.node] : []),
    ]);
  });
}
