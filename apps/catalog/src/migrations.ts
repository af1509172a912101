import type { Migration } from '@aloft/database';

export const catalogMigrations: readonly Migration[] = [
  {
    name: '0001_datasets_artifacts_tags_reservations',
    sql: `
      CREATE TABLE datasets (
        uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        org text NOT NULL, project text NOT NULL, domain text NOT NULL, name text NOT NULL, version text NOT NULL,
        partition_keys text[] NOT NULL,
        metadata jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (org, project, domain, name, version)
      );
      CREATE INDEX datasets_by_age ON datasets (created_at, uuid);

      CREATE TABLE artifacts (
        dataset uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
        id text NOT NULL,
        -- A datacatalog.Artifact with nothing but its data, encoded: literals keep their bytes.
        data bytea NOT NULL,
        metadata jsonb NOT NULL,
        partitions jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (dataset, id)
      );
      CREATE INDEX artifacts_by_id ON artifacts (id);
      CREATE INDEX artifacts_by_age ON artifacts (dataset, created_at, id);
      CREATE INDEX artifacts_by_partition ON artifacts USING gin (partitions jsonb_path_ops);

      CREATE TABLE tags (
        dataset uuid NOT NULL,
        name text NOT NULL,
        artifact_id text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (dataset, name),
        FOREIGN KEY (dataset, artifact_id) REFERENCES artifacts (dataset, id) ON DELETE CASCADE
      );
      CREATE INDEX tags_by_artifact ON tags (dataset, artifact_id);

      -- Of both services; the key says which thing is reserved.
      CREATE TABLE reservations (
        key text PRIMARY KEY,
        owner text NOT NULL,
        heartbeat_ms integer NOT NULL,
        expires_at timestamptz NOT NULL
      );

      CREATE TABLE cache_entries (
        key text PRIMARY KEY,
        -- A flyteidl.cacheservice.CachedOutput, encoded, without its times.
        output bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
      );
    `,
  },
  {
    name: 'artifacts by the run that made them',
    sql: `CREATE INDEX artifacts_by_run ON artifacts ((metadata->>'execution-name')) WHERE metadata ? 'execution-name';`,
  },
];
