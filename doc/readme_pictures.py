"""Draw the pictures of README.md into doc/_static: the figures of three gallery examples.

python doc/readme_pictures.py
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

ROOT = Path(__file__).parents[1]
PICTURES = {  # file name: example and number of its figure
    "missing_pixels.png": ("start/plot_does_dropout_help.py", 1),
    "tune_dropout.png": ("start/plot_tune_dropout.py", 1),
    "uncertainty.png": ("uncertainty/plot_uncertainty.py", 1),
}

if __name__ == "__main__":
    plt.switch_backend("Agg")
    sys.argv[1:] = []
    for name, (example, number) in PICTURES.items():
        plt.rcdefaults()
        path = ROOT / "examples" / example
        exec(compile(path.read_text(), path, "exec"), {"__name__": "__main__"})
        assert number in plt.get_fignums(), example
        picture = ROOT / "doc" / "_static" / name
        plt.figure(number).savefig(picture, dpi=110)
        Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)  # a third of the size
        plt.close("all")
