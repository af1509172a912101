import { Controller } from '@nestjs/common';
import { GrpcMethod } from '@nestjs/microservices';
import { serviceName, type ServiceDefinition } from './definition.js';

/**
 * A Nest controller for rpcs of a ts-proto service: each of its methods that is named like an rpc (camel case) answers that
 * rpc, with `(request, call: CallContext)`. Several controllers may share a service.
 */
export function GrpcController(...definitions: ServiceDefinition[]): ClassDecorator {
  return (target) => {
    Controller()(target);
    const prototype = target.prototype as object;
    let found = 0;
    for (const definition of definitions)
      for (const name of Object.keys(definition)) {
        const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
        if (typeof descriptor?.value !== 'function') continue;
        GrpcMethod(serviceName(definition), name)(prototype, name, descriptor);
        found++;
      }
    if (found === 0) throw new Error(`${target.name} has no method named like an rpc of its services`);
  };
}
