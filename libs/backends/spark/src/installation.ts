import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { failedPrecondition } from '@aloft/errors';

/** What is needed on this machine to run drivers. */
export interface Installation {
  /** Folder with `bin/spark-submit`. */
  home: string;
  /** Absolute path of the interpreter of drivers. */
  python: string;
  /** flytekit's program for tasks, in that interpreter's environment; `undefined` without flytekit. */
  entrypoint: string | undefined;
  javaHome: string | undefined;
}

const question = `
import importlib.util, json, os, sys
def folder(name):
    spec = importlib.util.find_spec(name)
    return list(spec.submodule_search_locations)[0] if spec and spec.submodule_search_locations else None
print(json.dumps({"python": sys.executable, "pyspark": folder("pyspark"), "flytekit": folder("flytekit")}))
`;

interface Answer {
  python: string;
  pyspark: string | null;
  flytekit: string | null;
}

/** Finds Spark, Java and the interpreter. @throws FAILED_PRECONDITION for what is missing, with how to get it */
export async function findInstallation(
  wanted: { home?: string | undefined; javaHome?: string | undefined; python: string },
  env: NodeJS.ProcessEnv,
): Promise<Installation> {
  const answer = await ask(wanted.python);
  const home = wanted.home ?? env['SPARK_HOME'] ?? answer.pyspark ?? undefined;
  if (home === undefined)
    throw failedPrecondition(
      `there is no Spark: install pyspark for ${answer.python}, or name the folder of a distribution in the option "home" or in SPARK_HOME`,
    );
  if (!isProgram(join(home, 'bin', 'spark-submit')))
    throw failedPrecondition(
      `${join(home, 'bin', 'spark-submit')} is no program; "home" has to be a Spark distribution, or pyspark's folder`,
    );
  const javaHome = wanted.javaHome ?? env['JAVA_HOME'];
  if (javaHome !== undefined && !isProgram(join(javaHome, 'bin', 'java')))
    throw failedPrecondition(
      `${join(javaHome, 'bin', 'java')} is no program; "javaHome" has to be where a Java runtime is`,
    );
  if (javaHome === undefined && !(env['PATH'] ?? '').split(delimiter).some((folder) => isProgram(join(folder, 'java'))))
    throw failedPrecondition(
      'there is no Java on PATH: install a Java 17 runtime, or name its folder in the option "javaHome"',
    );
  const entrypoint = answer.flytekit === null ? undefined : join(answer.flytekit, 'bin', 'entrypoint.py');
  return {
    home,
    python: answer.python,
    entrypoint: entrypoint && existsSync(entrypoint) ? entrypoint : undefined,
    javaHome,
  };
}

async function ask(python: string): Promise<Answer> {
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', question], { timeout: 60_000 });
    return JSON.parse(stdout) as Answer;
  } catch (error) {
    throw failedPrecondition(`the Python "${python}" does not run: ${(error as Error).message}`, { cause: error });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
