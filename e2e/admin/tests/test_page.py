"""docs/conformance.md says what there is: every rpc has cases, and every case that it names exists."""

import re

from rpc_cases import PAGE, cases_by_test, row_of
from transports import SERVICES


def test_every_rpc_has_cases():
    called = {rpc for rpcs in cases_by_test().values() for rpc in rpcs}
    assert {f"{service.name}/{method.name}" for service in SERVICES for method in service.methods} <= called


def test_the_page_names_every_rpc_and_only_cases_that_exist():
    page = PAGE.read_text()
    for service in SERVICES:
        for method in service.methods:
            assert f"{service.name}.{method.name}" in page
    there = {(file, row_of(test)) for file, test in cases_by_test()}
    for cell in re.findall(r"`(test_\w+)`((?: [A-Z]-\d+,?)*)", page):
        file, rows = cell
        for row in re.findall(r"[A-Z]-\d+", rows):
            assert (file, row) in there, f"docs/conformance.md: {file} has no case of {row}"


def test_every_row_of_K_has_a_case():
    rows = {row_of(test) for _, test in cases_by_test()}
    # K-36 waits for login; K-33 is one of the kinds of K-32's test.
    expected = {f"K-{number}" for number in range(1, 39)} - {"K-33", "K-36"}
    assert expected <= rows, expected - rows
