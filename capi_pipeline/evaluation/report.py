"""The figures as a document, as Markdown and as plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capi_pipeline.evaluation import clicks, people
from capi_pipeline.evaluation.tables import Found


def document(found: Found, seed: int | None) -> dict[str, Any]:
    """All figures, as `capi evaluate-identity --json` prints them."""
    counts = clicks.score(found.truth, found.attached)
    all_ = counts.pop("")
    stitched, oracle = people.stitched(found.ids), people.knowable(found.ids)
    lost = clicks.losses(found.truth, found.attached, found.facts)
    refused = lost.get(clicks.REFUSED, 0) + lost.get(clicks.REFUSED_THERE, 0)
    unseen = lost.get(clicks.UNSEEN, 0)
    return {
        "seed": seed,
        "clicks": {
            **all_.document(),
            "precision_where_seen": _ratio(all_.right, all_.attached - unseen),
            "recall_of_consented": _ratio(all_.right, all_.knowable - refused),
            "conversions": found.conversions,
            "by_parameter": {name: counts[name].document() for name in sorted(counts, key=lambda n: -counts[n].all)},
        },
        "people": {
            **_score(stitched),
            "recall_of_connected": _ratio(people.right_and_connected(found.ids), oracle.pairs_right),
            "people": len({id_.person for id_ in found.ids}),
            "ids": len(found.ids),
            "ids_without_a_person": sum(id_.predicted is None for id_ in found.ids),
            "shared_values": found.shared,
            "shared_values_given_to_a_person": found.shared_given,
            "ambiguous_spellings": found.ambiguous,
        },
        "oracle": {
            "clicks_knowable_share": _ratio(all_.knowable, all_.all),
            "clicks_precision": _ratio(all_.attached - unseen, all_.attached),
            "people_recall": oracle.recall,
            "people_pairs": oracle.pairs_right,
        },
        "losses": {
            **{f"clicks, {why}": n for why, n in lost.items()},
            **{f"people, {why}": n for why, n in people.losses(found.ids).items()},
        },
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _score(score: people.Score) -> dict[str, float | int | None]:
    return {
        "precision": score.precision,
        "recall": score.recall,
        "pairs_true": score.pairs_true,
        "pairs_predicted": score.pairs_predicted,
        "pairs_right": score.pairs_right,
    }


def share(value: float | None) -> str:
    """A share for readers; a dash when there is nothing to divide."""
    return "-" if value is None else f"{100 * value:.2f}%"


def markdown(figures: Mapping[str, Any]) -> str:
    """The figures as tables."""
    found, stitched, oracle = figures["clicks"], figures["people"], figures["oracle"]
    seed = "" if figures["seed"] is None else f", seed {figures['seed']}"
    head = [
        [
            "Clicks on conversions",
            share(found["precision"]),
            share(found["precision_where_seen"]),
            share(oracle["clicks_precision"]),
            share(found["recall"]),
            share(found["recall_of_consented"]),
            share(oracle["clicks_knowable_share"]),
        ],
        [
            "Pairs of a person's ids",
            share(stitched["precision"]),
            share(stitched["precision"]),
            share(1.0),
            share(stitched["recall"]),
            share(stitched["recall_of_connected"]),
            share(oracle["people_recall"]),
        ],
    ]
    body = [
        [f"`{name}`", share(row["precision"]), share(row["recall"]), *(f"{row[k]:,}" for k in _COUNTED)]
        for name, row in found["by_parameter"].items()
    ]
    lost = sorted(figures["losses"].items(), key=lambda item: -abs(item[1]))
    return "\n".join(
        [
            f"# Identity resolution, evaluated{seed}",
            "",
            *_table(_HEAD, head),
            "",
            EXPLAINED,
            "",
            "## Clicks by parameter",
            "",
            *_table(["parameter", "precision", "recall", *_COUNTED], body),
            "",
            "## Where it loses",
            "",
            *_table(["class", "count"], [[why, f"{count:,}"] for why, count in lost]),
            "",
        ]
    )  # fmt: skip


EXPLAINED = """Clicks: precision is right / attached, recall is right / knowable, and of what it may know: without those whose
people refused. An oracle attaches the last click that the rows connect with the conversion: it is wrong where a later one was
never recorded, and knows knowable / all. Pairs: recall of all pairs, and of those that the recorded rows connect, which
is all that an oracle can join. Ids of several people (shared devices, role addresses, tills) make no pairs."""
_HEAD = ("", "precision", "where the right click was seen", "an oracle's", "recall", "recall of what it may know",
         "an oracle's share of all")  # fmt: skip
_COUNTED = ("attached", "right", "knowable", "all")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in columns[1:])]
    return [f"| {' | '.join(row)} |" for row in (columns, rule, *rows)]


def write(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `identity.md`, `clicks.png` and `losses.png`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "identity.md"
    page.write_text(markdown(figures) + "\n![Clicks](clicks.png)\n\n![Losses](losses.png)\n", "utf-8")
    return [page, _clicks(figures, folder / "clicks.png"), _losses(figures, folder / "losses.png")]


def _clicks(figures: Mapping[str, Any], path: Path) -> Path:
    rows = list(figures["clicks"]["by_parameter"].items())[::-1]
    names = [name for name, _ in rows]
    figure = _figure(len(rows))
    axes = figure.subplots()
    for key, color in (("all", "#d9dde3"), ("knowable", "#9db4d3"), ("right", "#2f6db3")):
        axes.barh(names, [row[key] for _, row in rows], color=color, label=key)
    axes.set_xlabel("clicks of conversions")
    axes.set_title("The right click on the conversion, by parameter", loc="left")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path)
    return path


def _losses(figures: Mapping[str, Any], path: Path) -> Path:
    halves = {
        part: sorted((n, why.removeprefix(f"{part}, ")) for why, n in figures["losses"].items() if why.startswith(part))
        for part in ("clicks", "people")
    }
    figure = _figure(3 + sum(map(len, halves.values())))
    panels = figure.subplots(2, height_ratios=[max(len(rows), 1) for rows in halves.values()])
    titles = ("Where clicks are lost or wrong", "Where pairs of a person's ids are lost or wrong")
    for axes, rows, title in zip(panels, halves.values(), titles, strict=True):
        bars = axes.barh([why for _, why in rows], [count for count, _ in rows], color="#b3552f")
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_xscale("symlog")
        axes.margins(x=0.15)
        axes.set_title(title, loc="right")
    figure.savefig(path)
    return path


def _figure(rows: int) -> Any:
    from matplotlib.figure import Figure  # half a second to load, and no window: the file formats only

    return Figure(figsize=(10, 1.4 + 0.26 * max(rows, 4)), dpi=120, layout="constrained")
