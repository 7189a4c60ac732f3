"""Tables of names that users may add lines to."""


class Registry(dict):
    """What each name stands for. A name that is looked up and not there is an error that says where to register it.

    Parameters
    ----------
    what : str
        What a name names, for the error.
    path : str
        The module and the name of the table.
    rows : dict
    """

    def __init__(self, what, path, rows):
        super().__init__(rows)
        self.what, self.path = what, path

    def __missing__(self, name):
        raise ValueError(
            f"The {self.what} {name!r} is not registered in this process: add it to {self.path}, as was done where "
            f"the network was fitted. Registered are {sorted(self)}."
        )
