import { requestOf, limitsOf, formatBytes } from '@aloft/backend-kit';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { AwsBatchOptions, Platform } from '../options.js';
import { NoPlace } from './no-place.js';

/** What a job is given, in Batch's units. */
export interface JobResources {
  /** As Batch takes it: whole numbers on EC2, steps of Fargate's. */
  vcpu: string;
  memoryMiB: number;
  gpu: number;
}

const mebibyte = 2 ** 20;

/** Fargate's sizes: memory in MiB from, to, in steps, by vCPU. */
const fargateSizes = [
  { vcpu: 0.25, memory: [512, 1024, 2048] },
  { vcpu: 0.5, memory: range(1024, 4096, 1024) },
  { vcpu: 1, memory: range(2048, 8192, 1024) },
  { vcpu: 2, memory: range(4096, 16384, 1024) },
  { vcpu: 4, memory: range(8192, 30720, 1024) },
  { vcpu: 8, memory: range(16384, 61440, 4096) },
  { vcpu: 16, memory: range(32768, 122880, 8192) },
] as const;

/**
 * What an attempt asks for (S-27), rounded up to what Batch takes: whole vCPUs on EC2; on Fargate the smallest size that has enough of both. Memory is
 * a hard limit with Batch, therefore the task's limit where it has one. A string says what is wrong, and what would be right.
 */
export function jobResources(
  launch: LaunchTask,
  platform: Platform,
  defaults: AwsBatchOptions['defaults'],
): JobResources | NoPlace {
  const { milliCpu, memoryBytes, gpu } = requestOf(launch);
  const memory = limitsOf(launch).memoryBytes ?? (memoryBytes || defaults.memoryBytes);
  const cpu = milliCpu === 0 ? defaults.cpu : milliCpu / 1000;
  const memoryMiB = Math.max(4, Math.ceil(memory / mebibyte));
  if (platform === 'FARGATE') return fargate({ cpu, memoryMiB, gpu });
  return { vcpu: String(Math.max(1, Math.ceil(cpu))), memoryMiB, gpu };
}

function fargate({ cpu, memoryMiB, gpu }: { cpu: number; memoryMiB: number; gpu: number }): JobResources | NoPlace {
  if (gpu > 0) return new NoPlace('The task asks for a GPU, which Fargate has none of: send it to a queue on EC2.');
  for (const { vcpu, memory } of fargateSizes) {
    const fitting = vcpu >= cpu ? memory.find((mebibytes) => mebibytes >= memoryMiB) : undefined;
    if (fitting !== undefined) return { vcpu: String(vcpu), memoryMiB: fitting, gpu: 0 };
  }
  const asked = `${cpu} cpu and ${formatBytes(memoryMiB * mebibyte)} of memory`;
  return new NoPlace(
    `The task asks for ${asked}, more than Fargate has (16 cpu, 120Gi): ask for less, or send it to a queue on EC2.`,
  );
}

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: (to - from) / step + 1 }, (_, i) => from + i * step);
}

/** As SubmitJob takes them. */
export function resourceRequirements({ vcpu, memoryMiB, gpu }: JobResources) {
  return [
    { type: 'VCPU' as const, value: vcpu },
    { type: 'MEMORY' as const, value: String(memoryMiB) },
    ...(gpu > 0 ? [{ type: 'GPU' as const, value: String(gpu) }] : []),
  ];
}
