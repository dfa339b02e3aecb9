"""The SMTP server misbehaves: in each phase, over DATA and over BDAT, as the sink's script says."""

import signal
import time
from collections.abc import Callable, Sequence

from drills.faults import Fault, Play
from drills.run import DEPTH, Allowed, Run
from drills.script import Act, Rule
from drills.servers import wait_until

_BEFORE = ("connect", "greeting", "ehlo")
_LETTER = ("mail", "rcpt", "data", "body", "end", "dot")


def _once_each(run: Run, act: Act, places: Sequence[str], **more: float | str) -> list[Rule]:
    """The act once at each place, after a random number of times that went well."""
    return [
        Rule(
            at=place,
            act=act,
            after=0 if place in _BEFORE else run.some(0.02, 0.5),
            times=1,
            seconds=float(more.get("seconds", 0)),
            text=str(more.get("text", "")),
        )
        for place in places
        if place != "data" or not run.chunking
    ]


def _scripted(rules: Callable[[Run], list[Rule]], *, cut_after: float = 0.0) -> Play:
    """Publish against a sink that obeys these rules; `cut_after` ends connections that wait for ever."""

    def play(run: Run) -> Allowed:
        chosen = rules(run)
        run.sink.misbehave(*chosen)
        run.sink.slow_down(0.003)
        run.start()
        run.publish()
        _let_it_happen(run, len(chosen), cut_after)
        run.sink.behave()
        run.broken()
        # Each connection that is lost may leave as much in doubt as it held.
        return Allowed(doubt=(len(chosen) + (4 if cut_after else 0)) * (DEPTH if run.chunking else 1))

    return play


def _let_it_happen(run: Run, times: int, cut_after: float) -> None:
    """Move the clock until every rule has applied or everything is settled."""

    def over() -> bool:
        run.move_clock()
        return run.sink.applied >= times or run.settled()

    try:
        wait_until(over, "every rule applies", cut_after or 20)
    except TimeoutError:
        if not cut_after:
            raise
    if cut_after:
        time.sleep(0.3)
        run.sink.order(cut=True)


def _reset(run: Run) -> list[Rule]:
    return _once_each(run, Act.RESET, [*_BEFORE, *_LETTER])


def _close(run: Run) -> list[Rule]:
    return _once_each(run, Act.CLOSE, [*_BEFORE, *_LETTER])


def _leave(run: Run) -> list[Rule]:
    return _once_each(run, Act.LEAVE, ["greeting", "ehlo", "mail", "rcpt", "data", "end", "dot"])


def _garbage(run: Run) -> list[Rule]:
    return _once_each(run, Act.GARBAGE, ["greeting", "ehlo", "mail", "rcpt", "data", "dot"])


def _huge(run: Run) -> list[Rule]:
    return _once_each(run, Act.HUGE, ["greeting", "ehlo", "mail", "rcpt", "data", "dot"])


def _extra(run: Run) -> list[Rule]:
    return _once_each(run, Act.EXTRA, ["ehlo", "mail", "rcpt", "data", "dot"])


def _wrong_code(run: Run) -> list[Rule]:
    texts = ("999 what", "150 wait", "354 go on", "2x0 ok", "25", "250\x00 ok")
    return [
        Rule(at=place, act=Act.SAY, text=run.rng.choice(texts), after=run.some(0.02, 0.5), times=1)
        for place in ("mail", "rcpt", "dot", "dot")
    ]


def _wrong_enhanced(run: Run) -> list[Rule]:
    """A yes whose enhanced code says no: the code wins."""
    return [Rule(at="dot", act=Act.SAY, text="250 5.1.1 accepted", after=run.some(0, 0.3), times=9)]


def _skipped(run: Run) -> list[Rule]:
    return _once_each(run, Act.SKIP, ["mail", "rcpt", "data", "dot"])


def _late(run: Run) -> list[Rule]:
    return _once_each(run, Act.DELAY, ["connect", "ehlo", *_LETTER], seconds=1.0)


def _drip(run: Run) -> list[Rule]:
    return _once_each(run, Act.DRIP, ["mail", "rcpt", "dot"], seconds=run.drip)


def _lost_replies(run: Run) -> Allowed:
    """The mail is taken and the reply never comes: doubt, and exactly there."""
    rules = [Rule(at="dot", act=Act.RESET, after=run.some(0.05, 0.2), every=run.some(0.1, 0.2), times=3)]
    run.sink.misbehave(*rules)
    run.start()
    run.publish(policy="retry" if run.seed % 2 else None)
    _let_it_happen(run, 3, 0)
    run.broken()
    return Allowed(doubt=3 * (DEPTH if run.chunking else 1))


def _mute_then_killed(run: Run) -> Allowed:
    """No reply to a dot, the worker waits as it must, and is killed while it does."""
    run.sink.misbehave(Rule(at="dot", act=Act.MUTE, after=run.some(0.1, 0.3), times=4))
    run.start()
    run.publish()
    wait_until(lambda: run.sink.applied >= 1, "a connection waits")
    time.sleep(run.rng.uniform(0.3, 1.0))  # others go on until they wait too, or nothing is left to them
    run.signal("worker-send", signal.SIGKILL)
    run.sink.behave()
    run.broken()
    run.start("worker-send")
    return Allowed(doubt=run.most_in_flight, from_journal=True)


def _refused(run: Run) -> Allowed:
    """Some addresses do not exist: they fail, at RCPT or at the dot, and nobody else does."""
    texts = ("550 5.1.1 no such user", "551 5.1.6 moved", "550 5.1.10 no such domain")
    run.sink.misbehave(
        *(Rule(at="rcpt", act=Act.SAY, text=text, after=run.some(0, 0.5), times=2) for text in texts),
        Rule(at="dot", act=Act.SAY, text="550 5.1.1 no such user", after=run.some(0.1, 0.5), times=2),
    )
    run.start()
    run.publish()
    run.broken()
    run.finish()
    return Allowed(failed=run.sink.applied)


def _for_now(run: Run) -> Allowed:
    """Temporary refusals in the midst of groups, at RCPT, at the dot, and of whole connections."""
    run.sink.misbehave(
        Rule(at="rcpt", act=Act.SAY, text="450 4.2.0 try later", every=7, times=12),
        Rule(at="dot", act=Act.SAY, text="452 4.3.1 no room", every=5, times=12),
        Rule(at="mail", act=Act.SAY, text="451 4.3.0 try later", every=11, times=6),
        Rule(at="rcpt", act=Act.SAY, text="452 4.5.3 too many recipients", after=40, per_connection=True),
    )
    run.start()
    run.publish()
    run.broken()
    return Allowed()


def _greylisted(run: Run) -> Allowed:
    run.sink.misbehave(
        Rule(at="rcpt", act=Act.GREYLIST, text="451 4.7.1 greylisted, try again in 300 seconds")
    )
    run.start()
    run.publish()
    wait_until(lambda: run.sink.applied >= run.readers or run.moved(), "everybody is greylisted once", 60)
    run.broken()
    return Allowed()


def _all_day(run: Run) -> Allowed:
    """Every recipient is put off for a day; the rows live through it in steps of four hours."""
    run.sink.misbehave(Rule(at="rcpt", act=Act.SAY, text="451 4.3.0 try later"))
    run.start()
    run.publish()
    wait_until(lambda: run.count("deferred") == run.readers or run.moved(), "all are put off", 60)
    for _ in range(6):
        before = run.sink.applied
        run.change("not_after = not_after - interval '4 hours', due_at = now()")
        run.reopen()
        wait_until(lambda floor=before: run.sink.applied > floor or run.moved(), "they are tried again")  # type: ignore[misc]
        time.sleep(0.5)
    if run.sink.accepted or run.count("failed", "expired"):
        raise AssertionError("a day of temporary refusals cost somebody their mail")
    run.sink.behave()
    run.broken()
    return Allowed()


def _no_login(run: Run) -> Allowed:
    """The relay refuses the login: it rests, nobody is charged, and it goes on when it works again."""
    port = run.sink.port
    run.sink.order(features=["PIPELINING", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN"])
    run.sink.misbehave(Rule(at="auth", act=Act.SAY, text="535 5.7.8 authentication failed"))
    run.variables["smtp_url"] = f"smtp://drill:secret@127.0.0.1:{port}"
    run.start()
    run.publish()
    wait_until(lambda: run.sink.applied >= 2 or run.moved(), "the login is tried again", 30)
    if run.count("failed"):
        raise AssertionError("a refused login was charged to recipients")
    run.sink.behave()
    run.broken()
    return Allowed()


def _down(run: Run) -> Allowed:
    """Nobody listens: from the start, and once more in the midst (SIGKILL of the server)."""
    run.sink.stop()
    run.start()
    run.publish()
    wait_until(lambda: run.count("deferred") > 0, "the relay is found to be down")
    run.sink.start()
    run.sink.slow_down(0.005)
    wait_until(lambda: run.moved() or run.sink.accepted >= run.readers * 0.3, "sending has begun")
    run.sink.stop(signal.SIGKILL)
    time.sleep(0.5)
    run.sink.start()
    run.broken()
    return Allowed(doubt=run.most_in_flight)


FAULTS = (
    Fault(name="smtp reset in each phase", play=_scripted(_reset), both=True),
    Fault(name="smtp closed in each phase", play=_scripted(_close)),
    Fault(name="smtp 421 in each phase", play=_scripted(_leave)),
    Fault(name="smtp garbage", play=_scripted(_garbage, cut_after=4), both=True),
    Fault(name="smtp replies of 1 MB", play=_scripted(_huge, cut_after=4)),
    Fault(name="smtp unasked replies", play=_scripted(_extra, cut_after=4)),
    Fault(name="smtp wrong codes", play=_scripted(_wrong_code, cut_after=4)),
    Fault(name="smtp wrong enhanced codes", play=_scripted(_wrong_enhanced)),
    Fault(name="smtp missing replies", play=_scripted(_skipped, cut_after=4), both=True),
    Fault(name="smtp late replies", play=_scripted(_late)),
    Fault(name="smtp one byte at a time", play=_scripted(_drip)),
    Fault(name="smtp lost replies", play=_lost_replies, both=True),
    Fault(name="smtp mute, then killed", play=_mute_then_killed, both=True),
    Fault(name="smtp unknown recipients", play=_refused),
    Fault(name="smtp temporary refusals", play=_for_now, both=True),
    Fault(name="smtp greylisting", play=_greylisted),
    Fault(name="smtp 4xx for a day", play=_all_day),
    Fault(name="smtp login refused", play=_no_login),
    Fault(name="smtp down", play=_down),
)
