"""Helper threads that share large pieces of work with the thread that trains or predicts.

Work is divided into parts at places that depend only on its shape, and each part is computed by one thread. Results
therefore do not depend on the number of threads. A part is computed by the first thread that takes it: while another
process occupies a core, the other threads take the parts.

The helpers sleep between pieces of work and take about 0.1 ms to wake up. They only share work that is mostly spent in
a few long calls without the GIL: with many short calls, threads wait for the GIL most of the time. Time of a step with
two threads relative to one, 784-256-256-10 and 784-64-64-10 with a batch of 256 rows: 0.73 and 0.91 with shared
products, 0.75 and 1.33 if each thread trains on half of the batch.
"""

import os
from threading import Lock, Thread, local
from time import perf_counter

import numpy as np

SPIN_SECONDS = 5e-4  # a thread that waits for a part spins at first: waking up takes longer than most parts

_current = local()


def _leave_after_fork():
    """Leave the team in a forked child process, which has no helpers."""
    team = vars(_current).pop("team", None)
    if team is not None:
        team.helpers.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_after_fork)


def current_team():
    """Return the team that this thread has entered, or None."""
    return getattr(_current, "team", None)


def share(work, parts):
    """Return the list of ``work(part)`` for all parts, computed by the current team."""
    team = current_team()
    if team is None or len(parts) < 2 or team.n_threads() < 2:
        return [work(part) for part in parts]
    try:
        return team.finish(team.start(work, parts))
    except BaseException:
        team.cancel()
        raise


def share_later(work, parts):
    """Call ``work(part)`` for all parts until ``wait``. The helpers may do so in the meantime.

    Returns the job, or None if the work is done already.
    """
    team = current_team()
    if team is None or team.n_threads() < 2:
        for part in parts:
            work(part)
        return None
    job = team.start(work, parts, urgent=False)
    team.deferred.append(job)
    return job


def wait(*jobs):
    """Return when the given jobs of ``share_later`` are done; without arguments, all jobs."""
    team = current_team()
    if team is None or not team.deferred:
        return
    try:
        for job in jobs or team.deferred:
            team.finish(job)
    except BaseException:
        team.cancel()
        raise
    if not jobs:
        team.deferred.clear()


class Team:
    """A thread and its helpers. The thread enters it as a context manager.

    Parameters
    ----------
    n_threads : callable
        Returns the number of threads that may work now, at least 1. Helpers are started when they are first needed.
    """

    def __init__(self, n_threads):
        self.n_threads = n_threads
        self.helpers, self.deferred = [], []
        self.queue = []  # (job, index of the part), the next one last
        self.idle = np.ones(4096)

    def __enter__(self):
        _current.team = self
        return self

    def __exit__(self, *error):
        try:
            self.cancel()
        finally:
            _current.team = None
            for helper in self.helpers:
                helper.stop()

    def start(self, work, parts, urgent=True):
        """Add a job to the queue, in front of the others if it is urgent, and wake up the helpers."""
        job = Job(work, parts)
        entries = [(job, i) for i in reversed(range(len(parts)))]
        if urgent:
            self.queue.extend(entries)
        else:
            self.queue[:0] = entries
        n_helpers = min(self.n_threads() - 1, len(parts))
        while len(self.helpers) < n_helpers:
            self.helpers.append(Helper(self))  # before it starts, so that it ends even if Ctrl-C interrupts the start
            try:
                self.helpers[-1].start()
            except RuntimeError:  # the limit on the number of threads
                self.helpers.pop()
                break
        for helper in self.helpers[:n_helpers]:
            helper.wake_up()
        return job

    def finish(self, job):
        """Take parts from the queue until the job is done, and return its results."""
        _current.team = None  # a part is computed by one thread, even if it calls ``share``
        while job.unfinished.locked() and self.take_part():
            pass
        _current.team = self
        end = perf_counter() + SPIN_SECONDS
        while job.unfinished.locked() and perf_counter() < end:
            np.sqrt(self.idle, out=self.idle)  # 5 µs without the GIL, which the other thread may need
        job.unfinished.acquire()
        job.unfinished.release()  # for a later ``finish`` of the same job
        if job.error is not None:
            try:
                raise job.error
            finally:
                job.error = None  # its traceback refers to the job: the cycle would keep the arrays alive
        return job.results

    def take_part(self):
        """Compute the next part in the queue; return False if there is none."""
        try:
            job, i = self.queue.pop()
        except IndexError:
            return False
        job.compute(i)
        return True

    def cancel(self):
        """Leave the part of an interrupted caller, empty the queue, and wait until no helper is in a part."""
        _current.team = self
        self.queue.clear()
        self.deferred.clear()
        for helper in self.helpers:
            with helper.busy:
                pass


class Job:
    """Parts of a piece of work, their results, and the first error."""

    def __init__(self, work, parts):
        self.work, self.parts, self.results, self.error = work, parts, [None] * len(parts), None
        self.others = [None] * (len(parts) - 1)  # one entry for each unfinished part but one
        self.unfinished = Lock()
        self.unfinished.acquire()

    def compute(self, i):
        try:
            self.results[i] = self.work(self.parts[i])
        except BaseException as error:  # raised again by ``Team.finish``, in the thread of the caller
            self.error = error
        try:
            self.others.pop()  # atomic, with or without the GIL
        except IndexError:
            self.unfinished.release()


class Helper:
    """A thread that takes parts from the queue of a team."""

    def __init__(self, team):
        self.team, self.stopped, self.busy, self.asleep = team, False, Lock(), Lock()
        self.asleep.acquire()

    def start(self):
        Thread(target=self._run, name="skdropout helper", daemon=True).start()

    def wake_up(self):
        if self.asleep.locked():
            self.asleep.release()

    def stop(self):
        self.stopped = True
        self.wake_up()

    def _run(self):
        with np.errstate(all="ignore"):
            while True:
                self.asleep.acquire()
                if self.stopped:
                    return
                with self.busy:
                    while self.team.take_part():
                        pass
