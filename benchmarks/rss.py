"""What a process has allocated, without the pages of the files it has mapped (Linux)."""

import threading


class AnonymousMemory:
    """A context that watches the anonymous memory of this process; ``added`` is its growth, in bytes, at the peak."""

    def __enter__(self):
        self.before = self.peak = self._now()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self._watcher.join()
        self.added = self.peak - self.before

    def _watch(self):
        while not self._over.wait(0.001):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024
