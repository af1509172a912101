import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { allowAll } from '@aloft/auth';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { openServiceDatabase, runService } from '@aloft/service';
import { createRpcServer, serveNest } from '@aloft/service/nest';
import { CatalogModule, catalogServices } from './catalog.module.js';
import { catalogMigrations } from './migrations.js';
import { catalogServiceConfig } from './service-config.js';

const storage = { schema: 'catalog', migrations: catalogMigrations };

await runService({
  name: 'catalog',
  schema: catalogServiceConfig,
  storage,
  async compose(service) {
    const { grpc, http } = service.config;
    const database = await openServiceDatabase(service, storage);
    const rpc = createRpcServer(service, { ...grpc, policy: allowAll, descriptorSet: readFileSync(descriptorSetPath) });
    const modules = [CatalogModule.register({ database })];
    await serveNest(service, { modules, rpc, services: catalogServices, http });
  },
});
