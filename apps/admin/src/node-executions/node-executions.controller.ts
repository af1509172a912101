import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  DynamicNodeWorkflowResponse,
  GetDynamicNodeWorkflowRequest,
  NodeExecution,
  NodeExecutionForTaskListRequest,
  NodeExecutionGetDataRequest,
  NodeExecutionGetDataResponse,
  NodeExecutionGetRequest,
  NodeExecutionList,
  NodeExecutionListRequest,
} from '@aloft/idl/flyteidl/admin/node_execution';
import { Inject } from '@nestjs/common';
import { NodeExecutionsService } from './node-executions.service.js';

type Served =
  | 'getNodeExecution'
  | 'getDynamicNodeWorkflow'
  | 'listNodeExecutions'
  | 'listNodeExecutionsForTask'
  | 'getNodeExecutionData';

@GrpcController(AdminServiceService)
export class NodeExecutionsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(NodeExecutionsService) private readonly nodes: NodeExecutionsService) {}

  getNodeExecution({ id }: NodeExecutionGetRequest): Promise<NodeExecution> {
    return this.nodes.get(id);
  }

  getDynamicNodeWorkflow({ id }: GetDynamicNodeWorkflowRequest): Promise<DynamicNodeWorkflowResponse> {
    return this.nodes.getDynamicWorkflow(id);
  }

  listNodeExecutions(request: NodeExecutionListRequest): Promise<NodeExecutionList> {
    return this.nodes.list(request);
  }

  listNodeExecutionsForTask(request: NodeExecutionForTaskListRequest): Promise<NodeExecutionList> {
    return this.nodes.listForTask(request);
  }

  getNodeExecutionData({ id }: NodeExecutionGetDataRequest): Promise<NodeExecutionGetDataResponse> {
    return this.nodes.getData(id);
  }
}
