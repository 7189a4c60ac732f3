"""Anonymous memory of a process, which excludes the pages of mapped files (Linux)."""

import threading


class AnonymousMemory:
    """Context manager that measures the peak growth of the anonymous memory of this process, ``added``, in bytes."""

    def __enter__(self):
        self.before = self.peak = self._current()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stopped.set()
        self._thread.join()
        self.added = self.peak - self.before

    def _poll(self):
        while not self._stopped.wait(0.001):
            self.peak = max(self.peak, self._current())

    @staticmethod
    def _current():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024
