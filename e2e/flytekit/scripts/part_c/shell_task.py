"""shell-task: a script with typed files in and out."""

from flytekit import kwtypes, task, workflow
from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.types.file import FlyteFile

shout = ShellTask(
    name="part_c.shell_task.shout",
    script="tr a-z A-Z < {inputs.text} > {outputs.loud}; printf '%s' {inputs.mark} >> {outputs.loud}",
    inputs=kwtypes(text=FlyteFile, mark=str),
    output_locs=[OutputLocation(var="loud", var_type=FlyteFile, location="loud.txt")],
)


@task
def write(text: str) -> FlyteFile:
    with open("quiet.txt", "w") as f:
        f.write(text)
    return FlyteFile("quiet.txt")


@task
def read(file: FlyteFile) -> str:
    with open(file) as f:
        return f.read()


@workflow
def wf(text: str) -> str:
    return read(file=shout(text=write(text=text), mark="!"))
