"""Fits in processes that are killed at random moments and resumed until they finish (slow)."""

import errno
import multiprocessing
import time
from collections import Counter

import numpy as np
import pytest
from helpers import needs_callbacks
from resumable import FITS, fit_and_send

from skdropout import Checkpoint

pytestmark = [pytest.mark.slow, needs_callbacks]
N_KILLS = 8  # per fit
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["resumable"])


def start(name, path, limit=None):
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=fit_and_send, args=(name, path, sender, limit))
    process.start()
    sender.close()
    assert receiver.recv() == "started"
    return process, receiver


def run(name, path, limit=None):
    process, receiver = start(name, path, limit)
    outcome = receiver.recv()
    process.join()
    return outcome


@pytest.mark.parametrize("name", FITS)
def test_fit_killed_at_random_moments_equals_an_uninterrupted_one(tmp_path, name):
    rng = np.random.RandomState(list(FITS).index(name))
    path, outcomes = tmp_path / "mlp.ckpt", Counter()
    expected = run(name, None)
    process, receiver = start(name, path)
    began = time.perf_counter()
    receiver.recv()
    span = time.perf_counter() - began
    process.join()
    path.unlink()
    while outcomes.total() < N_KILLS:
        process, _ = start(name, path)
        time.sleep(rng.exponential(span / 4))
        alive = process.is_alive()
        process.kill()
        process.join()
        if not alive:  # finished before the kill: start from scratch
            path.unlink()
            continue
        epoch = Checkpoint.load(path).n_iter_ if path.exists() else 0
        outcomes[f"with {epoch} epochs on disk"] += 1
    unfinished = len(list(tmp_path.glob("*.part")))
    state = run(name, path)
    if "None" in name:
        expected.pop("random_state")
    assert {key: state[key] for key in expected} == expected
    print(f"\n{name}: {N_KILLS} kills, {unfinished} of them while writing: {dict(outcomes)}; same final state")


@pytest.mark.parametrize("name", ["defaults", "lbfgs"])
def test_full_disk_raises_and_leaves_no_partial_file(tmp_path, name):
    path = tmp_path / "mlp.ckpt"
    expected = run(name, path)
    size = path.stat().st_size
    path.unlink()
    assert run(name, path, limit=size // 2) == errno.EFBIG  # a limit on the file size simulates a full disk
    assert not list(tmp_path.glob("*.part"))
    assert run(name, path) == expected
