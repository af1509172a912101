import { GrpcController, type Handlers } from '@aloft/rpc';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import type {
  TaskExecution,
  TaskExecutionGetDataRequest,
  TaskExecutionGetDataResponse,
  TaskExecutionGetRequest,
  TaskExecutionList,
  TaskExecutionListRequest,
} from '@aloft/idl/flyteidl/admin/task_execution';
import { Inject } from '@nestjs/common';
import { TaskExecutionsService } from './task-executions.service.js';

type Served = 'getTaskExecution' | 'listTaskExecutions' | 'getTaskExecutionData';

@GrpcController(AdminServiceService)
export class TaskExecutionsController implements Pick<Handlers<typeof AdminServiceService>, Served> {
  constructor(@Inject(TaskExecutionsService) private readonly tasks: TaskExecutionsService) {}

  getTaskExecution({ id }: TaskExecutionGetRequest): Promise<TaskExecution> {
    return this.tasks.get(id);
  }

  listTaskExecutions(request: TaskExecutionListRequest): Promise<TaskExecutionList> {
    return this.tasks.list(request);
  }

  getTaskExecutionData({ id }: TaskExecutionGetDataRequest): Promise<TaskExecutionGetDataResponse> {
    return this.tasks.getData(id);
  }
}
