"""Tables in which users may register names."""

from collections.abc import Callable


class Registry(dict):
    """Maps names to components. Looking up an unknown name raises an error that says where to register it.

    Parameters
    ----------
    what : str
        What the names stand for, for the error.
    path : str
        The module and the name of the table.
    rows : dict
    row_type : type, default=Callable
        Type of the rows; classes are callable too.
    """

    def __init__(self, what, path, rows, row_type=Callable):
        super().__init__(rows)
        self.what, self.path, self.row_type = what, path, row_type

    def __setitem__(self, name, row):
        if not isinstance(row, self.row_type):
            raise TypeError(f"{self.path}[{name!r}] must be of type {self.row_type.__name__}, got {row!r}.")
        super().__setitem__(name, row)

    def __missing__(self, name):
        raise ValueError(
            f"The {self.what} {name!r} is not registered in this process: add it to {self.path}, as was done where "
            f"the network was fitted. Registered names: {sorted(self)}."
        )
