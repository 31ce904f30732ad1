"""Cut prepared events into requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import orjson

from capi_pipeline.platforms.base import Limits

Member = tuple[Any, Any]


def batches(
    ready: Iterable[tuple[Any, Hashable, Any]],
    limits: Limits,
    at_most: Callable[[Any], int | None] = lambda _: None,
) -> Iterator[tuple[Hashable, list[Member]]]:
    """(key, group, payload) triples, in order -> (group, [(key, payload), …]) within the limits of one request.

    Groups stay apart, order within a group is kept, and a batch leaves as soon as it is full. `at_most`: events of a
    request of this group, where that is fewer than the platform takes.
    """
    open_batches: dict[Hashable, list[Member]] = {}
    sizes: dict[Hashable, int] = {}
    for key, group, payload in ready:
        size = len(orjson.dumps(payload)) + 1 if limits.bytes else 0
        batch = open_batches.setdefault(group, [])
        if batch and limits.bytes and sizes[group] + size > limits.bytes:
            yield group, open_batches.pop(group)
            batch = open_batches[group] = []
        sizes[group] = sizes.get(group, 0) + size if batch else size
        batch.append((key, payload))
        if len(batch) >= min(limits.events, at_most(group) or limits.events):
            yield group, open_batches.pop(group)
    for group, batch in open_batches.items():
        if batch:
            yield group, batch
