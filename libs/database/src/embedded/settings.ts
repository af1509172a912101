export interface Settings {
  [name: string]: string | number;
}

/**
 * Settings for a small machine that also runs the platform (2 cores; see README for what was measured). Given on the
 * command line at each start, so that an old data folder gets the present ones.
 */
export const settings: Settings = {
  listen_addresses: '127.0.0.1',
  // The folder of the data, where the path is short enough: given at the start.
  unix_socket_directories: '',
  max_connections: 120,
  // Memory, taken as it is used: enough for what lists of a million runs look through (140 MB of an index), which would else be copied out of
  // the page cache each time.
  shared_buffers: '512MB',
  work_mem: '8MB',
  maintenance_work_mem: '64MB',
  // Durable: a commit that was answered survives a power cut.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  // No replicas: less WAL, fewer processes.
  wal_level: 'minimal',
  max_wal_senders: 0,
  wal_compression: 'on',
  wal_buffers: '16MB',
  // Recovery after a kill must be quick: at most this much WAL to replay.
  max_wal_size: '512MB',
  min_wal_size: '128MB',
  checkpoint_timeout: '5min',
  // Plans: short statements on few cores.
  jit: 'off',
  max_parallel_workers_per_gather: 0,
  max_worker_processes: 4,
  io_method: 'sync',
  random_page_cost: 1.1,
  // Tables of the bus and the engine's log turn over quickly.
  autovacuum_naptime: '15s',
  autovacuum_vacuum_cost_delay: '1ms',
  // Ends what a dead client left running.
  client_connection_check_interval: '2s',
  tcp_keepalives_idle: 30,
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Failed statements are their callers' to report.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_checkpoints: 'off',
};

/** For test databases that die with the run. */
export const throwaway: Settings = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: 300,
};
