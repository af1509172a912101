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

/** Whatever attributes and configuration say of a run of this launch plan (A-90, A-91, S-20). */
export async function attributesOf(attributes: AttributesService, scope: AttributeScope): Promise<Attributes> {
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
