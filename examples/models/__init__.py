"""Networks of books, courses and papers, as they are written there. Run from the root of the repository:

    python -m examples.models.d2l_fashion_mnist
    python -m examples.models.keras_tutorial_mnist
    python -m examples.models.kaggle_red_wine
    python -m examples.models.srivastava_mnist               (Srivastava et al.'s MNIST network takes longer)

The data come from the folder named by SKDROPOUT_DATA, or else from OpenML.
"""
