"""Networks from books, courses and papers, reproduced as published. Run from the root of the repository:

    python -m examples.models.d2l_fashion_mnist
    python -m examples.models.keras_tutorial_mnist
    python -m examples.models.kaggle_red_wine
    python -m examples.models.srivastava_mnist               (Srivastava et al.'s MNIST network takes longer)

The data come from the folder SKDROPOUT_DATA if it is set, otherwise from OpenML.
"""
