"""Fits in processes that are killed at random moments, and taken up again until they are done (slow)."""

import errno
import multiprocessing
import time
from collections import Counter

import numpy as np
import pytest
from helpers import needs_callbacks
from resumable import FITS, fit_and_tell

from skdropout import Checkpoint

pytestmark = [pytest.mark.slow, needs_callbacks]
KILLS = 8  # of each of the fits
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["resumable"])


def start(name, path, limit=None):
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=fit_and_tell, args=(name, path, sender, limit))
    process.start()
    sender.close()
    assert receiver.recv() == "begins"
    return process, receiver


def run(name, path, limit=None):
    process, receiver = start(name, path, limit)
    outcome = receiver.recv()
    process.join()
    return outcome


@pytest.mark.parametrize("name", FITS)
def test_killed_at_random_moments(tmp_path, name):
    rng = np.random.RandomState(list(FITS).index(name))
    path, outcomes = tmp_path / "mlp.ckpt", Counter()
    expected = run(name, None)
    process, receiver = start(name, path)
    began = time.perf_counter()
    receiver.recv()
    span = time.perf_counter() - began
    process.join()
    path.unlink()
    while outcomes.total() < KILLS:
        process, _ = start(name, path)
        time.sleep(rng.exponential(span / 4))
        alive = process.is_alive()
        process.kill()
        process.join()
        if not alive:  # done before the kill came: once more from the start
            path.unlink()
            continue
        epoch = Checkpoint.load(path).n_iter_ if path.exists() else 0
        outcomes[f"with {epoch} epochs on disk"] += 1
    unfinished = len(list(tmp_path.glob("*.part")))
    left = run(name, path)
    if "None" in name:
        expected.pop("random_state")
    assert {key: left[key] for key in expected} == expected
    print(f"\n{name}: {KILLS} kills, {unfinished} of them while writing: {dict(outcomes)}; the same in the end")


@pytest.mark.parametrize("name", ["defaults", "lbfgs"])
def test_a_full_disk(tmp_path, name):
    path = tmp_path / "mlp.ckpt"
    expected = run(name, path)
    size = path.stat().st_size
    path.unlink()
    assert run(name, path, limit=size // 2) == errno.EFBIG  # the limit of a file's size stands for that of the disk
    assert not list(tmp_path.glob("*.part"))
    assert run(name, path) == expected
