"""The report as one HTML page that a manager can read: what it costs, what was kept, what changes.

No script, no file beside it: plots are inline SVG. Called by `overspill simulate --html`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from overspill.simulate import svg
from overspill.simulate.history import History
from overspill.simulate.summary import WAITS, Course, Summary
from overspill.simulate.supply import HOME
from overspill.simulate.words import amount, percent, span, usd


@dataclass(frozen=True)
class Shown:
    """One scenario, in figures and over time."""

    summary: Summary
    course: Course


def page(history: History, shown: Sequence[Shown], notes: Iterable[str]) -> str:
    """The whole page; the first scenario is the one the headline speaks of."""
    parts = [
        _headline(history, shown),
        _cards(shown[0].summary),
        *([_comparison([s.summary for s in shown])] if len(shown) > 1 else []),
        *(_usage(history, one) for one in shown),
        _money(history, shown),
        _waits([s.summary for s in shown]),
        *(_classes(one.summary) for one in shown),
        *(_places(one.summary) for one in shown),
        _notes(notes),
    ]
    return _PAGE.replace("{body}", "\n".join(parts))


def _headline(history: History, shown: Sequence[Shown]) -> str:
    first = shown[0].summary
    jobs = history.jobs
    began = history.moment(min(j.submit_s for j in jobs))
    ended = history.moment(max(j.submit_s for j in jobs))
    gpus = sum(node.gpus for node in history.nodes)
    told = (
        f"{amount(first.jobs)} jobs, submitted over {span((ended - began).total_seconds())}, on "
        f"{amount(len(history.nodes))} own nodes with {amount(gpus)} GPUs and "
        f"{len(history.places)} place{'s' * (len(history.places) != 1)} to rent."
    )
    return f"<h1>{escape(_verdict(first))}</h1><p class='lead'>{escape(told)}</p>"


def _verdict(found: Summary) -> str:
    cost = f"{usd(found.usd)} for {amount(found.finished)} finished jobs"
    if found.saved_usd is None or not found.reference_usd:
        return cost
    share = abs(found.saved_usd) / found.reference_usd
    if found.saved_usd >= 0:
        return f"{cost}: {percent(share)} less than the reference price"
    return f"{cost}: {percent(share)} more than the reference price"


def _cards(found: Summary) -> str:
    kept = found.promised - found.missed
    cards = [
        ("Cost", usd(found.usd), f"own {usd(found.own_usd)}, rented {usd(found.rented_usd)}"),
        ("Saved", usd(found.saved_usd), f"reference {usd(found.reference_usd)}"),
        (
            "Finish-by kept",
            percent(kept / found.promised) if found.promised else "none promised",
            f"{amount(found.missed)} of {amount(found.promised)} missed",
        ),
        (
            "Wait, median",
            span(found.median_wait_s),
            f"one job in twenty waits over {span(found.p95_wait_s)}",
        ),
        (
            "Work done twice",
            percent(found.rework_share),
            f"of the cost; starts {percent(found.start_usd / found.usd if found.usd else 0)}",
        ),
    ]
    tiles = "".join(
        f"<div class='card'><b>{escape(t)}</b><span>{escape(v)}</span>"
        f"<small>{escape(s)}</small></div>"
        for t, v, s in cards
    )
    return f"<div class='cards'>{tiles}</div>"


def _comparison(found: Sequence[Summary]) -> str:
    first = found[0]
    rows = []
    for s in found:
        less = "" if s is first else _difference(first.usd - s.usd)
        rows.append(
            [
                *(s.name, usd(s.usd), less, f"{amount(s.missed)} of {amount(s.promised)}"),
                *(span(s.median_wait_s), percent(s.rented_share), percent(s.rework_share)),
            ]
        )
    head = ["scenario", "cost", f"{first.name} is", "missed", "median wait", "rented"]
    return "<h2>Compared</h2>" + _table([*head, "rework"], rows)


def _difference(amount_usd: float) -> str:
    return f"{usd(abs(amount_usd))} {'dearer' if amount_usd > 0 else 'cheaper'}"


def _usage(history: History, one: Shown) -> str:
    own = svg.Line("own GPUs in use", one.course.own, svg.COLOURS[0])
    rented = svg.Line("rented GPUs", one.course.rented, svg.COLOURS[1])
    gpus = float(sum(node.gpus for node in history.nodes))
    has = svg.Line("own GPUs there are", [gpus] * len(one.course.own), svg.GREY, dashed=True)
    plot = svg.areas([own, rented], _axis(history, one.course), amount, has)
    title = f"<h2>GPUs in use: {escape(one.summary.name)}</h2>"
    return title + svg.legend([own, rented, has]) + plot


def _money(history: History, shown: Sequence[Shown]) -> str:
    longest = max((s.course for s in shown), key=lambda c: c.times[-1])
    found = [
        svg.Line(s.summary.name, _resampled(s.course, longest), svg.COLOURS[i % 4])
        for i, s in enumerate(shown)
    ]
    reference = shown[0].summary.reference_usd
    if reference is not None:
        found.append(_reference_line(reference, longest, shown[0].course))
    plot = svg.lines(found, _axis(history, longest), lambda v: usd(v, whole=True))
    return "<h2>Dollars spent so far</h2>" + svg.legend(found) + plot


def _reference_line(reference: float, over: Course, by: Course) -> svg.Line:
    """The reference price grows as GPU-hours are used, so that both end at their totals."""
    used, total, running = [], 0.0, []
    for own, rented in zip(by.own, by.rented, strict=True):
        total += own + rented
        running.append(total)
    used = [reference * part / (total or 1.0) for part in running]
    course = Course(by.times, by.width_s, by.own, by.rented, used)
    return svg.Line(
        "the same work at the reference price", _resampled(course, over), svg.GREY, True
    )


def _resampled(course: Course, over: Course) -> list[float]:
    """Its spending at the parts of another course; after its end it stays."""
    found = []
    for time in over.times:
        index = int((time - course.times[0]) // course.width_s)
        found.append(course.spent[min(max(index, 0), len(course.spent) - 1)])
    return found


def _waits(found: Sequence[Summary]) -> str:
    lines = [
        svg.Line(s.name, [100 * share for share in s.started_within], svg.COLOURS[i % 4])
        for i, s in enumerate(found)
    ]
    groups = [f"within {name}" for _, name in WAITS]
    plot = svg.bars(groups, lines, lambda v: f"{v:.0f} %", 100.0)
    return "<h2>How soon jobs start</h2>" + svg.legend(lines) + plot


def _classes(found: Summary) -> str:
    rows = [
        [
            *(c.name, amount(c.jobs), amount(c.finished), amount(c.promised), amount(c.kept)),
            *("" if c.attained is None else percent(c.attained), usd(c.usd)),
        ]
        for c in found.classes
    ]
    head = ["class", "jobs", "finished", "with finish-by", "kept", "attained", "cost"]
    return f"<h2>Promised and attained: {escape(found.name)}</h2>" + _table(head, rows)


def _places(found: Summary) -> str:
    rows = [
        [
            *("own nodes" if p.name == HOME else p.name, amount(p.stays), amount(p.losses)),
            *(amount(p.gpu_h), usd(p.usd), usd(p.usd / p.gpu_h if p.gpu_h else 0.0)),
        ]
        for p in found.places
    ]
    head = ["place", "stays", "lost", "GPU-hours", "cost", "per GPU-hour"]
    return f"<h2>Where it ran: {escape(found.name)}</h2>" + _table(head, rows)


def _notes(notes: Iterable[str]) -> str:
    return (
        f"<h2>How this was computed</h2><ul>{''.join(f'<li>{escape(n)}</li>' for n in notes)}</ul>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _axis(history: History, course: Course) -> svg.Axis:
    """Seven dates at most, at whole days where the course is long enough."""
    count = len(course.times)
    total = course.width_s * count
    marks = []
    for part in range(7):
        tick = round(part * (count - 1) / 6)
        moment = history.moment(course.times[tick])
        marks.append((tick, _moment(moment, history, total)))
    return svg.Axis(count, marks)


def _moment(moment: datetime, history: History, total_s: float) -> str:
    if history.origin.year == _RELATIVE:
        return f"day {(moment - history.origin) / timedelta(days=1):.0f}"
    return f"{moment:%d %b}" if total_s > 4 * 86400 else f"{moment:%d %b %H:%M}"


_RELATIVE = 2000
"""The year of a history that is told in seconds."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Overspill: what it would have done</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#22262b;
 margin:0 auto;max-width:960px;padding:28px 20px 60px;background:#fff}
h1{font-size:27px;line-height:1.25;margin:0 0 6px}
h2{font-size:18px;margin:34px 0 8px}
.lead{color:#4a4f57;margin:0 0 18px}
.cards{display:flex;flex-wrap:wrap;gap:12px}
.card{flex:1 1 150px;border:1px solid #e3e6ea;border-radius:8px;padding:12px 14px}
.card b{display:block;font-weight:600;color:#4a4f57;font-size:13px}
.card span{display:block;font-size:23px;font-weight:650}
.card small{color:#6b7079}
.legend{font-size:13px;color:#4a4f57}
.key{margin-right:18px;white-space:nowrap}
.key i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
svg{width:100%;height:auto;font-family:inherit}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:right;padding:6px 8px;border-bottom:1px solid #e3e6ea;white-space:nowrap}
th{color:#4a4f57;font-weight:600}
th:first-child,td:first-child{text-align:left;white-space:normal;overflow-wrap:anywhere}
li{margin:3px 0;color:#4a4f57}
@media print{body{max-width:none}h2{break-after:avoid}svg,table{break-inside:avoid}}
</style></head><body>
{body}
</body></html>
"""
