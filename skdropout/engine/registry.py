"""Tables in which users can register components by name."""

from collections.abc import Callable


class Registry(dict):
    """Map names to components. Looking up an unknown name raises an error that says where to register it.

    Parameters
    ----------
    component : str
        Name of the kind of component in error messages.
    path : str
        Module and name of the table.
    rows : dict
    row_type : type, default=Callable
        Type of the rows. Classes are callable, too.
    """

    def __init__(self, component, path, rows, row_type=Callable):
        super().__init__(rows)
        self.component, self.path, self.row_type = component, path, row_type

    def __setitem__(self, name, row):
        if not isinstance(row, self.row_type):
            raise TypeError(f"{self.path}[{name!r}] must be of type {self.row_type.__name__}, got {row!r}.")
        super().__setitem__(name, row)

    def __missing__(self, name):
        raise ValueError(
            f"The {self.component} {name!r} is not registered in this process: add it to {self.path}, as in the "
            f"process that fitted the network. Registered names: {sorted(self)}."
        )
