"""container-task: any command, whose inputs and outputs are files of its own (C-180)."""

from flytekit import ContainerTask, kwtypes, task, workflow
from flytekit.types.file import FlyteFile

area = ContainerTask(
    name="part_c.container_task.area",
    image="busybox:1.36",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(a=int, b=int, note=FlyteFile),
    outputs=kwtypes(area=int, report=FlyteFile),
    command=[
        "/bin/sh",
        "-c",
        "echo $(( {{.inputs.a}} * $(cat /var/inputs/b) )) > /var/outputs/area && "
        "(cat /var/inputs/note; echo; cat /var/inputs/inputs.json) > /var/outputs/report",
    ],
)

refuses = ContainerTask(
    name="part_c.container_task.refuses",
    image="busybox:1.36",
    input_data_dir="/var/inputs",
    output_data_dir="/var/outputs",
    inputs=kwtypes(a=int),
    outputs=kwtypes(area=int),
    command=["/bin/sh", "-c", "echo not a number > /var/outputs/area"],
)


@task
def write_note(text: str) -> FlyteFile:
    with open("note.txt", "w") as f:
        f.write(text)
    return FlyteFile("note.txt")


@task
def read_back(report: FlyteFile) -> str:
    with open(report) as f:
        return f.read()


@workflow
def wf(a: int, b: int, note: str) -> tuple[int, str]:
    made = area(a=a, b=b, note=write_note(text=note))
    return made.area, read_back(report=made.report)


@workflow
def bad_output(a: int) -> int:
    return refuses(a=a)
