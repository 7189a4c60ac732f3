"""Version of the package, read by the build as well, and address of its documentation."""

__version__ = "0.1.0"

DOCUMENTATION = "https://skdropout.readthedocs.io/en/stable/"  # a test compares [project.urls] and README.md with it
