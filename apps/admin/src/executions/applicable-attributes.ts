import { LRUCache } from 'lru-cache';
import type { AttributeScope } from '../attributes/attributes.repository.js';
import type { AttributesService } from '../attributes/attributes.service.js';
import type { SettingSources } from './setting-sources.js';

type Attributes = Pick<
  SettingSources,
  | 'configs'
  | 'taskResources'
  | 'pluginOverrides'
  | 'clusterLabels'
  | 'clusterAssignments'
  | 'clusterResources'
  | 'queueTags'
  | 'qualityOfService'
>;

/** By the rows that they follow from and the launch plan: most runs are of few launch plans. */
const known = new WeakMap<object, LRUCache<string, Attributes>>();
const maxKnown = 1000;

/** Whatever attributes and configuration say of a run of this launch plan (A-90, A-91, S-20). Not to be changed: runs share it. */
export async function attributesOf(attributes: AttributesService, scope: AttributeScope): Promise<Attributes> {
  const rows = await attributes.rowsOf(scope);
  if (!rows) return applying(attributes, scope);
  let ofRows = known.get(rows);
  if (!ofRows) known.set(rows, (ofRows = new LRUCache({ max: maxKnown })));
  const key = `${scope.domain}\n${scope.workflow}\n${scope.launchPlan}`;
  const found = ofRows.get(key);
  if (found) return found;
  const made = await applying(attributes, scope);
  ofRows.set(key, made);
  return made;
}

async function applying(attributes: AttributesService, scope: AttributeScope): Promise<Attributes> {
  const ofProject = { ...scope, domain: '', workflow: '', launchPlan: '' };
  const [nearest, ofItsProject, ...others] = await Promise.all([
    attributes.stored('workflowExecutionConfig', scope),
    attributes.stored('workflowExecutionConfig', ofProject),
    attributes.levels('taskResourceAttributes', scope),
    attributes.levels('pluginOverrides', scope),
    attributes.levels('executionClusterLabel', scope),
    attributes.levels('clusterAssignment', scope),
    attributes.levels('clusterResourceAttributes', scope),
    attributes.levels('executionQueueAttributes', scope),
    attributes.levels('qualityOfService', scope),
  ]);
  const [taskResources, pluginOverrides, clusterLabels, clusterAssignments, clusterResources, queueTags, quality] =
    others;
  return {
    configs: [
      ...nearest.slice(0, 1),
      ...ofItsProject.slice(0, 1),
      ...attributes.defaults('workflowExecutionConfig', scope),
    ],
    taskResources,
    pluginOverrides,
    clusterLabels,
    clusterAssignments,
    clusterResources,
    queueTags,
    qualityOfService: quality,
  };
}
