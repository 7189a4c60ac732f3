"""The order of the gallery: what to read first stands first."""

from pathlib import Path

ORDER = [
    "plot_quick_start.py",
    "plot_tune_dropout.py",
    "plot_recipes.py",
    "plot_per_layer_rates.py",
    "plot_does_dropout_help.py",
    "plot_dropout_and_weight_decay.py",
    "plot_kinds.py",
    "plot_hidden_units.py",
    "plot_batch_norm.py",
    "plot_robustness.py",
    "plot_uncertainty.py",
    "plot_regression_recipe.py",
    "plot_calibration.py",
    "plot_active_learning.py",
    "plot_class_weight.py",
    "plot_input_groups.py",
    "plot_watch_training.py",
    "plot_optuna.py",
    "plot_out_of_core.py",
    "plot_cluster.py",
    "plot_custom_kind.py",
    "plot_deploy_without_skdropout.py",
]


class TeachingOrder:
    """Sort key of Sphinx-Gallery; what is not in `ORDER` comes last, by name."""

    def __init__(self, src_dir):
        pass

    def __call__(self, filename):
        name = Path(filename).name
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)
