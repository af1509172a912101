import { createHash } from 'node:crypto';
import type { RegisterJobDefinitionCommandInput } from '@aws-sdk/client-batch';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Secret } from '@aloft/idl/flyteidl/core/security';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { NoPlace } from '../jobs/no-place.js';
import type { AwsBatchOptions, Platform } from '../options.js';
import { isAllowedRole, namesOfRoles } from './roles.js';

/** What of an attempt only a job definition can say; command, environment and resources are said at each submit. */
export interface DefinitionNeed {
  name: string;
  input: RegisterJobDefinitionCommandInput;
}

/** The definition for an attempt: the same name for the same need, in every process. A string says what is wrong with what is asked for. */
export function definitionNeed(
  launch: LaunchTask,
  platform: Platform,
  options: Pick<AwsBatchOptions, 'roles' | 'secretArn' | 'logGroup' | 'fargate' | 'region'>,
): DefinitionNeed | NoPlace | string {
  const image = launch.template?.target?.$case === 'container' ? launch.template.target.value.image : '';
  if (image === '') return 'The task has no container image.';
  const role = jobRole(launch, options.roles);
  if (role instanceof NoPlace) return role;
  const secrets = secretsOf(launch, options);
  if (typeof secrets === 'string') return secrets;
  const { execution } = options.roles;
  const fargate = platform === 'FARGATE';
  if (execution === undefined && (fargate || secrets.length > 0))
    return `${fargate ? 'Fargate' : 'A secret'} needs an execution role: set backends.awsBatch.roles.execution.`;
  const properties = {
    image,
    ...(role === undefined ? {} : { jobRoleArn: role }),
    ...(execution === undefined ? {} : { executionRoleArn: execution }),
    // Each submit says its own.
    resourceRequirements: [
      { type: 'VCPU' as const, value: '1' },
      { type: 'MEMORY' as const, value: '2048' },
    ],
    ...(secrets.length > 0 ? { secrets } : {}),
    logConfiguration: {
      logDriver: 'awslogs' as const,
      options: { 'awslogs-group': options.logGroup, 'awslogs-region': options.region },
    },
    ...(fargate
      ? {
          networkConfiguration: {
            assignPublicIp: options.fargate.assignPublicIp ? ('ENABLED' as const) : ('DISABLED' as const),
          },
          runtimePlatform: { operatingSystemFamily: 'LINUX', cpuArchitecture: options.fargate.architecture },
        }
      : {}),
  };
  const what = { type: 'container' as const, platformCapabilities: [platform], containerProperties: properties };
  const name = `aloft-${readable(image)}-${createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 20)}`;
  return { name, input: { jobDefinitionName: name, ...what, tags: { 'aloft:definition': '1' } } };
}

/** `repository/team/train:v3` as `train`. */
const readable = (image: string): string =>
  (image.split('/').at(-1) ?? '')
    .replace(/[:@].*$/, '')
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 40) || 'image';

function jobRole({ securityContext }: LaunchTask, roles: AwsBatchOptions['roles']): string | undefined | NoPlace {
  const asked = securityContext?.runAs?.iamRole ?? '';
  if (asked === '') return roles.default;
  if (isAllowedRole(asked, roles)) return asked;
  return new NoPlace(
    `The run asks for the IAM role "${asked}", which is not allowed on AWS Batch; allowed are ${namesOfRoles(roles)} (backends.awsBatch.roles).`,
  );
}

function secretsOf(
  { attempt, securityContext, template }: LaunchTask,
  { secretArn }: Pick<AwsBatchOptions, 'secretArn'>,
): { name: string; valueFrom: string }[] | string {
  const wanted = [...(securityContext?.secrets ?? []), ...(template?.securityContext?.secrets ?? [])];
  const found = new Map<string, string>();
  for (const secret of wanted) {
    const { group, key, mountRequirement, envVar } = secret;
    const title = [group, key].filter(Boolean).join('/');
    if (secretArn === undefined)
      return `The task asks for the secret "${title}": set backends.awsBatch.secretArn to where AWS Batch finds secrets.`;
    if (mountRequirement === Secret_MountType.FILE)
      return `The task asks for the secret "${title}" as a file, which AWS Batch has not: ask for it as a variable.`;
    const { project = '', domain = '' } = attempt?.execution ?? {};
    const values: Record<string, string> = { project, domain, group, key };
    const arn = secretArn.replace(/\{\{(project|domain|group|key)\}\}/g, (_, name: string) => values[name] ?? '');
    found.set(secretVariable(secret), arn);
    if (envVar) found.set(envVar, arn);
  }
  return [...found].map(([name, valueFrom]) => ({ name, valueFrom })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** As flytekit looks for it. */
const secretVariable = ({ group, key }: Secret): string =>
  `_FSEC_${[group, key].filter(Boolean).join('_').toUpperCase()}`;
