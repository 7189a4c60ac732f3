"""Threads, processes and read-only arrays give the same results as one thread with its own data."""

import copy
import multiprocessing
import pickle
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.shared_memory import SharedMemory

import joblib
import numpy as np
import pytest
from helpers import classifier, regressor
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone, is_regressor
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info, threadpool_limits

import skdropout.engine.network
import skdropout.engine.sampling
from skdropout._threads import ONE_BLAS_THREAD

pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # Python 3.12, of fork
]
rng = np.random.RandomState(0)
X = rng.normal(size=(120, 6))
Y = np.column_stack([X[:, 0] + X[:, 1] ** 2, X[:, 2] - X[:, 3]])
CODES = np.digitize(Y[:, 0], [0, 1])
LABELS = np.array(["one", "three", "two"])[CODES]
WEIGHTS = rng.uniform(size=120)
SPARSE = sparse.csr_array(np.where(rng.random_sample(X.shape) < 0.6, 0, X))


CASES = {
    "classifier": (classifier(), X, LABELS),
    "two layers, batch norm": (
        classifier(hidden_layer_sizes=(16, 8), batch_norm="after_activation", input_dropout=0.1),
        X,
        CODES > 0,
    ),
    "sparse": (classifier(input_dropout=0.2), SPARSE, LABELS),
    "float32": (classifier(mask_sharing="batch"), X.astype(np.float32), LABELS),
    "multilabel": (classifier(early_stopping=True), X, (Y > 0).astype(int)),
    "lbfgs": (classifier(solver="lbfgs", dropout=0), X, LABELS),
    "regressor": (regressor(early_stopping=True), X, Y[:, 0]),
    "two outputs": (regressor(dropout_kind="gaussian", batch_norm="before_activation", early_stopping=True), X, Y),
}
cases = pytest.mark.parametrize("case", CASES)


def questions(model):
    """Return all prediction methods of a fitted estimator by name, as functions of (model, X, y)."""
    asked = {
        "predict": lambda m, X, y: m.predict(X),
        "score": lambda m, X, y: m.score(X, y),
        "log_predictive_density": lambda m, X, y: m.log_predictive_density(X, y, n_samples=3),
    }
    if getattr(model, "conformity_scores_", None) is not None:
        asked["predict_interval"] = lambda m, X, y: m.predict_interval(X, 0.5, n_samples=3)
    if is_regressor(model):
        return asked | {
            "return_std": lambda m, X, y: m.predict(X, return_std=True, n_samples=3),
            "sample_y": lambda m, X, y: m.sample_y(X, 3, random_state=1, mask_sharing="batch"),
            "predict_uncertainty": lambda m, X, y: list(m.predict_uncertainty(X, n_samples=3).values()),
        }
    return asked | {
        "predict_proba": lambda m, X, y: m.predict_proba(X),
        "predict_log_proba": lambda m, X, y: m.predict_log_proba(X),
        "sample_proba": lambda m, X, y: m.sample_proba(X, 3, random_state=1),
        "predict_uncertainty": lambda m, X, y: list(m.predict_uncertainty(X, n_samples=3).values()),
    }


def ask(model, X, y, start=0):
    """Return the results by name, calling the methods in turn from the start-th one."""
    asked = list(questions(model).items())
    start %= len(asked)
    return {name: question(model, X, y) for name, question in asked[start:] + asked[:start]}


def check_same(a, b):
    assert same(a, b)


def same(a, b):
    """Return whether arrays, or containers of arrays, are equal bit for bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()


def learned_arrays(model):
    """Return the fitted weights and curves."""
    curves = [getattr(model, name, None) or [] for name in ("loss_curve_", "validation_scores_")]
    return [*model.coefs_, *model.intercepts_, *getattr(model, "batch_norm_var_", []), *curves, model.loss_]


def fitted(case):
    model, X, y = CASES[case]
    return clone(model).fit(X, y)


@pytest.fixture
def busy(monkeypatch):
    """Switch threads every few microseconds, and split calls into many blocks."""
    monkeypatch.setattr(skdropout.engine.network, "BLOCK", 16 * 20)
    monkeypatch.setattr(skdropout.engine.sampling, "BLOCK", 16 * 400)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


# Threads


@pytest.mark.parametrize("case", ["two layers, batch norm", "sparse", "float32", "multilabel", "two outputs"])
def test_32_threads_get_the_serial_results_while_others_copy_the_estimator(busy, case):
    _, X, y = CASES[case]
    model = fitted(case)
    expected, state, over = ask(model, X, y), pickle.dumps(model), threading.Event()
    copies = [
        lambda: pickle.loads(pickle.dumps(model)),
        lambda: copy.deepcopy(model),
        lambda: copy.copy(model),
        lambda: [clone(model), repr(model), model.get_params(), model._repr_html_()] and model,
    ]

    def copy_until_over(copied):
        n_right = 0
        while not over.is_set() or n_right == 0:
            n_right += same(copied().predict(X), expected["predict"])
        return n_right

    with ThreadPoolExecutor(32 + len(copies)) as pool:
        watched = [pool.submit(copy_until_over, copied) for copied in copies]
        try:
            answers = list(pool.map(partial(ask, model, X, y), range(32)))
        finally:
            over.set()
        assert all(future.result() > 0 for future in watched)
    assert all(same(answer, expected) for answer in answers)
    assert pickle.dumps(model) == state


OTHER = {  # other data for the estimators of CASES, which do not match the first network
    "classifier": ({"hidden_layer_sizes": (5, 4), "activation": "tanh", "batch_norm": "after_activation"}, CODES > 0),
    "regressor": ({"hidden_layer_sizes": (5, 4), "activation": "tanh", "batch_norm": "after_activation"}, Y),
}


@pytest.mark.parametrize("case", OTHER)
def test_a_call_uses_one_network_even_if_a_fit_ends_during_it(case):
    """A fit in another thread may end before any attribute access of a call: try every access."""
    _, X, y = CASES[case]
    params, other_y = OTHER[case]
    before = fitted(case)
    after = clone(before).set_params(**params).fit(X, other_y)

    class Refitted(type(before)):
        """Become `after` at the n-th attribute access."""

        n_left = np.inf

        def __getattribute__(self, name):
            if self is shared:
                Refitted.n_left -= 1
                if Refitted.n_left == 0:
                    object.__setattr__(self, "__dict__", dict(vars(after)))
            return super().__getattribute__(name)

    shared = object.__new__(Refitted)
    for name, question in questions(before).items():
        if name in {"score", "log_predictive_density"}:  # the targets of one network are invalid for the other
            continue
        old, new, seen = question(before, X, y), question(after, X, y), set()
        for n in range(1, 60):
            object.__setattr__(shared, "__dict__", dict(vars(before)))
            Refitted.n_left = n
            answer = question(shared, X, y)
            assert same(answer, old) or same(answer, new), (name, n)
            seen.add(same(answer, old))
        assert seen == {True, False}, name


def test_predictions_in_threads_while_other_threads_fit(busy):
    """Fit one estimator repeatedly to different labels: each result comes from one of its networks."""
    model, targets = classifier(batch_norm="before_activation"), [CODES > 0, LABELS, CODES % 2]
    possible = [clone(model).fit(X, y).predict_uncertainty(X, n_samples=3).proba for y in targets]
    over = threading.Event()
    model.fit(X, targets[0])

    def fit_until_over(start):
        while not over.is_set():
            for y in targets[start:] + targets[:start]:
                model.fit(X, y)

    def predict(i):
        answer = model.predict_uncertainty(X, n_samples=3).proba
        return [same(answer, proba) for proba in possible].index(True)

    with ThreadPoolExecutor(16) as pool:
        fits = [pool.submit(fit_until_over, start) for start in range(2)]
        try:
            seen = set(pool.map(predict, range(100)))
            while len(seen) == 1 and not any(future.done() for future in fits):  # until a fit ends in between
                seen |= set(pool.map(predict, range(16)))
        finally:
            over.set()
        assert all(future.result() is None for future in fits)
    assert len(seen) > 1


def test_fits_in_parallel_threads_equal_serial_fits(busy):
    models = [(clone(model).set_params(random_state=seed), X, y) for seed in range(2) for model, X, y in CASES.values()]
    alone = [learned_arrays(clone(model).fit(X, y)) for model, X, y in models]
    with ThreadPoolExecutor(len(models)) as pool:
        together = pool.map(lambda case: learned_arrays(case[0].fit(*case[1:])), models)
        for one, other in zip(alone, together, strict=True):
            assert same(one, other)


def test_partial_fits_in_parallel_threads_equal_serial_ones(busy):
    def train(model):
        for rows in np.array_split(np.arange(120), 6):
            model.partial_fit(X[rows], Y[rows])
        return learned_arrays(model)

    models = [regressor(random_state=seed, batch_norm="after_dropout") for seed in range(8)]
    alone = [train(clone(model)) for model in models]
    with ThreadPoolExecutor(8) as pool:
        assert same(list(pool.map(train, models)), alone)


def test_searches_in_parallel_threads():
    search = GridSearchCV(classifier(), {"dropout": [0.1, 0.5]}, cv=2)
    alone = clone(search).fit(X, LABELS)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: clone(search).fit(X, LABELS), range(3)):
            assert_array_equal(found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
            assert same(learned_arrays(found.best_estimator_), learned_arrays(alone.best_estimator_))


# Processes


def fit_and_ask(case):
    model = fitted(case)
    return learned_arrays(model), ask(*[model, *CASES[case][1:]])


def ask_pickled(file, case):
    return ask(pickle.loads(file), *CASES[case][1:])


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[pytest.mark.slow] if method == "forkserver" else [])
        for method in multiprocessing.get_all_start_methods()
    ],
)
def test_processes_give_the_same_results_with_every_start_method(method):
    names = ["two layers, batch norm", "sparse", "two outputs"]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        fits = [pool.submit(fit_and_ask, case) for case in names]
        files = [pickle.dumps(fitted(case)) for case in names]
        answers = [pool.submit(ask_pickled, file, case) for file, case in zip(files, names, strict=True)]
        for case, fit, answer in zip(names, fits, answers, strict=True):
            weights, fit_answer = fit.result(timeout=300)
            expected = ask(fitted(case), *CASES[case][1:])
            assert same(weights, learned_arrays(fitted(case)))
            assert same(fit_answer, expected)
            assert same(answer.result(timeout=300), expected)


needs_fork = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


def in_forks(check, n=1):
    """Return whether ``check()`` succeeds in n forked children, one after the other."""
    codes = []
    for _ in range(n):
        child = multiprocessing.get_context("fork").Process(target=check)
        child.start()
        child.join(timeout=300)
        if child.exitcode is None:
            child.kill()
        codes.append(child.exitcode)
    return codes == [0] * n


@needs_fork
def test_forks_after_a_fit_with_two_blas_threads():
    with threadpool_limits(2, "blas"):
        expected = fit_and_ask("classifier")
        assert in_forks(lambda: check_same(fit_and_ask("classifier"), expected), n=2)


@needs_fork
def test_forks_while_other_threads_fit_and_sample(busy):
    """Use one BLAS thread: with more, matrix products of other threads may hang in OpenBLAS."""
    expected, over = fit_and_ask("classifier"), threading.Event()
    sampled, wide = fitted("classifier"), rng.normal(size=(400, 300))

    def until_over(work):
        while not over.is_set():
            work()

    works = [lambda: classifier().fit(wide, wide[:, 0] > 0), lambda: sampled.sample_proba(X)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(until_over, work) for work in works]
        try:
            assert in_forks(lambda: check_same(fit_and_ask("classifier"), expected), n=3)
        finally:
            over.set()
        assert all(future.result() is None for future in futures)


@needs_fork
def test_a_fork_during_sampling_does_not_affect_the_child():
    model = fitted("classifier")

    def check():
        assert ONE_BLAS_THREAD.n_active == 0
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {2}
        ask(model, X, LABELS)

    with threadpool_limits(2, "blas"), ONE_BLAS_THREAD, ONE_BLAS_THREAD.lock:
        assert in_forks(check)


# Read-only and memory-mapped


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def as_map(a, folder, order):
    path = folder / str(len(list(folder.iterdir())))
    written = np.memmap(path, a.dtype, "w+", shape=a.shape, order=order)
    written[:] = a
    written.flush()
    return np.memmap(path, a.dtype, "r", shape=a.shape, order=order)


def read_only_sparse(a):
    parts = [read_only(part) for part in (a.data, a.indices, a.indptr)]
    return sparse.csr_array(tuple(parts), shape=a.shape)


MAPS = {
    "read-only": lambda a, folder: read_only(a),
    "read-only, columns first": lambda a, folder: read_only(np.asfortranarray(a)),
    "memmap": partial(as_map, order="C"),
    "memmap, columns first": partial(as_map, order="F"),
}
USES = {
    "fit": lambda m, X, y, w: m.fit(X, y, w),
    "warm start": lambda m, X, y, w: m.set_params(warm_start=True).fit(X, y).fit(X, y, w),
    "partial_fit": lambda m, X, y, w: m.partial_fit(X, y, w).partial_fit(X, y),
    "full batch": lambda m, X, y, w: m.set_params(batch_size=len(y)).fit(X, y, w),
    "early stopping": lambda m, X, y, w: m.set_params(early_stopping=True).fit(X, y, w),
    "validation rows": lambda m, X, y, w: m.fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w),
    "lbfgs": lambda m, X, y, w: m.set_params(solver="lbfgs", dropout=0, input_dropout=0).fit(X, y, w),
}


@pytest.mark.filterwarnings("ignore:The network was trained without dropout")  # by lbfgs
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", MAPS)
def test_read_only_rows(tmp_path, kind, use):
    for X_, y in ((X, Y), (X.astype(np.float32), Y.astype(np.float32))):
        expected, model = (regressor(batch_size=50, input_dropout=0.1) for _ in range(2))
        USES[use](expected, X_, y, WEIGHTS)
        frozen = [MAPS[kind](a, tmp_path) for a in (X_, y, WEIGHTS)]
        USES[use](model, *frozen)
        if "columns first" not in kind:  # BLAS sums their products in another order where no batch is gathered
            assert same(learned_arrays(model), learned_arrays(expected))
            assert same(ask(model, *frozen[:2]), ask(expected, X_, y))
        np.testing.assert_allclose(
            model.predict(frozen[0]), expected.predict(X_), rtol=1e-4 if X_.itemsize == 4 else 1e-9
        )


@pytest.mark.parametrize("use", sorted(set(USES) - {"partial_fit"}))
def test_read_only_sparse_rows(use):
    expected, model = (classifier(batch_size=50, input_dropout=0.1) for _ in range(2))
    USES[use](expected, SPARSE, LABELS, WEIGHTS)
    frozen = read_only_sparse(SPARSE)
    USES[use](model, frozen, read_only(LABELS), read_only(WEIGHTS))
    assert same(learned_arrays(model), learned_arrays(expected))
    assert same(ask(model, frozen, LABELS), ask(expected, SPARSE, LABELS))


def test_rows_in_shared_memory():
    memory = SharedMemory(create=True, size=X.nbytes)
    try:
        shared = np.ndarray(X.shape, X.dtype, buffer=memory.buf)
        shared[:] = X
        assert same(ask(classifier().fit(shared, LABELS), shared, LABELS), ask(classifier().fit(X, LABELS), X, LABELS))
        del shared  # estimators keep no reference to their rows, so the memory can be closed
    finally:
        memory.close()
        memory.unlink()


@cases
def test_a_memory_mapped_estimator_predicts_and_continues_training(tmp_path, case):
    _, X, y = CASES[case]
    file = tmp_path / "model.joblib"
    joblib.dump(fitted(case), file)
    before = file.read_bytes()
    loaded, mapped = joblib.load(file), joblib.load(file, mmap_mode="r")
    weights = mapped._unfolded[1] if mapped.batch_norm else mapped.coefs_[0]  # coefs_ are folded on loading
    assert isinstance(weights, np.memmap)
    assert not weights.flags.writeable
    expected = ask(loaded, X, y)
    assert same(ask(mapped, X, y), expected)
    if loaded.solver != "lbfgs" and not loaded.early_stopping:
        assert same(
            learned_arrays(copy.deepcopy(mapped).partial_fit(X, y)),
            learned_arrays(copy.deepcopy(loaded).partial_fit(X, y)),
        )
    for model in (loaded, mapped):
        model.set_params(warm_start=True).fit(X, y)
    assert same(learned_arrays(mapped), learned_arrays(loaded))
    assert case in {"multilabel", "regressor"} or not same(ask(mapped, X, y), expected)  # early stopping may go back
    assert file.read_bytes() == before
