"""Many jobs in processes of their own, with a progress bar and a file to go on from after an interruption."""

import json
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

RESULTS = Path("results")  # under the current directory; git ignores it


def run(jobs, path, n_jobs=2, title=None):
    """The record of each job, {key: (function, *arguments)} -> {key: record}.

    A finished job is a line of JSON in the file `path`, and a job whose key is there is not run again: a key names
    all settings that its record comes from (a tuple of strings, numbers and tuples; its ``repr`` is compared). What
    a key does not tell, a changed function or package, needs a fresh file.
    """
    done = _read(path)
    missing = [key for key in jobs if repr(key) not in done]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file, parallel_config("loky", inner_max_num_threads=1):
        tasks = (delayed(_keyed)(key, *jobs[key]) for key in missing)
        finished = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")(tasks)
        for key, record in tqdm(finished, title, total=len(jobs), initial=len(jobs) - len(missing), smoothing=0.05):
            # Line feed first: what an interruption has cut off stays a line of its own.
            file.write("\n" + json.dumps({"key": repr(key), "record": record}))
            file.flush()
            done[repr(key)] = record
    return {key: done[repr(key)] for key in jobs}


def _keyed(key, function, *arguments):
    return key, function(*arguments)


def _read(path):
    done = {}
    for line in Path(path).read_text().splitlines() if Path(path).exists() else []:
        try:
            entry = json.loads(line)
            done[entry["key"]] = entry["record"]
        except json.JSONDecodeError:  # blank, or cut off
            continue
    return done
