"""Run the cases of test_fuzz.py, guided by coverage: ``python tests/estimators/fuzz_atheris.py -runs=100000 [corpus]``.

It needs ``pip install atheris`` and takes the options of libFuzzer. test_fuzz.py defines the allowed outcomes.
The first case with another outcome ends the run; its bytes are in a file ``crash-...``. Pass that file to run it again.
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
    n_cases += one_input(data) is not None  # None if the bytes encode no case
    if n_runs & (n_runs - 1) == 0:
        print(f"{n_runs} runs, {n_cases} cases, {TALLY.total()} calls", file=sys.stderr)


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], "-max_len=256", "-len_control=0", *sys.argv[1:]], run)
    atheris.Fuzz()
