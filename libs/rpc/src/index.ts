export * from './call-context.js';
export * from './client/create-client.js';
export * from './controller.js';
export * from './definition.js';
export { connectGrpc, NestGrpcTransport } from './server/nest-transport.js';
export { type Dispatcher, type IncomingCall } from './server/call-pipeline.js';
export { RpcServer, type RpcServerOptions } from './server/rpc-server.js';
export { fromServiceError, toStatus } from './status.js';
