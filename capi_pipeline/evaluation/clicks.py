"""Precision and recall of click attribution, and why clicks are missed or wrong. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Slot(NamedTuple):
    """One click parameter of one conversion: `order` or `lead`, its id, e.g. `gclid`."""

    conversion_type: str
    conversion_id: str
    parameter: str


class Right(NamedTuple):
    """The click that led to the conversion, and whether the recorded rows can tell."""

    value: str
    knowable: bool


@dataclass(frozen=True)
class Facts:
    """What explains a loss. Conversions are (type, id); devices are anonymous ids."""

    devices: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # (parameter, click) -> seen on
    owners: Mapping[str, frozenset[int]] = field(default_factory=dict)  # device -> its true people
    true_person: Mapping[tuple[str, str], int] = field(default_factory=dict)  # of a conversion
    person: Mapping[tuple[str, str], str] = field(default_factory=dict)  # conversion -> predicted person
    device_person: Mapping[str, str | None] = field(
        default_factory=dict
    )  # device -> predicted person; None: quarantined
    refused: frozenset[tuple[str, str]] = frozenset()  # conversions of people who refused
    refusing: frozenset[str] = frozenset()  # devices on which somebody refused


@dataclass
class Count:
    """Clicks attached to conversions (and of these the right ones), knowable ones, and all true ones."""

    attached: int = 0
    right: int = 0
    knowable: int = 0
    all: int = 0

    def document(self) -> dict[str, float | int | None]:
        """With precision (right / attached) and recall (right / knowable)."""
        return {
            "precision": self.right / self.attached if self.attached else None,
            "recall": self.right / self.knowable if self.knowable else None,
            "attached": self.attached,
            "right": self.right,
            "knowable": self.knowable,
            "all": self.all,
        }


def score(truth: Mapping[Slot, Right], attached: Mapping[Slot, str]) -> dict[str, Count]:
    """Counts by parameter, and of all as `""`. A right click counts as right even if the truth calls it unknowable."""
    counts: dict[str, Count] = {"": Count()}
    for slot in truth.keys() | attached.keys():
        right, value = truth.get(slot), attached.get(slot)
        for count in (counts[""], counts.setdefault(slot.parameter, Count())):
            count.all += right is not None
            count.knowable += right is not None and right.knowable
            count.attached += value is not None
            count.right += right is not None and value == right.value
    return counts


def losses(truth: Mapping[Slot, Right], attached: Mapping[Slot, str], facts: Facts) -> dict[str, int]:
    """Clicks that are unknowable, missed or wrong, by why."""
    lost: Counter[str] = Counter()
    for slot, right in truth.items():
        if attached.get(slot) is None:
            lost[_missed(slot, right, facts) if right.knowable else "unknowable, none attached"] += 1
    for slot, value in attached.items():
        right_click = truth.get(slot)
        if right_click is None or right_click.value != value:
            lost[_wrong(slot, value, right_click, facts)] += 1
    return dict(lost)


REFUSED = "missed: the person refused"
REFUSED_THERE = "missed: the person refused on the click's device"
UNSEEN = "wrong: an older click, for the right one was not recorded or is not connected"


def _missed(slot: Slot, right: Right, facts: Facts) -> str:
    conversion = (slot.conversion_type, slot.conversion_id)
    if conversion in facts.refused:
        return REFUSED
    devices = facts.devices.get((slot.parameter, right.value), frozenset())
    if not devices:
        return "missed: the click is on no page with a device"
    if conversion not in facts.person:
        return "missed: the conversion has no person"
    people = {facts.device_person.get(device) for device in devices}
    if people == {None}:
        known = any(device in facts.device_person for device in devices)
        return "missed: the click's device is quarantined" if known else "missed: the click's device has no person"
    if facts.person[conversion] not in people:
        return "missed: the click's device is another person's"
    if devices <= facts.refusing:
        return REFUSED_THERE
    return "missed: the person is right"


def _wrong(slot: Slot, value: str, right: Right | None, facts: Facts) -> str:
    person = facts.true_person.get((slot.conversion_type, slot.conversion_id))
    devices = facts.devices.get((slot.parameter, value), frozenset())
    owners = frozenset().union(*(facts.owners.get(device, frozenset()) for device in devices))
    if len(owners) > 1:
        return "wrong: the click of a device that several people use"
    if owners and person not in owners:
        return "wrong: a stranger's click"
    if right is None:
        return "wrong: the truth has no click"
    if not right.knowable:
        return UNSEEN
    return "wrong: another click of the same person"
