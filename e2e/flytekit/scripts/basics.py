"""Plain shapes: one task, a chain, a failure."""

from flytekit import Resources, task, workflow


@task(requests=Resources(cpu="100m", mem="100Mi"))
def greet(name: str) -> str:
    return f"Hello, {name}!"


@workflow
def hello(name: str = "world") -> str:
    return greet(name=name)


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@workflow
def chain(a: int) -> int:
    x = add(a=a)
    x = add(a=x)
    x = add(a=x, b=10)
    return x


@task
def fail_with_value_error(message: str) -> int:
    if message:
        raise ValueError(f"no luck: {message}")
    return 0


@workflow
def failing(message: str = "expected") -> int:
    return fail_with_value_error(message=message)
