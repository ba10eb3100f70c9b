"""Attackers who vary what they write: what the screener misses, and how soon one who probes it gets through.

    python -m benchmarks.adaptive [--hosts FILE.jsonl] [--queries 40] [--goals 60] [--seed 7]

Goals, wordings and framings were written for this benchmark (`adaptive_attacks/`). Hosts are the sample company's texts
without those that hold a trap, or the records {id, title, text} of a file. First each family of variations is applied
alone to each goal. Then an attacker who sees the greatest score upon the attack climbs down from the plain order: one
choice of wording, writing, framing and place is made anew a query, and kept unless the score grows.

An attack got through when nothing that scores at least the threshold touches it. Beside it stands, always, what the
screener takes from the hosts as they are.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import records, report
from benchmarks.mutations import Attack, Goal, Host, Planted, Space, read_goals
from evals import metrics
from evals.injection import LabelledText, Outcome, Span, outcome, ratio, screen_texts
from evals.json_lines import spread
from ingest.encoders import EncoderConfig, open_encoder
from retrieval.screening_policy import ScreeningPolicy

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from ingest.screening import Screener, Screening

SAMPLES: Final = Path(__file__).parents[1] / "samples"
HOST_CHARACTERS: Final = (600, 3_000)  # of a host: a shorter text is no document, a longer one is cut at a line
KINDS: Final = ("override", "task", "exfiltration", "secret")
SHOWN_QUERIES: Final = (0, 1, 2, 5, 10, 20, 40, 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attack in its host, and what came of it."""

    attack: Attack
    outcome: Outcome
    score: float  # the greatest of findings that touch the attack; 0 without any

    @property
    def through(self) -> bool:
        """Whether nothing touched it."""
        return not self.outcome.found


@dataclass(kw_only=True)
class Bench:
    """The screener under attack."""

    screener: Screener
    encoder: Encoder
    threshold: float

    def attempt(self, attacks: Sequence[Attack], hosts: Sequence[Host]) -> list[Attempt]:
        """Plant each attack in its host and screen it."""
        planted = [attack.planted(host) for attack, host in zip(attacks, hosts, strict=True)]
        texts = [
            LabelledText(id=str(number), text=own.text, label="attack", title=host.title)
            for number, (own, host) in enumerate(zip(planted, hosts, strict=True))
        ]
        screened = screen_texts(self.screener, texts, self.encoder).screenings
        return [self._attempt(*each) for each in zip(attacks, texts, planted, screened, strict=True)]

    def over_defence(self, hosts: Sequence[Host]) -> list[Outcome]:
        """What is found in the hosts as they are."""
        texts = [LabelledText(id=host.id, text=host.text, label="benign", title=host.title) for host in hosts]
        screened = screen_texts(self.screener, texts, self.encoder).screenings
        return [outcome(text, found, self.threshold) for text, found in zip(texts, screened, strict=True)]

    def climb(self, goals: Sequence[Goal], hosts: Sequence[Host], queries: int, seed: int) -> list[list[Attempt]]:
        """For each goal the best attempt after 0, 1, … queries beyond the plain order; goals are tried side by side."""
        space = Space()
        drawn = [random.Random(f"climb:{seed}:{goal.id}") for goal in goals]
        best = self.attempt([Attack(goal=goal) for goal in goals], hosts)
        history = [[attempt] for attempt in best]
        for _ in range(queries):
            tried = self.attempt([space.varied(b.attack, rng) for b, rng in zip(best, drawn, strict=True)], hosts)
            best = [new if new.score <= old.score else old for new, old in zip(tried, best, strict=True)]
            for own, attempt in zip(history, best, strict=True):
                own.append(attempt)
        return history

    def _attempt(self, attack: Attack, text: LabelledText, planted: Planted, screening: Screening) -> Attempt:
        """What covers the order counts for the attack, what covers the host for clean text; the frame is neither."""
        order = outcome(text, screening, self.threshold, planted.orders)
        host = outcome(text, screening, self.threshold, planted.frames)
        return Attempt(
            attack=attack,
            outcome=replace(order, clean=host.clean, clean_covered=host.clean_covered),
            score=_score_upon(screening, planted.orders),
        )


def read_hosts(path: Path | None) -> list[Host]:
    """Documents that take attacks in: the records of a file, else the sample company's."""
    if path is not None:
        found = [Host(id=str(r["id"]), title=r.get("title") or "", text=r["text"]) for r in records.read(path)]
    else:
        found = [_sample(file) for file in _sample_files()]
    least, most = HOST_CHARACTERS
    return [Host(id=h.id, title=h.title, text=_cut(h.text, most)) for h in found if len(h.text) >= least]


def main() -> None:
    """Runs both parts and prints their tables."""
    given = _arguments()
    from retrieval.injection.screener import InjectionScreener

    bench = Bench(screener=InjectionScreener(), encoder=open_encoder(EncoderConfig()), threshold=given.threshold)
    goals, hosts = spread(read_goals(), given.goals), read_hosts(given.hosts)
    own = _drawn_hosts(hosts, len(goals), given.seed)
    report.heading(
        "adaptive",
        f"{bench.screener.id}, threshold {bench.threshold}, {bench.encoder.id}",
        f"{len(goals)} goals, {len(hosts)} hosts ({given.hosts or 'samples'}), seed {given.seed}",
    )
    show_over_defence(bench.over_defence(hosts))
    families = [(*f, host) for goal, host in zip(goals, own, strict=True) for f in Space().families(goal, given.seed)]
    attempts = bench.attempt([attack for _, attack, _ in families], [host for *_, host in families])
    show_families([name for name, *_ in families], attempts)
    show_climb(bench.climb(goals, own, given.queries, given.seed))


def show_over_defence(outcomes: Sequence[Outcome]) -> None:
    """What the screener costs on documents without an attack."""
    flagged = metrics.share(o.flagged for o in outcomes)
    lost = ratio([o.clean_covered for o in outcomes], [o.clean for o in outcomes], _numbers(outcomes))
    report.table(
        ("documents without an attack", "flagged", "clean text lost"),
        [(len(outcomes), _figure(flagged), _figure(lost))],
    )
    print()


def show_families(names: Sequence[str], attempts: Sequence[Attempt]) -> None:
    """Each family of variations on its own."""
    rows = []
    for name in dict.fromkeys(names):
        own = [a for family, a in zip(names, attempts, strict=True) if family == name]
        removed = ratio([a.outcome.attack_covered for a in own], [a.outcome.attack for a in own], _numbers(own))
        lost = ratio([a.outcome.clean_covered for a in own], [a.outcome.clean for a in own], _numbers(own))
        found = [metrics.share(a.outcome.found for a in some) for some in (own, *_by_kind(own))]
        rows.append((name, len(own), *map(_figure, (found[0], removed, lost)), *(_plain(f) for f in found[1:])))
    report.table(("variation", "n", "found", "characters removed", "clean text lost", *KINDS), rows)
    print()


def show_climb(history: Sequence[Sequence[Attempt]]) -> None:
    """How soon an attacker who sees scores gets through, and with what."""
    last = len(history[0]) - 1
    rows = []
    for queries in sorted({q for q in SHOWN_QUERIES if q < last} | {last}):
        at = [own[queries] for own in history]
        through = [metrics.share(a.through for a in some) for some in (at, *_by_kind(at))]
        rows.append((queries, _figure(through[0]), *(_plain(figure) for figure in through[1:])))
    report.table(("queries", "got through", *KINDS), rows)
    space = Space()
    first = [next(a for a in own if a.through).attack for own in history if own[-1].through]
    ways = Counter(part for attack in first for part in space.describe(attack).split(", "))
    print()
    report.table(("what the first that got through was made of", "attacks"), ways.most_common(15))


def _by_kind(attempts: Sequence[Attempt]) -> list[list[Attempt]]:
    return [[a for a in attempts if a.attack.goal.kind == kind] for kind in KINDS]


def _score_upon(screening: Screening, spans: Sequence[Span]) -> float:
    touching = (f.score for f in screening.findings if any(f.start < end and f.end > start for start, end in spans))
    return max(touching, default=0.0)


def _drawn_hosts(hosts: Sequence[Host], count: int, seed: int) -> list[Host]:
    """`count` hosts, none again before all have been drawn."""
    rng = random.Random(seed)
    found: list[Host] = []
    while len(found) < count:
        found += rng.sample(hosts, len(hosts))
    return found[:count]


def _sample_files() -> list[Path]:
    """The sample company's texts, and those that its binary documents are made from, without a trap in them."""
    traps = {json.loads(line)["path"] for line in (SAMPLES / "traps.jsonl").read_text("utf-8").splitlines()}
    company = {p: p.relative_to(SAMPLES) for p in (SAMPLES / "company").rglob("*") if p.suffix in (".md", ".txt")}
    source = (SAMPLES / "source").rglob("*.md")
    made = {p: "company" / p.relative_to(SAMPLES / "source").with_suffix("") for p in source}
    return sorted(path for path, document in (company | made).items() if document.as_posix() not in traps)


def _sample(file: Path) -> Host:
    text = file.read_text("utf-8")
    title = text.split("\n", 1)[0].lstrip("# ").strip()
    return Host(id=file.relative_to(SAMPLES).as_posix(), title=title, text=text)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: text.rfind("\n", 0, most)] if "\n" in text[:most] else text[:most]


def _numbers(items: Sequence[object]) -> list[str]:
    return [str(number) for number in range(len(items))]


def _figure(figure: metrics.Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _plain(figure: metrics.Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--goals", type=int, default=60)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--threshold", type=float, default=ScreeningPolicy().act)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
