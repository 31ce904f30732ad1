"""Many answers for the fuzz tests: documented ones that were damaged, and any at all.

`make test` tries some hundreds for each function that reads an answer. `make fuzz` sets CAPI_FUZZ to 100,000: so many
damaged ones, and a fifth of that (Hypothesis takes its time) of any kind. A damaged answer is known again by its number,
which a failure names; another CAPI_FUZZ_SEED makes others.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from capi_pipeline.platforms import NAMES
from capi_pipeline.platforms.wire import Response
from tests.platforms import mutation
from tests.platforms.documented import Documented
from tests.platforms.support import Answer, cases

TRIES = int(os.environ.get("CAPI_FUZZ", "400"))
SEED = os.environ.get("CAPI_FUZZ_SEED", "0")
FEW = TRIES < 10_000  # then the same examples each time: no build is red by luck
many = settings(
    max_examples=TRIES if FEW else TRIES // 5, deadline=None, derandomize=FEW, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
)  # fmt: skip

READ = {name: Documented(cases(name).says, cases(name).successes) for name in NAMES}
READ_STATUS = {
    name: Documented(cases(name).says_later, cases(name).later_successes)
    for name in NAMES
    if hasattr(cases(name), "says_later")
}


def damaged_answers(
    name: str, documented: Documented, answers: Sequence[Answer]
) -> Iterator[tuple[int, Response, int]]:
    """Number, answer, and how many events its request had. Half of them were a success before they were damaged."""
    successes = [(response, count) for count in (1, 2, 3, 7) for response in documented.successes(count)]
    others = [(answer.response, answer.count) for answer in answers]
    known = [response for response, _ in successes + others]
    for number in range(TRIES):
        rng = random.Random(f"{SEED} {name} {number}")
        response, count = rng.choice(successes if rng.random() < 0.5 else others)
        if rng.random() < 0.15:
            count = rng.randint(1, 7)
        yield number, mutation.damaged(rng, response, known), count


@contextmanager
def named(number: int, response: Response, count: int = 1) -> Iterator[None]:
    """What fails inside says for which answer."""
    try:
        yield
    except Exception as error:
        shown = f"{response.status} {response.headers} {response.body[:1000]!r}"[:3000]
        raise AssertionError(f"answer {number} to {count} events: {shown}") from error


# --- any answer at all ----------------------------------------------------------------------------------------------

NAMES_OF_MEMBERS = st.text(max_size=3) | st.sampled_from([
    "code", "error", "requestId", "request_id", "events_received", "messages", "fbtrace_id", "PartialErrors", "Index", "Code",
    "requestStatusPerDestination", "requestStatus", "errorInfo", "errorCounts", "reason", "recordCount", "recordIndices",
    "details", "fieldViolations", "fieldWarnings", "field", "metadata", "message", "Errors", "BatchErrors", "is_transient",
    "error_subcode", "eventsIngestionStatus", "data",
])  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*range(8), 100, 190, 200, 400, 5604, 40002, *mutation.WORDS])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES_OF_MEMBERS, inner, max_size=4),
    max_leaves=10,
)
BODIES = JSON.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-type", "x-business-use-case-usage", "trackingid"]),
    st.text(max_size=12) | st.sampled_from([*mutation.WAITS, *mutation.USAGES]), max_size=3,
)  # fmt: skip
ANSWERS = st.builds(Response, st.sampled_from([200, 200, 400]) | st.integers(-1, 999), HEADERS, BODIES)
