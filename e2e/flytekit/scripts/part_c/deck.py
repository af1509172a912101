"""deck: a page that a task makes for people (C-110)."""

from flytekit import Deck, task, workflow


@task(enable_deck=True)
def with_deck(title: str) -> str:
    Deck("report", f"<h1>{title}</h1>")
    return title


@workflow
def wf(title: str) -> str:
    return with_deck(title=title)
