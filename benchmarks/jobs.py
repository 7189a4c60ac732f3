"""Parallel jobs with a progress bar and a results file, so that an interrupted run can be resumed."""

import json
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

RESULTS = Path("results")  # in the current directory, ignored by git


def run(jobs, path, n_jobs=2, title=None):
    """Run the jobs {key: (function, *arguments)} and return {key: record}.

    Each finished job is written to the file `path` as a line of JSON. A job whose key is in the file is not run again.
    A key must therefore contain all settings of its job, as a tuple of strings, numbers and tuples; keys are compared
    by ``repr``. Use a new file after changing a function or a package.
    """
    done = read(path)
    missing = [key for key in jobs if repr(key) not in done]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file, parallel_config("loky", inner_max_num_threads=1):
        tasks = (delayed(_run_job)(key, *jobs[key]) for key in missing)
        finished = Parallel(n_jobs=n_jobs, batch_size=1, return_as="generator_unordered")(tasks)
        for key, record in tqdm(finished, title, total=len(jobs), initial=len(jobs) - len(missing), smoothing=0.05):
            # newline first, so that a line cut off by an interruption stays separate
            file.write("\n" + json.dumps({"key": repr(key), "record": record}))
            file.flush()
            done[repr(key)] = record
    return {key: done[repr(key)] for key in jobs}


def _run_job(key, function, *arguments):
    return key, function(*arguments)


def read(path):
    """Return {repr of the key: record} of the jobs in the file `path`."""
    done = {}
    for line in Path(path).read_text().splitlines() if Path(path).exists() else []:
        try:
            entry = json.loads(line)
            done[entry["key"]] = entry["record"]
        except json.JSONDecodeError:  # blank or truncated line
            continue
    return done
