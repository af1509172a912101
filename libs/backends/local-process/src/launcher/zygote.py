"""A warm Python: imports flytekit's entrypoint once, then forks one child per attempt (25 ms instead of 900).

stdin: one JSON request a line {id, folder, log, argv, env}. File descriptor 3: one JSON event a line. Ends with stdin.
Only the main thread exists after the import, so forking is safe. User code is imported in the child, never here.
"""

import gc
import json
import os
import select
import signal
import sys
import time

EVENTS = 3
CLAIMED_ELSEWHERE = 97


def tell(**event):
    data = (json.dumps(event) + "\n").encode()
    while data:
        data = data[os.write(EVENTS, data) :]


def import_flytekit():
    try:
        import flytekit
        from flytekit.bin import entrypoint
    except ImportError as error:
        tell(
            event="unusable",
            message=(
                f"The Python interpreter {sys.executable} ({sys.version.split()[0]}) cannot import flytekit ({error}). "
                f"Install it with `{sys.executable} -m pip install flytekit`, or set ALOFT_PYTHON to an interpreter that has it."
            ),
        )
        sys.exit(0)
    # Loaded by nearly every task; loading them here saves it in each child. Optional: a task that needs one says so itself.
    for module in ("flytekit.core.python_auto_container", "flytekit.core.array_node_map_task", "fsspec.implementations.local"):
        try:
            __import__(module)
        except ImportError:
            pass
    return flytekit.__version__, entrypoint


def claim(folder):
    """Of several starts of one attempt only the first runs: this file says which."""
    with open("/proc/sys/kernel/random/boot_id") as boot, open("/proc/self/stat") as stat:
        text = boot.readline() + stat.readline()
    try:
        descriptor = os.open(os.path.join(folder, "claim"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except (FileExistsError, FileNotFoundError):
        os._exit(CLAIMED_ELSEWHERE)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def write_exit(folder, code=None, by=None, usage=None):
    cpu = usage.ru_utime + usage.ru_stime if usage else 0.0
    maxrss = usage.ru_maxrss if usage else 0
    how = f"signal={by}" if by else f"code={code}"
    path = os.path.join(folder, "exit")
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w") as file:
            file.write(f"{how}\ncpu={cpu:.3f}\nmaxrss={maxrss}\nend\n")
        os.rename(temporary, path)
    except OSError:
        pass  # The folder is gone: nobody asks any more.


def enter(request):
    """Makes the forked child a process of its own: session, files, folder, environment."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    folder = request["folder"]
    claim(folder)
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("600")
    except OSError:
        pass
    null = os.open(os.devnull, os.O_RDONLY)
    os.makedirs(os.path.dirname(request["log"]), exist_ok=True)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(EVENTS)
    for descriptor in (null, log):
        if descriptor > 2:
            os.close(descriptor)
    os.environ.update(request["env"])
    work = os.path.join(folder, "code")
    os.chdir(work)
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [path for path in paths if path not in sys.path]
    sys.argv = list(request["argv"])

    import importlib
    import random
    import tempfile

    importlib.invalidate_caches()
    tempfile.tempdir = None
    move_sandbox(tempfile.gettempdir())
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def move_sandbox(folder):
    """flytekit made its default scratch folder when it was imported: each attempt gets one of its own."""
    import pathlib

    from flytekit.core.context_manager import FlyteContextManager

    access = FlyteContextManager.current_context().file_access
    if hasattr(access, "_local_sandbox_dir"):
        access._local_sandbox_dir = pathlib.Path(folder) / "local_flytekit"
        access._local_sandbox_dir.mkdir(parents=True, exist_ok=True)


def run(entrypoint, request):
    name = os.path.basename(request["argv"][0])
    command = {
        "pyflyte-execute": entrypoint.execute_task_cmd,
        "pyflyte-map-execute": entrypoint.map_execute_task_cmd,
    }[name]
    code = 0
    try:
        command.main(args=request["argv"][1:], prog_name=name, standalone_mode=True)
    except SystemExit as end:
        if end.code is None:
            code = 0
        elif isinstance(end.code, int):
            code = end.code & 0xFF
        else:
            print(end.code, file=sys.stderr)
            code = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    return code


def leave(folder, code):
    """What the interpreter's own end would do, then gone: nothing of the parent's frames runs here."""
    import atexit
    import resource
    import threading

    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        import traceback

        traceback.print_exc()
        code = code or 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    own = resource.getrusage(resource.RUSAGE_SELF)
    write_exit(folder, code=code, usage=own)
    os._exit(code)


def sign_in():
    """A later launcher ends this process by this file: what its own launcher had asked for must not begin then."""
    with open("/proc/self/stat") as stat:
        text = stat.readline()
    os.makedirs("zygotes", exist_ok=True)
    temporary = f"zygotes/.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(text)
    os.rename(temporary, f"zygotes/{os.getpid()}")


def main():
    sign_in()
    # Nothing but the launcher ends this process: a Ctrl-C in the terminal is not meant for it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt = signal.getsignal(signal.SIGINT)
    version, entrypoint = import_flytekit()
    signal.signal(signal.SIGINT, interrupt)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()
    children = {}
    tell(event="ready", flytekit=version)
    rest = b""
    while True:
        readable, _, _ = select.select([0, wake_read], [], [])
        if wake_read in readable:
            try:
                while os.read(wake_read, 4096):
                    pass
            except BlockingIOError:
                pass
            reap(children)
        if 0 not in readable:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                fork(entrypoint, json.loads(line), children, (wake_read, wake_write))


def fork(entrypoint, request, children, pipes):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for descriptor in pipes:
                os.close(descriptor)
            enter(request)
            gc.unfreeze()
            code = run(entrypoint, request)
        finally:
            leave(request["folder"], code)
    children[pid] = request
    tell(event="forked", id=request["id"], pid=pid)


def reap(children):
    while children:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        request = children.pop(pid, None)
        if request is None:
            continue
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        by = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None
        if code != CLAIMED_ELSEWHERE:
            write_exit(request["folder"], code=code, by=by, usage=usage)
        tell(event="ended", id=request["id"], pid=pid, code=code, signal=by)


if __name__ == "__main__":
    main()
