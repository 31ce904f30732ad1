"""How well people and clicks are found, on three seeds of the demo shop: `python benchmarks/evaluation.py --write` puts the table
into docs/identity.md. Each seed is `capi evaluate-identity`, which reads the warehouse's tables and the truth, nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import typer
from common import put

PAGE = Path(__file__).parents[1] / "docs" / "identity.md"


def main(seeds: str = "1,2,3", conversions: int = 5000, write: bool = False) -> None:
    """Print the tables; with --write, put them into docs/identity.md."""
    found = {seed: _evaluated(seed, conversions) for seed in seeds.split(",")}
    page = f"{_figures(found)}\n\n{_losses(found)}"
    print(page)
    if write:
        put("evaluation", page, PAGE)


def _evaluated(seed: str, conversions: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="capi-bench-") as folder:
        command = [
            "capi",
            "evaluate-identity",
            "--seed",
            seed,
            "--conversions",
            str(conversions),
            "--json",
            "--out",
            folder,
        ]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("capi")), *command[1:]], capture_output=True, text=True, cwd=folder
        )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return dict(json.loads(done.stdout))


def _figures(found: dict[str, dict[str, Any]]) -> str:
    rows = {
        "**clicks**: attached and right, of attached (precision)": ("clicks", "precision"),
        "an oracle's, with the same rows": ("oracle", "clicks_precision"),
        "where the right click was recorded at all": ("clicks", "precision_where_seen"),
        "attached and right, of knowable (recall)": ("clicks", "recall"),
        "of those whose people had not refused": ("clicks", "recall_of_consented"),
        "knowable, of all (an oracle's bound)": ("oracle", "clicks_knowable_share"),
        "**people**: pairs that are right, of stitched pairs (precision)": ("people", "precision"),
        "of pairs that the rows connect (recall)": ("people", "recall_of_connected"),
        "of all true pairs": ("people", "recall"),
        "an oracle's, of all true pairs": ("oracle", "people_recall"),
    }
    heads = " | ".join(f"seed {seed}" for seed in found)
    lines = [f"| | {heads} |", "|---|" + "---:|" * len(found)]
    for words, (part, key) in rows.items():
        lines.append(f"| {words} | " + " | ".join(f"{run[part][key]:.2%}" for run in found.values()) + " |")
    sizes = " | ".join(f"{run['clicks']['all']:,}; {run['people']['ids']:,}" for run in found.values())
    return "\n".join([*lines, f"| clicks that led to conversions; ids of people | {sizes} |"])


def _losses(found: dict[str, dict[str, Any]]) -> str:
    total: Counter[str] = Counter()
    for run in found.values():
        total.update(run["losses"])
    heads = " | ".join(f"seed {seed}" for seed in found)
    lines = [f"| class of loss | {heads} |", "|---|" + "---:|" * len(found)]
    for words, number in total.most_common():
        if number > 0:
            lines.append(
                f"| {words} | " + " | ".join(f"{run['losses'].get(words, 0):,}" for run in found.values()) + " |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
