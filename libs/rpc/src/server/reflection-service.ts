import {
  ServerReflectionService,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  type ServerReflectionServer,
} from '@aloft/idl/grpc/reflection/v1/reflection';
import { createFileRegistry, fromBinary, toBinary, type DescFile, type FileRegistry } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import type { ServiceDefinition } from '../definition.js';

/** Server reflection, v1 and v1alpha (the same messages on the wire), answered from a descriptor set. */
export function reflectionServices(
  descriptorSet: Uint8Array,
  services: () => readonly string[],
): [ServiceDefinition, ServerReflectionServer][] {
  // Made when the first client asks: most servers are never asked.
  let descriptors: DescriptorIndex | undefined;
  const implementation: ServerReflectionServer = {
    serverReflectionInfo: (call) => {
      call.on('data', (request: ServerReflectionRequest) => {
        descriptors ??= new DescriptorIndex(descriptorSet);
        call.write({
          validHost: request.host,
          originalRequest: request,
          messageResponse: answer(request, descriptors, services()),
        });
      });
      call.on('end', () => call.end());
    },
  };
  const alpha = {
    serverReflectionInfo: {
      ...ServerReflectionService.serverReflectionInfo,
      path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    },
  };
  return [
    [ServerReflectionService, implementation],
    [alpha, implementation],
  ];
}

type Answer = ServerReflectionResponse['messageResponse'];

function answer(
  { messageRequest: asked }: ServerReflectionRequest,
  descriptors: DescriptorIndex,
  services: readonly string[],
): Answer {
  switch (asked?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return descriptors.answer(descriptors.registry.getFile(asked.value), `no file "${asked.value}"`);
    case 'fileContainingSymbol':
      return descriptors.answer(descriptors.fileOf(asked.value), `no symbol "${asked.value}"`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = asked.value;
      const extension = descriptors.extensionsOf(containingType).find(({ number }) => number === extensionNumber);
      return descriptors.answer(extension?.file, `no extension ${extensionNumber} of "${containingType}"`);
    }
    case 'allExtensionNumbersOfType': {
      if (descriptors.registry.getMessage(asked.value) === undefined)
        return error(status.NOT_FOUND, `no message "${asked.value}"`);
      const extensionNumber = descriptors.extensionsOf(asked.value).map(({ number }) => number);
      return { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber } };
    }
    default:
      return error(status.INVALID_ARGUMENT, 'the request asks for nothing: set one of message_request');
  }
}

function error(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}

class DescriptorIndex {
  readonly registry: FileRegistry;
  private readonly encoded = new Map<string, Buffer>();

  constructor(descriptorSet: Uint8Array) {
    this.registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet));
  }

  /** The file that declares a symbol; of a field, rpc or enum value its parent's. */
  fileOf(symbol: string): DescFile | undefined {
    const dot = symbol.lastIndexOf('.');
    return (this.registry.get(symbol) ?? (dot > 0 ? this.registry.get(symbol.slice(0, dot)) : undefined))?.file;
  }

  extensionsOf(message: string): { number: number; file: DescFile }[] {
    return [...this.registry].flatMap((type) =>
      type.kind === 'extension' && type.extendee.typeName === message ? [{ number: type.number, file: type.file }] : [],
    );
  }

  /** The file with all that it imports, which every client takes and some demand. */
  answer(file: DescFile | undefined, missing: string): Answer {
    if (file === undefined) return error(status.NOT_FOUND, missing);
    const files = new Map<string, DescFile>();
    const visit = (one: DescFile) => {
      if (files.has(one.proto.name)) return;
      files.set(one.proto.name, one);
      one.dependencies.forEach(visit);
    };
    visit(file);
    return {
      $case: 'fileDescriptorResponse',
      value: { fileDescriptorProto: [...files.values()].map((one) => this.encode(one)) },
    };
  }

  private encode(file: DescFile): Buffer {
    const known = this.encoded.get(file.proto.name);
    if (known) return known;
    const bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto));
    this.encoded.set(file.proto.name, bytes);
    return bytes;
  }
}
