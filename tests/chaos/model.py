"""L0: the lease protocol as an explicit-state model, checked breadth first (lease-protocol 2.6).

One job, one key, two unfenced controllers that act on what they read arbitrarily long ago, a
sweeper, a network that executes requests late, faults, and a user who deletes the job at any
time. Words as in the code: Planned, Opening, Active, Closing, Closed; `resolve` is R5, `end` R6.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_WRITES, MAX_SOLD = 8, 3


@dataclass(frozen=True)
class Variant:
    """Which protocol is checked; each False or named mistake is an ablation."""

    name: str
    klass: str = "A"
    sweeper: bool = True
    intent: bool = True
    permit_to_resend: bool = True
    quarantine_to_resend: bool = True
    quarantine_to_end: bool = True
    list_after_wait: bool = True
    end_by: str = "key"
    errors_end: bool = False
    sweep_market_first: bool = True
    faults: tuple[int, int, int] = (1, 1, 1)
    """Crashes, timeouts, requests dropped."""


class Record(NamedTuple):
    """The GPULease. `state` "" before it is planned."""

    state: str = ""
    version: int = 0
    seq: int = 0
    external: int = 0


class Actor(NamedTuple):
    """A controller: where it stands, and the record as it read it."""

    at: str = "idle"
    read: Record = Record()
    found: tuple[int, ...] = ()


class World(NamedTuple):
    """One state. `flying` are requests on their way, `live` what bills, by its number."""

    record: Record = Record()
    actors: tuple[Actor, Actor] = (Actor(), Actor())
    sweep: Actor = Actor()
    flying: tuple[int, ...] = ()
    live: tuple[int, ...] = ()
    sold: int = 0
    received: int = 0
    wanted: bool = True
    left: tuple[int, int, int] = (1, 1, 1)
    broken: str = ""


def check(variant: Variant, limit: int = 400_000) -> tuple[int, str]:
    """(states explored, "" or what went wrong first)."""
    start = World(left=variant.faults)
    seen, todo = {start}, deque([start])
    while todo:
        world = todo.popleft()
        wrong = world.broken or _never(variant, world) or _ends_wrong(variant, world)
        if wrong:
            return len(seen), wrong
        for following in _steps(variant, world, faults=True):
            canonical = following._replace(actors=_sorted(following.actors))
            if canonical not in seen:
                seen.add(canonical)
                todo.append(canonical)
        if len(seen) > limit:
            return len(seen), "too many states"
    return len(seen), ""


def _sorted(actors: tuple[Actor, Actor]) -> tuple[Actor, Actor]:
    return actors if actors[0] <= actors[1] else (actors[1], actors[0])


def _never(variant: Variant, world: World) -> str:
    """What must hold in every state."""
    if world.received > max(world.record.seq, 0):
        return "more creates than permits"
    if len(world.live) > 1:
        return "double"
    return ""


def _ends_wrong(variant: Variant, world: World) -> str:
    """From every state a completion without faults must end with exactly the right leases."""
    for _ in range(80):
        following = next(_steps(variant, world, faults=False), None)
        if following is None:
            break
        world = following
        if world.broken:
            return world.broken
    else:
        return "never comes to rest"
    state, live = world.record.state, world.live
    if world.wanted and state == "Active" and live != (world.record.external,):
        return "leak" if live else "an Active lease that is not there"
    if state in ("", "Closed") and live:
        return "leak"
    is_at_end = state == "Active" if world.wanted else state in ("", "Closed")
    return "" if is_at_end or world.record.version >= MAX_WRITES else f"stuck in {state}"


def _steps(variant: Variant, world: World, *, faults: bool) -> Iterator[World]:
    yield from _network(variant, world)
    for number in (0, 1):
        yield from _controller(variant, world, number)
    if variant.sweeper:
        yield from _sweeper(variant, world, faults=faults)
    if faults:
        yield from _faults(world)


def _network(variant: Variant, world: World) -> Iterator[World]:
    """A request is carried out, sooner or later."""
    for seq in sorted(set(world.flying)):
        flying = list(world.flying)
        flying.remove(seq)
        got = world._replace(flying=tuple(flying), received=min(world.received + 1, 9))
        if variant.klass == "A" and world.live:
            yield got
        elif world.sold < MAX_SOLD:
            sold = world.sold + 1
            yield got._replace(sold=sold, live=(*world.live, sold))


def _faults(world: World) -> Iterator[World]:
    crashes, timeouts, drops = world.left
    for number, actor in enumerate(world.actors):
        if crashes and actor.at != "idle":
            left = (crashes - 1, timeouts, drops)
            yield _with(world, number, Actor())._replace(left=left)
        if timeouts and actor.at == "sent":
            left = (crashes, timeouts - 1, drops)
            yield _with(world, number, Actor())._replace(left=left)
    if drops and world.flying:
        yield world._replace(flying=world.flying[1:], left=(crashes, timeouts, drops - 1))
    if world.wanted:
        yield world._replace(wanted=False)


def _with(world: World, number: int, actor: Actor) -> World:
    actors = list(world.actors)
    actors[number] = actor
    return world._replace(actors=(actors[0], actors[1]))


def _cas(world: World, number: int, new: Record, then: Actor = Actor()) -> World:  # noqa: B008  (immutable)
    """A write on the version that was read: a conflict drops everything."""
    read = world.actors[number].read
    if world.record.version != read.version or read.version >= MAX_WRITES:
        return _with(world, number, Actor())
    new = new._replace(version=read.version + 1)
    if then.at != "idle":
        then = then._replace(read=new)
    return _with(world, number, then)._replace(record=new)


def _controller(variant: Variant, world: World, number: int) -> Iterator[World]:
    actor = world.actors[number]
    if actor.at == "idle":
        if _has_work(world):
            yield _with(world, number, Actor("read", world.record))
    elif actor.at == "read":
        yield from _decide(variant, world, number)
    elif actor.at == "permitted":
        sent = (*world.flying, actor.read.seq)
        yield _with(world, number, actor._replace(at="sent"))._replace(flying=sent)
    elif actor.at == "sent":
        if actor.read.seq not in world.flying:  # answered
            found = world.live[:1] if variant.klass == "A" else world.live[-1:]
            yield _active(world, number, found)
    elif actor.at == "ending":
        yield from _end_after_list(variant, world, number)


def _has_work(world: World) -> bool:
    state = world.record.state
    if world.record.version >= MAX_WRITES:
        return False
    if state == "Active":
        return not world.wanted
    return state != "Closed" and (state != "" or world.wanted)


def _active(world: World, number: int, found: tuple[int, ...]) -> World:
    read = world.actors[number].read
    if not found:
        return _with(world, number, Actor())  # gone meanwhile: looked up again
    return _cas(world, number, read._replace(state="Active", external=found[0]))


def _decide(variant: Variant, world: World, number: int) -> Iterator[World]:
    read = world.actors[number].read
    if read.state == "Closing":
        yield from _end(variant, world, number)
    elif not world.wanted and read.state in ("Planned", "Opening", "Active"):
        yield _cas(world, number, read._replace(state="Closing"))
    elif not world.wanted or read.state in ("Active", "Closed"):
        yield _with(world, number, Actor())
    elif read.state == "":
        yield from _plan(variant, world, number)
    elif read.state == "Planned":
        yield _permit(world, number)
    else:
        yield from _resolve(variant, world, number)


def _plan(variant: Variant, world: World, number: int) -> Iterator[World]:
    """R1. Without an intent record the market is asked before anything is written."""
    read = world.actors[number].read
    if variant.intent:
        yield _cas(world, number, read._replace(state="Planned"))
    else:
        actor = Actor("permitted", read._replace(state="Opening"))
        yield _with(world, number, actor)


def _permit(world: World, number: int) -> World:
    """R2."""
    read = world.actors[number].read
    new = read._replace(state="Opening", seq=read.seq + 1)
    return _cas(world, number, new, Actor("permitted"))


def _resolve(variant: Variant, world: World, number: int) -> Iterator[World]:
    """R5: adopt what is found under the key, else send again: class B only after the quarantine."""
    if world.live:
        yield _active(world, number, world.live)
    elif variant.klass != "A" and variant.quarantine_to_resend and not _is_quiet(world, number):
        return
    elif variant.permit_to_resend:
        yield _permit(world, number)
    else:
        yield _with(world, number, world.actors[number]._replace(at="permitted"))


def _is_quiet(world: World, number: int) -> bool:
    """T_permit + T_quarantine are over: nothing is under way or can still be sent."""
    other = world.actors[1 - number]
    return not world.flying and other.at not in ("permitted", "sent")


def _end(variant: Variant, world: World, number: int) -> Iterator[World]:
    """R6: the last permit is waited out, then everything under the key is ended."""
    actor = world.actors[number]
    must_wait = variant.quarantine_to_end and variant.list_after_wait
    if must_wait and not _is_quiet(world, number):
        return
    if variant.errors_end and actor.read.external == 0 and world.left[1]:
        yield _cas(world, number, actor.read._replace(state="Closed"))
    ended = set(world.live)
    if variant.end_by == "recorded id":
        ended &= {actor.read.external}
    live = tuple(x for x in world.live if x not in ended)
    yield _with(world, number, actor._replace(at="ending"))._replace(live=live)


def _end_after_list(variant: Variant, world: World, number: int) -> Iterator[World]:
    """The second listing, then Closed (the finalizer goes with it)."""
    actor = world.actors[number]
    if not variant.list_after_wait:
        if not _is_quiet(world, number):
            return
    elif world.live and variant.end_by == "key":
        yield _with(world, number, Actor())
        return
    yield _cas(world, number, actor.read._replace(state="Closed"))


def _sweeper(variant: Variant, world: World, *, faults: bool) -> Iterator[World]:
    """R7: market first, records second; what no record wants is ended."""
    sweep = world.sweep
    if sweep.at == "idle":
        if not _sweep_has_work(world, faults=faults):
            return
        first = Actor("half", Record(), world.live)
        if not variant.sweep_market_first:
            first = Actor("half", world.record)
        yield world._replace(sweep=first)
        return
    held = sweep.found if variant.sweep_market_first else world.live
    record = world.record if variant.sweep_market_first else sweep.read
    yield _swept(world._replace(sweep=Actor()), held, record)


def _sweep_has_work(world: World, *, faults: bool) -> bool:
    if faults:
        return bool(world.live) or world.record.state in ("", "Planned")
    record = world.record
    return any(_is_unwanted(record, held) for held in world.live)


def _is_unwanted(record: Record, held: int) -> bool:
    is_orphan = record.state in ("", "Closed")
    return is_orphan or (record.state == "Active" and record.external != held)


def _swept(world: World, held: tuple[int, ...], record: Record) -> World:
    for thing in held:
        if thing not in world.live or not _is_unwanted(record, thing):
            continue
        truth = world.record
        if truth.state == "Active" and truth.external == thing and world.wanted:
            return world._replace(broken="wrongful kill")
        world = world._replace(live=tuple(x for x in world.live if x != thing))
    return world


FULL = (
    Variant("full, class A, with sweep"),
    Variant("full, class A, without sweep", sweeper=False),
    Variant("full, class B, with sweep", "B"),
    Variant("full, class B, without sweep", "B", sweeper=False),
)
LARGE = (Variant("full, class B, two crashes, two timeouts", "B", faults=(2, 2, 1)),)
ABLATIONS = (
    Variant("no intent record", intent=False, sweeper=False),
    Variant("no permit before a re-send", permit_to_resend=False, sweeper=False),
    Variant("no quarantine before release", quarantine_to_end=False, sweeper=False),
    Variant("no quarantine before a re-send", "B", quarantine_to_resend=False),
    Variant("list first, quarantine after", list_after_wait=False, sweeper=False),
    Variant("release by recorded id only", end_by="recorded id", sweeper=False),
    Variant("finalizer dropped on a market's error", errors_end=True, sweeper=False),
    Variant("sweep lists records first", sweep_market_first=False),
    Variant(
        "network slower than quarantine",
        "B",
        quarantine_to_end=False,
        quarantine_to_resend=False,
        sweeper=False,
    ),
)
