// Generates libs/idl/src/gen (TypeScript, by ts-proto), libs/idl/descriptor/aloft.binpb (a descriptor set for
// canonical JSON, REST routes and reflection) and descriptor/comments.json (their comments) from the .proto files of @flyteorg/flyteidl and ours.
// Does nothing when neither inputs nor this script changed since the last run.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commentsOf } from './comments.mjs';

const idl = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dirname(idl));
const require = createRequire(import.meta.url);
const flyte = join(findPackage('@flyteorg/flyteidl'), 'protos');
const google = join(findPackage('protobufjs'), 'google', 'api');
const work = join(idl, '.build');
const protos = join(work, 'protos');
const out = join(idl, 'src', 'gen');
const descriptor = join(idl, 'descriptor', 'aloft.binpb');
const comments = join(idl, 'descriptor', 'comments.json');
const stamp = join(work, 'stamp');

const fingerprint = hash([flyte, google, join(idl, 'proto'), join(idl, 'scripts')]);
const made = [stamp, out, descriptor, comments];
if (made.every((path) => existsSync(path)) && readFileSync(stamp, 'utf8') === fingerprint) process.exit(0);

const started = Date.now();
rmSync(work, { recursive: true, force: true });
rmSync(out, { recursive: true, force: true });
mkdirSync(join(protos, 'google'), { recursive: true });
mkdirSync(dirname(descriptor), { recursive: true });
cpSync(flyte, protos, { recursive: true });
for (const file of ['annotations.proto', 'http.proto']) cpSync(join(google, file), join(protos, 'google', 'api', file));
cpSync(join(idl, 'proto'), protos, { recursive: true });

writeFileSync(join(work, 'buf.yaml'), 'version: v2\nmodules:\n  - path: protos\n');
writeFileSync(
  join(work, 'buf.gen.yaml'),
  `version: v2
plugins:
  - local: ["node", ${JSON.stringify(require.resolve('ts-proto/protoc-gen-ts_proto'))}]
    strategy: all
    out: ${JSON.stringify(out)}
    opt:
      - env=node
      - esModuleInterop=true
      - outputServices=grpc-js
      - oneof=unions-value
      - forceLong=bigint
      - useDate=false
      - unknownFields=true
      - removeEnumPrefix=false
      - outputIndex=false
      - importSuffix=.js
      - useExactTypes=false
      - outputTypeRegistry=false
`,
);
const buf = join(root, 'node_modules', '.bin', 'buf');
const env = { ...process.env, BUF_CACHE_DIR: join(work, 'cache') };
const build = (...args) =>
  execFileSync(buf, ['build', '--as-file-descriptor-set', ...args], { cwd: work, stdio: 'inherit', env });
build('--exclude-source-info', '-o', descriptor);
const commented = join(work, 'commented.binpb');
build('-o', commented);
writeFileSync(comments, JSON.stringify(commentsOf(commented), undefined, 1));
rmSync(commented);
execFileSync(buf, ['generate'], { cwd: work, stdio: 'inherit', env });
adapt(out, '..');
writeFileSync(stamp, fingerprint);
console.log(`generated libs/idl/src/gen in ${((Date.now() - started) / 1000).toFixed(1)} s`);

// Codecs write with src/wire.ts, which spares them a buffer a message; and a map's key "__proto__" is a key like any other: assigned,
// it would be lost, and its value would become what all other keys are looked up in.
function adapt(folder, up) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) adapt(path, `../${up}`);
    else
      writeFileSync(
        path,
        readFileSync(path, 'utf8')
          .replace('"@bufbuild/protobuf/wire"', `"${up}/wire.js"`)
          .replace(
            /(message\.\w+)\[(entry\d+)\.key\] = \2\.value;/g,
            'if (($2.key as unknown) === "__proto__") Object.defineProperty($1, $2.key, { value: $2.value, enumerable: true, configurable: true, writable: true });\n' +
              'else $1[$2.key] = $2.value;',
          ),
      );
  }
}

function findPackage(name) {
  for (let dir = idl; ; dir = dirname(dir)) {
    const candidate = join(dir, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (dir === dirname(dir)) throw new Error(`package ${name} is not installed: run npm install`);
  }
}

function hash(paths) {
  const sum = createHash('sha256');
  const visit = (path) => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
    else sum.update(path.slice(root.length)).update(readFileSync(path));
  };
  paths.forEach(visit);
  return sum.digest('hex');
}
