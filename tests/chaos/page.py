"""The measured part of docs/reliability.md, from results. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.chaos.play import Result
from tests.chaos.schedule import POINTS, WORLD

BEGIN, END = "<!-- measured: begin (make chaos) -->", "<!-- measured: end -->"
ALL_POINTS = {**POINTS, "run_worker": "Dagster's run worker (`capi sync`, `capi retry`), at a random moment"}


def measured(results: Sequence[Result], machine: str, minutes: float) -> str:
    """The tables as Markdown."""
    kills, faults, happened = Counter[str](), Counter[str](), Counter[str]()
    for result in results:
        kills += result.kills
        faults += result.faults
        happened += result.happened

    def total(what: str) -> int:
        return sum(result.total(what) for result in results)

    dagster = sum(result.dagster for result in results)
    broken = [result.seed for result in results if result.violations]
    rows: list[tuple[str, object]] = [
        ("schedules", f"{len(results):,} (of these through Dagster's run worker: {dagster})"),
        ("conversions to deliver (each counted once per platform)", f"{total('events'):,}"),
        ("requests that the platforms got", f"{sum(result.requests for result in results):,}"),
        ("attempts at the hours (troubled and calm)", f"{sum(result.attempts for result in results):,}"),
        ("processes killed with `kill -9`", f"{kills.total() + sum(happened[k] for k in ('postgres', 'backend', 'sandbox')):,}"),
        ("requests struck by a fault of the platform", f"{faults.total():,}"),
        ("**lost**", f"**{total('lost'):,}**"),
        ("**counted twice**", f"**{total('twice'):,}**"),
        ("**held or left, and shown by no list**", f"**{total('unlisted'):,}**"),
        ("told otherwise than it is (ledger and platform differ)", f"{total('misreported'):,}"),
        ("still open after the last rerun", f"{total('unfinished'):,}"),
        ("held for a person, and listed", f"{total('held'):,}"),
        ("refunds that wait for the decision on a held conversion", f"{total('waiting'):,}"),
        ("delivered", f"{total('accepted'):,}"),
        ("refused by the platform (poison events)", f"{total('rejected'):,}"),
        ("not sent on purpose (no consent, refunds of what was not sent)", f"{total('withheld'):,}"),
        ("calm reruns until nothing was left, at most", max((result.reruns for result in results), default=0)),
        ("schedules with any violation", ", ".join(map(str, sorted(broken))) or "none"),
    ]  # fmt: skip
    return "\n".join(
        [
            f"Measured {machine}, in {minutes:.0f} minutes.",
            "",
            *table(("what", "number"), rows),
            "",
            "Where the run worker was killed:",
            "",
            *table(("moment", "kills"), [(ALL_POINTS[point], number) for point, number in kills.most_common()]),
            "",
            "What the platforms did:",
            "",
            *table(("fault", "requests struck"), faults.most_common()),
            "",
            "What else happened:",
            "",
            *table(("event", "times"), [(WORLD[key], number) for key, number in happened.most_common()]),
        ]
    )


def table(head: tuple[str, str], rows: Sequence[tuple[str, object]]) -> list[str]:
    """Markdown lines; faults that never struck are left out."""
    return [
        f"| {head[0]} | {head[1]} |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows if value != 0),
    ]


def replaced(page: str, text: str) -> str:
    """The page with its measured part replaced. Raises ValueError when its marks are gone."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page lacks `{BEGIN}` or `{END}`")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
