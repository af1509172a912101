import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Who runs an execution: this platform, or somebody else who tells by events (A-60…A-62). */
export type ExecutionEngineName = 'ALOFT' | 'EXTERNAL';

/** Rows of the registry's tables, as TypeORM maps them. `id` is assigned by Postgres and only breaks ties. */

@Entity('projects')
export class ProjectRow {
  @PrimaryColumn('text') org!: string;
  @PrimaryColumn('text') identifier!: string;
  @Column('text') name!: string;
  @Column('text') description!: string;
  @Column('jsonb') labels!: Record<string, string>;
  @Column('smallint') state!: number;
  /** Who runs its executions (`ALOFT`, `EXTERNAL`); null: the installation's configuration says. */
  @Column({ type: 'text', nullable: true, insert: false }) engine!: ExecutionEngineName | null;
  @Column({ type: 'timestamptz', name: 'created_at', insert: false, update: false }) createdAt!: Date;
  @Column({ type: 'timestamptz', name: 'updated_at', insert: false }) updatedAt!: Date;
}

abstract class VersionedRow {
  @PrimaryColumn('text') org!: string;
  @PrimaryColumn('text') project!: string;
  @PrimaryColumn('text') domain!: string;
  @PrimaryColumn('text') name!: string;
  @PrimaryColumn('text') version!: string;
  @Column('bytea') digest!: Buffer;
  @Column('text', { name: 'short_description' }) shortDescription!: string;
  @Column({ type: 'timestamptz', name: 'created_at', insert: false, update: false }) createdAt!: Date;
  @Column({ type: 'timestamptz', name: 'updated_at', insert: false }) updatedAt!: Date;
}

@Entity('tasks')
export class TaskRow extends VersionedRow {
  @Column('text') type!: string;
  /** The TaskSpec as it was sent. */
  @Column('bytea') spec!: Buffer;
  /** CompiledTask. */
  @Column('bytea') compiled!: Buffer;
  /** TypedInterface. */
  @Column('bytea') interface!: Buffer;
}

@Entity('workflows')
export class WorkflowRow extends VersionedRow {
  /** The WorkflowSpec as it was sent. */
  @Column('bytea') spec!: Buffer;
  @Column('bytea') interface!: Buffer;
  @Column('bytea', { name: 'quality_of_service', nullable: true }) qualityOfService!: Buffer | null;
  /** The CompiledWorkflowClosure if it is small; read where it is needed only. */
  @Column('bytea', { nullable: true, select: false }) closure!: Buffer | null;
  /** Where it lies otherwise, or once an engine needs it, and the SHA-256 of its bytes. */
  @Column('text', { name: 'closure_uri' }) closureUri!: string;
  @Column('bytea', { name: 'closure_digest' }) closureDigest!: Buffer;
}

@Entity('launch_plans')
export class LaunchPlanRow extends VersionedRow {
  @Column('text', { name: 'workflow_project' }) workflowProject!: string;
  @Column('text', { name: 'workflow_domain' }) workflowDomain!: string;
  @Column('text', { name: 'workflow_name' }) workflowName!: string;
  @Column('text', { name: 'workflow_version' }) workflowVersion!: string;
  /** The LaunchPlanSpec as it was sent. */
  @Column('bytea') original!: Buffer;
  /** The spec with the merged inputs. */
  @Column('bytea') spec!: Buffer;
  @Column('bytea', { name: 'expected_inputs' }) expectedInputs!: Buffer;
  @Column('bytea', { name: 'expected_outputs' }) expectedOutputs!: Buffer;
  @Column('smallint') state!: number;
  @Column('text', { name: 'schedule_type' }) scheduleType!: string;
}

@Entity('named_entities')
export class NamedEntityRow {
  @PrimaryColumn('text') org!: string;
  @PrimaryColumn('text') project!: string;
  @PrimaryColumn('text') domain!: string;
  @PrimaryColumn('smallint', { name: 'resource_type' }) resourceType!: number;
  @PrimaryColumn('text') name!: string;
  @Column('text') description!: string;
  @Column('smallint') state!: number;
  @Column({ type: 'timestamptz', name: 'updated_at', insert: false }) updatedAt!: Date;
}

@Entity('descriptions')
export class DescriptionRow extends VersionedRow {
  @PrimaryColumn('smallint', { name: 'resource_type' }) resourceType!: number;
  /** DescriptionEntity. */
  @Column('bytea') entity!: Buffer;
}

@Entity('attributes')
export class AttributesRow {
  @PrimaryColumn('text') org!: string;
  @PrimaryColumn('smallint', { name: 'resource_type' }) resourceType!: number;
  @PrimaryColumn('text') project!: string;
  @PrimaryColumn('text') domain!: string;
  @PrimaryColumn('text') workflow!: string;
  @PrimaryColumn('text', { name: 'launch_plan' }) launchPlan!: string;
  @Column('smallint') priority!: number;
  /** MatchingAttributes. */
  @Column('bytea') attributes!: Buffer;
}

export const registryEntities = [
  ProjectRow,
  TaskRow,
  WorkflowRow,
  LaunchPlanRow,
  NamedEntityRow,
  DescriptionRow,
  AttributesRow,
];
