"""The cases of test_fuzz.py, guided by coverage: ``python tests/estimators/fuzz_atheris.py -runs=100000 [corpus]``.

It needs ``pip install atheris`` and takes the options of libFuzzer. What may come of a case is test_fuzz.py's to say;
the first that comes to another thing ends the run, with its bytes in a file ``crash-...``: given alone, it runs again.
"""

import sys

import atheris

with atheris.instrument_imports(include=["skdropout"]):
    import skdropout  # noqa: F401

from test_fuzz import TALLY, test_any_case_ends_well

one_input = test_any_case_ends_well.hypothesis.fuzz_one_input
n_runs = n_cases = 0


def run(data):
    global n_runs, n_cases
    n_runs += 1
    n_cases += one_input(data) is not None  # None of bytes that make no case
    if n_runs & (n_runs - 1) == 0:
        print(f"{n_runs} runs, {n_cases} cases, {TALLY.total()} calls", file=sys.stderr)


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], "-max_len=256", "-len_control=0", *sys.argv[1:]], run)
    atheris.Fuzz()
