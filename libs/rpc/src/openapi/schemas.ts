import { ScalarType, type DescEnum, type DescField, type DescMessage } from '@bufbuild/protobuf';

/** A JSON schema as OpenAPI 3.0 has it. */
export type Schema = { [key: string]: unknown };

/** Of a full name of the proto files; undefined: nobody wrote one. */
export type Comments = (name: string) => string | undefined;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const anything: Schema = { description: 'Any JSON value.' };

/** What the well-known types are in canonical JSON. */
const wellKnown: Readonly<Record<string, Schema>> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?\\d+(\\.\\d{1,9})?s$', example: '3.5s' },
  'google.protobuf.FieldMask': { type: 'string' },
  'google.protobuf.Empty': { type: 'object' },
  'google.protobuf.Struct': { type: 'object', additionalProperties: true },
  'google.protobuf.Value': anything,
  'google.protobuf.ListValue': { type: 'array', items: anything },
  'google.protobuf.Any': {
    type: 'object',
    properties: { '@type': { type: 'string' } },
    additionalProperties: true,
  },
  'google.protobuf.DoubleValue': { type: 'number', format: 'double' },
  'google.protobuf.FloatValue': { type: 'number', format: 'float' },
  'google.protobuf.Int64Value': { type: 'string', format: 'int64' },
  'google.protobuf.UInt64Value': { type: 'string', format: 'uint64' },
  'google.protobuf.Int32Value': { type: 'integer', format: 'int32' },
  'google.protobuf.UInt32Value': { type: 'integer', format: 'int64' },
  'google.protobuf.BoolValue': { type: 'boolean' },
  'google.protobuf.StringValue': { type: 'string' },
  'google.protobuf.BytesValue': { type: 'string', format: 'byte' },
};

interface Element {
  message: DescMessage | undefined;
  enum: DescEnum | undefined;
  scalar: ScalarType | undefined;
}

/** The JSON of messages, as the gateway reads and writes it, under `#/components/schemas`. */
export class Schemas {
  /** By full name of the message or enum. */
  readonly components: Record<string, Schema> = {};

  constructor(private readonly comments: Comments) {}

  /** A reference, or the schema itself of a well-known type. */
  message(desc: DescMessage): Schema {
    const known = wellKnown[desc.typeName];
    if (known) return { ...known };
    if (!(desc.typeName in this.components)) {
      const schema: Schema = { type: 'object', ...described(this.comments(desc.typeName)) };
      // Before its fields: they may hold it themselves.
      this.components[desc.typeName] = schema;
      const properties = desc.fields.map((field) => [field.name, this.property(field)] as const);
      if (properties.length > 0) schema.properties = Object.fromEntries(properties);
    }
    return ref(desc.typeName);
  }

  /** A parameter: a scalar, an enum or a list of these; undefined: the field can't be one. */
  parameter(field: DescField): Schema | undefined {
    switch (field.fieldKind) {
      case 'scalar':
        return scalar(field.scalar);
      case 'enum':
        return this.enumeration(field.enum);
      case 'message':
        return isText(field.message) ? { ...wellKnown[field.message.typeName] } : undefined;
      case 'list':
        if (field.listKind === 'message') return undefined;
        return {
          type: 'array',
          items: field.listKind === 'enum' ? this.enumeration(field.enum) : scalar(field.scalar),
        };
      case 'map':
        return undefined;
    }
  }

  private property(field: DescField): Schema {
    const schema = this.ofField(field);
    const text = this.comments(`${field.parent.typeName}.${field.name}`);
    const oneof = field.oneof ? `At most one of \`${field.oneof.name}\` is set.` : '';
    const description = [text, oneof].filter(Boolean).join('\n\n');
    // An unset message is null in answers; next to a $ref nothing else counts.
    if (field.fieldKind === 'message' && field.oneof === undefined)
      return { ...('$ref' in schema ? { allOf: [schema] } : schema), nullable: true, ...described(description) };
    return '$ref' in schema && description !== ''
      ? { allOf: [schema], ...described(description) }
      : { ...schema, ...described(description) };
  }

  private ofField(field: DescField): Schema {
    switch (field.fieldKind) {
      case 'scalar':
        return scalar(field.scalar);
      case 'enum':
        return this.enumeration(field.enum);
      case 'message':
        return this.message(field.message);
      case 'list':
        return { type: 'array', items: this.element(field) };
      case 'map':
        return { type: 'object', additionalProperties: this.element(field) };
    }
  }

  /** Of a list or a map: exactly one of its kinds is set. */
  private element(of: Element): Schema {
    if (of.message) return this.message(of.message);
    return of.enum ? this.enumeration(of.enum) : scalar(of.scalar as ScalarType);
  }

  private enumeration(desc: DescEnum): Schema {
    if (desc.typeName === 'google.protobuf.NullValue') return { nullable: true, enum: [null] };
    this.components[desc.typeName] ??= {
      type: 'string',
      enum: desc.values.map(({ name }) => name),
      default: desc.values[0]?.name,
      ...described(
        [
          this.comments(desc.typeName),
          ...desc.values.flatMap(({ name }) => {
            const text = this.comments(`${desc.typeName}.${name}`);
            return text === undefined ? [] : [`- ${name}: ${text}`];
          }),
        ]
          .filter(Boolean)
          .join('\n\n'),
      ),
    };
    return ref(desc.typeName);
  }
}

export function described(description: string | undefined): Schema {
  return description ? { description } : {};
}

function isText({ typeName }: DescMessage): boolean {
  const type = wellKnown[typeName]?.['type'];
  return type === 'string' || type === 'number' || type === 'integer' || type === 'boolean';
}

function scalar(type: ScalarType): Schema {
  switch (type) {
    case ScalarType.STRING:
      return { type: 'string' };
    case ScalarType.BYTES:
      return { type: 'string', format: 'byte' };
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.DOUBLE:
      return { type: 'number', format: 'double' };
    case ScalarType.FLOAT:
      return { type: 'number', format: 'float' };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: 'integer', format: 'int32' };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: 'integer', format: 'int64', minimum: 0 };
    // JSON's numbers don't hold them.
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: 'string', format: 'uint64' };
    default:
      return { type: 'string', format: 'int64' };
  }
}
