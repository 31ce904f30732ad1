"""Which ids the recorded rows connect, and when: what anyone could know who has only these rows.

A node is an id in the one spelling that it has for a careful reader: `e:` mailbox, `p:` number, `c:` account, `a:` first-party
id, `s:` session, `o:` order, `l:` lead. Ids that several people use, or nobody, are no nodes: they connect strangers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capi_pipeline.demo.circles import NO_ID, TEST_ACCOUNT, TILL_PHONE, is_shared_email
from capi_pipeline.demo.people import Person

Link = tuple[str, str, float]  # two nodes and the second in which the row that holds both landed
Question = tuple[str, str, float]  # two nodes: are they connected by rows that landed before this second?


def node(who: Person, kind: str, value: str) -> str | None:
    """The node of an id as this person typed it; None for an id that connects nothing."""
    if kind == "email":
        return _mailbox(who, value)
    if kind == "phone":
        return _number(who, value)
    if value in (NO_ID, TEST_ACCOUNT):
        return None
    return f"{kind[0]}:{value}"


def _mailbox(who: Person, typed: str) -> str | None:
    address = typed.strip().lower()
    if len(address) == 64:  # the hash of an address that the shop has in clear
        address = who.email.lower()
    if is_shared_email(address):
        return None
    local, _, domain = address.partition("@")
    if domain in ("gmail.com", "googlemail.com"):
        return f"e:{local.partition('+')[0].replace('.', '')}@gmail.com"
    return f"e:{address}"


def _number(who: Person, typed: str) -> str | None:
    if typed in (TILL_PHONE, who.former_phone):
        return None
    digits = "".join(c for c in typed if c.isdigit())
    return f"p:{who.country}{who.phone if who.phone in digits else digits}"


def connected(links: Iterable[Link], questions: Sequence[Question]) -> list[bool]:
    """Answer each question with the links (in order of time) that had landed by then."""
    parents: dict[str, str] = {}

    def root(of: str) -> str:
        top = of
        while (parent := parents.get(top, top)) != top:
            top = parent
        while (parent := parents.get(of, of)) != top:
            parents[of] = top
            of = parent
        return top

    answers = [False] * len(questions)
    waiting = iter(links)
    link = next(waiting, None)
    for number in sorted(range(len(questions)), key=lambda n: questions[n][2]):
        left, right, until = questions[number]
        while link and link[2] < until:
            one, other = root(link[0]), root(link[1])
            if one != other:
                parents[one] = other
            link = next(waiting, None)
        answers[number] = root(left) == root(right)
    return answers
