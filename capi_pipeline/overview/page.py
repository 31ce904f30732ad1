"""The report as one HTML page that needs nothing else: no script, no font, no address. No identifier is on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from capi_pipeline.delivery.ledger import HELD_WORDS, Held
from capi_pipeline.overview import plots
from capi_pipeline.overview.collect import STATES, Destination, Week
from capi_pipeline.platforms.times import span

STATE_WORDS = {
    "accepted": "accepted", "pending": "queued by the platform", "rejected": "rejected", "withheld": "withheld",
    "held": "held for a person", "retry": "left to send",
}  # fmt: skip
TOP_REASONS = 12
LEAST, MOST = 60.0, 400 * 86400.0  # seconds: the ends of the axis of lags
LAG_TICKS = ((60, "1 min"), (3600, "1 h"), (86400, "1 d"), (7 * 86400, "7 d"), (90 * 86400, "90 d"))


def page(week: Week, made: datetime) -> str:
    style = (files("capi_pipeline.overview") / "style.css").read_text("utf-8")
    body = "\n".join(
        part
        for part in (
            _head(week),
            _figures(week),
            _notes(week),
            _over_time(week),
            _destinations(week),
            _reasons(week),
            _quality(week),
            _missing(week),
            _freshness(week),
            _pixels(week),
            _held(week),
            f"<footer>Made {made:%Y-%m-%d %H:%M} UTC by <code>capi report</code>. Hours are those in which conversions landed in "
            "the warehouse, UTC. Counts and averages only: nothing on this page leads to a person.</footer>",
        )
        if part
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Conversions delivered, {_period(week)}</title><style>{style}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )


def _period(week: Week) -> str:
    return f"{week.since:%d %b} to {week.until:%d %b %Y}"


def _head(week: Week) -> str:
    active = [d for d in week.destinations if d.outcomes]
    period = f"{week.since:%a %d %b %Y, %H:%M} to {week.until:%a %d %b %Y, %H:%M} UTC"
    counted = f"{len(active)} of {len(week.destinations)} destinations with conversions"
    return f'<h1>Conversions delivered</h1><p class="soft lead">{period}, {counted}</p>'


def _figures(week: Week) -> str:
    score, before = week.score(), week.score(before=True)
    quality = "none" if score is None else f"{score:.1f}"
    gain = "" if score is None or before is None else f", {before:.1f} before enrichment"
    found = [
        (f"{week.total('accepted', 'pending'):,}", "sent"),
        (f"{week.total('rejected'):,}", "rejected by platforms"),
        (f"{week.total('withheld'):,}", "withheld"),
        (f"{week.total('held'):,}", "held for a person"),
        (f"{week.total('retry'):,}", "left to send"),
        (quality, f"match quality of 10{gain}"),
    ]
    return (
        '<div class="figures">' + "".join(f"<div><b>{n}</b><span>{escape(w)}</span></div>" for n, w in found) + "</div>"
    )


def _notes(week: Week) -> str:
    return "".join(f'<p class="note">{escape(words)}</p>' for words in week.notes)


def _section(title: str, note: str, *parts: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="note">{note}</p>{"".join(parts)}</section>'


def _over_time(week: Week) -> str:
    unit = "hour" if week.step.total_seconds() <= 3600 else "day"
    if not week.by_time:
        return _section(
            "Nothing was delivered", "No hour of this period has been delivered yet: <code>capi sync</code>."
        )
    shown = [(state, STATE_WORDS[state]) for state in STATES if week.total(state)]
    return _section(
        f"Events by {unit}",
        f"Of all destinations together: an event that goes to five of them counts five times. Vertical axis: events per {unit}.",
        plots.stacked(week.by_time, week.since, week.until, week.step),
        plots.legend(shown),
    )


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], last: str = "") -> str:
    """`columns`: (words, classes); cells are HTML. A cell `0` is dimmed. `last`: the row of totals, ready made."""
    head = "".join(f'<th class="{classes}">{escape(words)}</th>' for words, classes in columns)
    body = []
    for row in rows:
        cells = "".join(
            f'<td class="{classes}{" zero" if cell == "0" else ""}">{cell}</td>'
            for (_, classes), cell in zip(columns, row, strict=True)
        )
        body.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}{last}</tbody></table></div>'
    )


def _destinations(week: Week) -> str:
    columns = [("destination", ""), ("", "l wide"), ("accepted", ""), ("queued", "wide"), ("rejected", ""), ("withheld", ""),
               ("held", ""), ("left", ""), ("not for it", "wide")]  # fmt: skip
    rows = []
    for d in _active(week):
        parts = [(state, d.outcomes[state]) for state in STATES]
        rows.append(
            [_named(d), plots.share_bar(parts), *(f"{d.outcomes[state]:,}" for state in STATES), f"{d.others:,}"]
        )
    totals = [f"{week.total(state):,}" for state in STATES]
    others = sum(d.others for d in week.destinations)
    cells = ["all", "", *totals, f"{others:,}"]
    last = "".join(f'<td class="{classes}">{cell}</td>' for (_, classes), cell in zip(columns, cells, strict=True))
    note = "What became of the conversions that were meant for each destination. <i>Not for it</i>: events that it does not take."
    return _section("Destinations", note, table(columns, rows, f'<tr class="sum">{last}</tr>')) if rows else ""


def _active(week: Week) -> list[Destination]:
    return sorted((d for d in week.destinations if d.outcomes), key=lambda d: (-d.sent, d.title))


def _named(d: Destination) -> str:
    own = "" if d.name.replace("_", "") in d.title.lower().replace(" ", "") else f"<small>{escape(d.name)}</small>"
    return f"{escape(d.title)}{own}"


def _reasons(week: Week) -> str:
    total: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], Counter[str]] = {}
    for d in week.destinations:
        for key, events in d.reasons.items():
            total[key] += events
            where.setdefault(key, Counter())[d.title] += events
    rows = []
    for (state, why), events in total.most_common(TOP_REASONS):
        most = ", ".join(f"{escape(title)} {n:,}" for title, n in where[(state, why)].most_common(3))
        more = len(where[(state, why)]) - 3
        words = escape(why.replace("_", " ")) or "no code"
        rows.append([words, STATE_WORDS[state], f"{events:,}", most + (f" and {more} more" if more > 0 else "")])
    if not rows:
        return ""
    columns = [("reason or platform's code", ""), ("", "l"), ("events", ""), ("most of them", "l wide")]
    return _section("Why conversions were not sent, or not taken", "The commonest reasons.", table(columns, rows))


def _quality(week: Week) -> str:
    rows = []
    for d in sorted(
        (d for d in week.destinations if d.quality), key=lambda d: (-(d.quality.score if d.quality else 0), d.title)
    ):
        assert d.quality
        q = d.quality
        marks = [(q.before / 10, "ring", f"{q.before:.1f} before"), (q.score / 10, "dot", f"{q.score:.1f}")]
        gained = f" <span>(+{q.score - q.before:.1f})</span>" if q.score - q.before >= 0.05 else ""
        words = f"<b>{q.score:.1f}</b>{gained}"
        words += f" · {q.click_ids:.0%} click id" if d.clicks else ""
        words += f" · {q.two_strong:.0%} two strong" if d.strong > 1 else ""
        rows.append(plots.Track(d.title, marks, (q.before / 10, q.score / 10), words))
    if not rows:
        return ""
    ticks = [(step / 10, str(step)) for step in (0, 2, 4, 6, 8, 10)]
    return _section(
        "Match quality",
        "How likely a platform can match a conversion to a person, 0 to 10, by its own ranking of identifiers: without and with "
        "what other rows of the same person told. <i>Two strong</i>: events with at least two identifiers of the first rank. "
        "Platforms that need their own click id are sent only what has one.",
        plots.legend([("ring", "before enrichment"), ("dot", "after enrichment")]),
        plots.tracks(rows, ticks, ""),
    )


def _missing(week: Week) -> str:
    rows = []
    for d in week.destinations:
        if d.quality and d.quality.missing:
            cells = [
                f"{escape(m.title)} <b>+{m.gain:.1f}</b><small>{m.lacking:,} events</small>" for m in d.quality.missing
            ]
            spark = plots.sparkline(d.quality.over_time, 10)
            rows.append([_named(d), *cells, *[""] * (3 - len(cells)), f"{d.quality.fresh:.0%}", spark])
    if not rows:
        return ""
    columns = [
        ("destination", ""),
        ("most valuable", "l"),
        ("second", "l"),
        ("third", "l wide"),
        ("fresh", "wide"),
        ("score by hour", "wide"),
    ]
    return _section(
        "What is missing",
        "Per destination the identifiers that would raise the average score most if every event had them, and how many events "
        "lack them. <i>Fresh</i>: landed within a day of the event (or the platform's limit, if that is less).",
        table(columns, rows),
    )


def _freshness(week: Week) -> str:
    rows = []
    for d in sorted(
        (d for d in week.destinations if d.lags), key=lambda d: (-(d.lags.total[1] if d.lags else 0), d.title)
    ):
        assert d.lags
        half, most = d.lags.total
        marks = [
            (_place(half), "dot", f"half within {plots.duration(half)}"),
            (_place(most), "ring", f"95 % within {plots.duration(most)}"),
        ]
        limit = "any age"
        if d.oldest:
            marks.append((_place(d.oldest.total_seconds()), "limit", f"limit {span(d.oldest)}"))
            limit = f"limit {span(d.oldest)}"
        landing, delivery = d.lags.landing[0], d.lags.delivery[0]
        words = f"<b>{plots.duration(half)}</b> · {plots.duration(most)} · {limit}"
        detail = f"to the warehouse {plots.duration(landing)}, then {plots.duration(delivery)}"
        rows.append(
            plots.Track(
                d.title, [(at, name, f"{w}; {detail}") for at, name, w in marks], (_place(half), _place(most)), words
            )
        )
    if not rows:
        return ""
    return _section(
        "Freshness",
        "From the event to the platform's yes, on a logarithmic axis. The red mark is the oldest event that the platform takes.",
        plots.legend(
            [
                ("dot", "half of the events are faster"),
                ("ring", "95 of 100 are faster"),
                ("limit", "the platform's age limit"),
            ]
        ),
        plots.tracks(rows, [(_place(seconds), words) for seconds, words in LAG_TICKS], "half · 95 % · limit"),
    )


def _place(seconds: float) -> float:
    return min(1.0, max(0.0, math.log(max(seconds, LEAST) / LEAST) / math.log(MOST / LEAST)))


def _pixels(week: Week) -> str:
    if week.pixels is None:
        return ""
    rows = []
    for name, one in sorted(week.pixels.items()):
        users = ", ".join(escape(d.title) for d in week.destinations if d.pixel == name) or "no destination"
        share = "–" if one.share is None else f"{one.share:.0%}"
        twice = f'<span class="twice">{one.other_ids:,}</span>' if one.other_ids else "0"
        rows.append(
            [
                f'{escape(name)}<small class="wide">{users}</small>',
                f"{one.server:,}",
                share,
                f"{one.server - one.agreed:,}",
                f"{one.pixel_only:,}",
                twice,
            ]
        )
    columns = [
        ("pixel", ""),
        ("server events", ""),
        ("pixel too", ""),
        ("server only", "wide"),
        ("pixel only", ""),
        ("under another id", ""),
    ]
    note = (
        "By the pixel's own log. A platform counts an event once only if pixel and server send it under the same name and id: "
        "what both send under different ids may count twice. Examples: check <code>pixel_deduplication</code>."
    )
    return _section("Pixel and server", note, table(columns, rows)) if rows else ""


def _held(week: Week) -> str:
    if not week.held:
        return ""
    known = {reason.value: words for reason, words in HELD_WORDS.items()}
    assert set(known) == {reason.value for reason in Held}
    titles = {d.name: d.title for d in week.destinations}
    shown = [
        [escape(titles[name]), f"{hour:%a %d %b, %H:%M}", f"{events:,}", escape(known.get(why, why))]
        for name, hour, why, events in week.held[:50]
    ]
    more = f" The first 50 of {len(week.held)} lines." if len(week.held) > 50 else ""
    columns = [("destination", ""), ("hour", "l"), ("events", ""), ("why", "l")]
    return _section(
        "Held for a person",
        f"They may have arrived, and would count twice if they were sent again: <code>capi resolve</code>.{more}",
        table(columns, shown),
    )
