import { GrpcController, type CallContext, type Handlers } from '@aloft/rpc';
import {
  NodeControlServiceService,
  type CancelNodeRequest,
  type DescribeNodeRequest,
  type DescribeNodeResponse,
  type ListRevisionsRequest,
  type ListRevisionsResponse,
  type NodeControlResponse,
  type RerunNodeRequest,
  type RetryNodeRequest,
  type SetNodeOutputsRequest,
} from '@aloft/idl/aloft/v1/control';
import { Inject } from '@nestjs/common';
import { NodeControlService } from './node-control.service.js';

@GrpcController(NodeControlServiceService)
export class NodeControlController implements Handlers<typeof NodeControlServiceService> {
  constructor(@Inject(NodeControlService) private readonly nodes: NodeControlService) {}

  cancelNode(request: CancelNodeRequest, call: CallContext): Promise<NodeControlResponse> {
    return this.nodes.cancel(request, call.principal.subject, call.signal);
  }

  retryNode(request: RetryNodeRequest, call: CallContext): Promise<NodeControlResponse> {
    return this.nodes.retry(request, call.principal.subject, call.signal);
  }

  setNodeOutputs(request: SetNodeOutputsRequest, call: CallContext): Promise<NodeControlResponse> {
    return this.nodes.setOutputs(request, call.principal.subject, call.signal);
  }

  rerunNode(request: RerunNodeRequest, call: CallContext): Promise<NodeControlResponse> {
    return this.nodes.rerun(request, call.principal.subject, call.signal);
  }

  describeNode(request: DescribeNodeRequest): Promise<DescribeNodeResponse> {
    return this.nodes.describe(request);
  }

  listRevisions(request: ListRevisionsRequest): Promise<ListRevisionsResponse> {
    return this.nodes.listRevisions(request);
  }
}
