import { join } from 'node:path';
import type { BackendModule } from '@aloft/backend-kit';
import { LocalProcessBackend, variableName } from '@aloft/backend-local-process';
import { sparkOptionsSchema } from './options.js';
import { SparkStarter } from './spark-starter.js';

export { sparkOptionsSchema, type SparkOptions } from './options.js';

/** Where Spark and Hadoop look for their own configuration. */
const configurationVariables = ['SPARK_CONF_DIR', 'HADOOP_CONF_DIR', 'YARN_CONF_DIR', 'SPARK_LOCAL_IP'];

/** Drivers by spark-submit, as processes of this machine: see README.md. */
const module: BackendModule = {
  create(given, { name, logger, env, dataDir, platform }) {
    const options = sparkOptionsSchema.parse(given);
    return new LocalProcessBackend(
      {
        starter: new SparkStarter(name, options, platform, env),
        workDir: join(dataDir, 'work'),
        python: platform.python,
        warmAtStart: false,
        warmNode: 0,
        nodeExecutor: undefined,
        nodeModules: undefined,
        capacity: { slots: options.slots, gpuDevices: [] },
        graceMs: options.graceMs,
        storage: platform.storage,
        publicUrl: platform.publicUrl,
        platformUrl: platform.address,
        passEnv: [...configurationVariables, ...options.passEnv],
        secret: ({ group, key }) => env[`ALOFT_SECRET_${variableName(group, key)}`],
      },
      logger,
    );
  },
};

export default module;
