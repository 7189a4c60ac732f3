"""Teams of threads: each part is computed once, errors and Ctrl-C stop the work, and helpers end with the team."""

import _thread
import gc
import os
import signal
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter, sleep, thread_time

import numpy as np
import pytest

from skdropout.engine import threads
from skdropout.engine.threads import Team, current_team, share, share_later, wait

TIMEOUT = 10  # seconds, of a test that fails
SIZES = [1, 2, 4, 8]


def team_of(n):
    return Team(lambda: n)


def n_helpers():
    return sum(thread.name == "skdropout helper" for thread in threading.enumerate())


def wait_until(condition):
    end = perf_counter() + TIMEOUT
    while not condition():
        assert perf_counter() < end
        sleep(1e-3)


@pytest.fixture(autouse=True)
def helpers_end():
    """Check that no helper survives a test, whatever happens in it."""
    yield
    assert current_team() is None
    wait_until(lambda: n_helpers() == 0)


class Meeting:
    """Work whose parts 0 and 1 wait for each other, so that two threads must compute them."""

    def __init__(self):
        self.barrier, self.threads = threading.Barrier(2), {}

    def __call__(self, i):
        if i < 2:
            self.barrier.wait(TIMEOUT)
        self.threads[i] = threading.current_thread()
        return i


class Failure(Exception):
    pass


def in_helper():
    return threading.current_thread().name == "skdropout helper"


# Results


@pytest.mark.parametrize("n", SIZES)
def test_results_are_in_order(n):
    def work(part):
        sleep(1e-4 * (part % 3))
        return part**2

    with team_of(n):
        for n_parts in (0, 1, 2, 3, 17):
            assert share(work, list(range(n_parts))) == [i**2 for i in range(n_parts)]
        assert n_helpers() == n - 1


def test_helpers_compute_parts():
    with team_of(2):
        for _ in range(3):  # they are woken up again
            meeting = Meeting()
            assert share(meeting, [0, 1]) == [0, 1]
            assert set(meeting.threads.values()) > {threading.current_thread()}
            assert n_helpers() == 1


@pytest.mark.parametrize("team", [None, team_of(1)], ids=["no team", "one thread"])
def test_one_thread_computes_at_once(team):
    seen = []
    if team is not None:
        team.__enter__()
    try:
        assert share(lambda part: seen.append(part), [0, 1, 2]) == [None] * 3
        share_later(lambda part: seen.append((part, threading.current_thread())), [3, 4])
        assert seen == [0, 1, 2, (3, threading.current_thread()), (4, threading.current_thread())]
        assert n_helpers() == 0
        wait()
    finally:
        if team is not None:
            team.__exit__()


def test_one_part_needs_no_helper():
    with team_of(4):
        assert share(lambda part: current_team() and in_helper(), [0]) == [False]
        assert n_helpers() == 0


@pytest.mark.parametrize("n", SIZES)
def test_deferred_work_is_done_after_wait(n):
    done = []
    with team_of(n):
        for job in range(3):
            share_later(lambda part, job=job: done.append((job, part)), range(4))
        share(lambda part: sleep(1e-4), range(2))
        wait()
        assert sorted(done) == [(job, part) for job in range(3) for part in range(4)]
        wait()  # again, without work
        assert len(done) == 12


def test_urgent_work_comes_before_deferred_work():
    order, helper_is_busy, go_on = [], threading.Event(), threading.Event()

    def block(part):  # part 0 occupies the helper
        helper_is_busy.set()
        go_on.wait(TIMEOUT)

    with team_of(2):
        share_later(block, [0])
        helper_is_busy.wait(TIMEOUT)
        share_later(order.append, ["a", "b"])
        share(order.append, [0, 1])
        assert order == [0, 1]
        go_on.set()
        wait()
    assert sorted(order[2:]) == ["a", "b"]


@pytest.mark.parametrize("later", [False, True])
def test_work_in_a_part_is_computed_by_the_same_thread(later):
    def inner(part):
        return part, threading.get_ident()

    def outer(part):
        computed = []
        run(lambda part: computed.append(inner(part)), range(3), later)
        assert computed == [(i, threading.get_ident()) for i in range(3)]
        return part

    with team_of(4):
        for _ in range(20):
            assert share(outer, range(8)) == list(range(8))


def test_an_error_of_work_in_a_part():
    def outer(part):
        share(lambda _: 1 / 0, range(3))

    with team_of(4):
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                share(outer, range(8))


def test_number_of_threads_changes():
    numbers = iter([n for n in (3, 1, 2, 5, 1, 3) for _ in range(2)])  # each call asks twice
    current = [1]

    def n_threads():
        current[0] = next(numbers, current[0])
        return current[0]

    with Team(n_threads) as team:
        for _ in range(8):
            assert share(lambda part: part, range(6)) == list(range(6))
            share_later(lambda part: part, range(6))
            wait()
        assert len(team.helpers) == n_helpers() == 4  # the maximum; those not needed sleep


def test_helpers_above_the_number_of_threads_are_not_woken_up():
    n, used = [4], set()
    with Team(lambda: n[0]) as team:
        share(lambda part: sleep(1e-3), range(8))
        n[0] = 2
        wait_until(lambda: all(helper.asleep.locked() and not helper.busy.locked() for helper in team.helpers))
        for _ in range(30):
            share(lambda part: (used.add(threading.get_ident()), sleep(1e-4)), range(4))
    assert len(used) <= 2


def test_a_thread_that_cannot_start(monkeypatch):
    """The caller then works alone, or with the helpers that did start."""

    class Failing(threading.Thread):
        n_left = 0

        def start(self):
            if Failing.n_left == 0:
                raise RuntimeError("can't start new thread")
            Failing.n_left -= 1
            super().start()

    monkeypatch.setattr(threads, "Thread", Failing)
    with team_of(4):
        assert share(lambda part: in_helper(), range(5)) == [False] * 5
        done = []
        share_later(done.append, range(3))
        wait()
        assert sorted(done) == [0, 1, 2]
        Failing.n_left = 1
        assert share(Meeting(), [0, 1]) == [0, 1]
        assert n_helpers() == 1


def test_overflow_in_a_helper_does_not_warn():
    large = np.full(4, 1e300)

    def work(part):
        meeting(part)
        return large * large

    with team_of(2), np.errstate(all="ignore"):
        meeting = Meeting()
        assert np.isinf(share(work, [0, 1])).all()  # warnings are errors


@pytest.mark.parametrize("n", [2, 4])
def test_thousands_of_small_jobs(n):
    counts, later = np.zeros(3000, int), np.zeros(3000, int)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def count(array, part):
        array[part] += 1  # each part has its own element
        return part

    try:
        with team_of(n):
            start = 0
            for i in range(400):
                parts = range(start, start + 1 + i % 6)
                share_later(partial(count, later), parts)
                assert share(partial(count, counts), parts) == list(parts)
                start = parts.stop
                if i % 3 == 0:
                    wait()
            wait()
            assert (counts[:start] == 1).all()
            assert (later[:start] == 1).all()
    finally:
        sys.setswitchinterval(interval)


def test_teams_of_two_threads_are_separate():
    barrier = threading.Barrier(2)

    def compute(name):
        with team_of(3) as team:
            barrier.wait(TIMEOUT)
            for _ in range(100):
                assert share(lambda part: (name, part), range(5)) == [(name, part) for part in range(5)]
                assert current_team() is team
        return len(team.helpers)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(compute, "ab")) == [2, 2]


# Sleep and end


def test_helpers_sleep_without_work():
    used = []
    with team_of(2) as team:
        share(Meeting(), [0, 1])
        helper = team.helpers[0]
        wait_until(lambda: helper.asleep.locked() and not helper.busy.locked())
        sleep(0.05)

        def work(part):
            meeting(part)
            if in_helper():
                used.append(thread_time())

        for _ in range(2):
            meeting = Meeting()
            share(work, [0, 1])
            sleep(0.2)
    assert used[1] - used[0] < 0.05


def test_helpers_end_with_the_team_if_an_error_is_raised():
    def fail():
        with team_of(4):
            share(lambda part: None, range(4))
            assert n_helpers() == 3
            raise Failure

    with pytest.raises(Failure):
        fail()


def test_the_end_of_a_team_drops_deferred_work():
    done = []
    with team_of(2):
        share_later(lambda part: (sleep(0.02), done.append(part)), range(8))
    n_done = len(done)
    assert n_done < 8
    sleep(0.05)
    assert len(done) == n_done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12
def test_a_forked_child_leaves_the_team():
    """It does not wait for helpers, which it does not have."""
    with team_of(2) as team:
        assert share(Meeting(), [0, 1]) == [0, 1]
        with team.helpers[0].busy:
            pid = os.fork()
            if pid == 0:
                signal.alarm(TIMEOUT)  # ends a child that waits
                try:
                    assert current_team() is None
                    assert share(lambda part: part, range(3)) == [0, 1, 2]
                    team.__exit__()
                    os._exit(0)
                finally:
                    os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert share(Meeting(), [0, 1]) == [0, 1]


# Errors and Ctrl-C


def run(work, parts, later):
    """Share work, or share it later and wait."""
    if later:
        share_later(work, parts)
        wait()
    else:
        share(work, parts)


def check_idle_and_usable(team):
    """Check that nothing is left in the queue or in progress, and that the next job is computed."""
    assert current_team() is team
    assert not team.queue
    assert not team.deferred
    assert share(Meeting(), [0, 1, 2, 3]) == [0, 1, 2, 3]
    share_later(Meeting(), [0, 1, 2, 3])
    wait()


@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt, MemoryError, SystemExit])
@pytest.mark.parametrize("later", [False, True], ids=["share", "share_later"])
@pytest.mark.parametrize("fails_in_helper", [False, True], ids=["caller", "helper"])
def test_errors_are_raised_in_the_caller(error, later, fails_in_helper):
    running = []

    def work(part):
        running.append(part)
        try:
            meeting(part)
            if part < 2 and in_helper() == fails_in_helper:
                raise error
            sleep(1e-3)
        finally:
            running.remove(part)

    with team_of(2) as team:
        for _ in range(2):
            meeting = Meeting()
            with pytest.raises(error):
                run(work, range(6), later)
            assert not running
            assert not team.queue
            meeting = Meeting()
            assert share(meeting, [0, 1, 2]) == [0, 1, 2]
        check_idle_and_usable(team)


@pytest.mark.parametrize("later", [False, True], ids=["share", "share_later"])
def test_an_error_keeps_no_array_alive(later):
    array = np.zeros(10)
    reference = weakref.ref(array)
    gc.disable()
    try:
        with team_of(2), pytest.raises(ZeroDivisionError):
            run(lambda part, array=array: 1 // len(array[:0]), range(3), later)
        del array
        wait_until(lambda: n_helpers() == 0)
        assert reference() is None
    finally:
        gc.enable()


@pytest.fixture
def ctrl_c():
    """Restore Python's handler of Ctrl-C."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("caller", ["in a part", "spins or waits"])
@pytest.mark.parametrize("later", [False, True], ids=["share", "share_later"])
def test_ctrl_c(ctrl_c, later, caller):
    running, started = [], threading.Barrier(2)

    def work(part):
        running.append(part)
        try:
            if part > 1:
                return
            started.wait(TIMEOUT)
            if not in_helper():
                if caller == "in a part":
                    signal.raise_signal(signal.SIGINT)
                return
            if caller != "in a part":
                sleep(0.01)
                _thread.interrupt_main()
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # interrupts a wait for a lock
            sleep(0.03)
        finally:
            running.remove(part)

    with team_of(2) as team:
        with pytest.raises(KeyboardInterrupt):
            run(work, range(5), later)
        assert not running
        check_idle_and_usable(team)


def test_ctrl_c_at_any_line(ctrl_c):
    """Raise KeyboardInterrupt before each line of threads.py that the caller executes."""
    running, n_lines = [], 0

    def work(part):
        running.append(part)
        sleep(1e-4)
        running.remove(part)
        return part

    def interrupt(at):
        nonlocal n_lines
        n_lines = 0

        def trace(frame, event, _):
            nonlocal n_lines
            if frame.f_code.co_filename != threads.__file__ or frame.f_code.co_name not in {
                "share", "start", "finish", "take_part", "compute", "wake_up", "__init__",
            }:  # fmt: skip
                return None
            n_lines += event == "line"
            if n_lines == at:
                n_lines += 1
                raise KeyboardInterrupt
            return trace

        with team_of(2) as team:
            old = sys.gettrace()
            sys.settrace(trace)
            try:
                share(work, range(3))
            except KeyboardInterrupt:
                sys.settrace(old)
                assert not running
                assert not team.queue
                assert current_team() is team
                assert share(work, range(3)) == [0, 1, 2]
                return True
            finally:
                sys.settrace(old)
        return False

    n_interrupted = [interrupt(at) for at in range(1, 60)].count(True)
    assert n_interrupted > 30
