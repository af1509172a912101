// The launcher's process. stdin: one JSON object a line, the first its settings (they hold credentials, which a command
// line would show to everybody), then requests; stdout: events. Ends with its stdin; what it started lives on and is
// found again by the next launcher, unless the host holds its work by a lease: then it stays until that is over or nothing runs.
import { Launcher } from './launcher.js';
import { readJsonLines } from './line-channel.js';
import type { LauncherEvent, LauncherRequest, LauncherSettings } from './protocol.js';

const emit = (event: LauncherEvent) => void process.stdout.write(`${JSON.stringify(event)}\n`);
const complain = (what: string, error: unknown) =>
  emit({ event: 'log', level: 'error', message: `${what}: ${error instanceof Error ? error.stack : String(error)}` });

let launcher: Promise<Launcher> | undefined;

readJsonLines<LauncherSettings | LauncherRequest>(process.stdin, (line) => {
  if (!launcher) {
    launcher = Launcher.start(line as LauncherSettings, emit);
    launcher.catch((error: unknown) => {
      complain('the launcher cannot start', error);
      process.exitCode = 1;
      process.stdin.destroy();
    });
    return;
  }
  const request = line as LauncherRequest;
  launcher.then((running) => running.handle(request)).catch((error: unknown) => complain(request.do, error));
});
process.stdin.on('end', () => {
  const leave = launcher?.then((running) => running.leave()) ?? Promise.resolve();
  void leave.finally(() => process.exit(0));
});
// The platform ends it by closing its input; a Ctrl-C in the terminal is the platform's.
process.on('SIGINT', () => undefined);
process.stdout.on('error', () => undefined); // The platform is gone: the end of stdin says so.
