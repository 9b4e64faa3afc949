"""The workloads W1, W3 and W6 with gevent and eventlet, at a smaller size than `cargo xtask bench`.

    python3 -m venv venv
    venv/bin/pip install -r benches/python/requirements.txt
    venv/bin/python benches/python/bench.py

prints nanoseconds an item: of several rounds, each in a process of its own, the median, the least
and the most; and by how many bytes an item the peak of memory grew.
"""

import resource
import statistics
import subprocess
import sys
import time

ROUNDS = 5
ITEMS = {"W1": 50_000, "W3": 50_000, "W6e": 20_000, "W6t": 20_000}
SLEEP = 2.0


def main():
    if len(sys.argv) == 3:
        library, workload = sys.argv[1:]
        print(*run(library, workload))
        return
    columns = ["", "items", "median ns", "min", "max", "bytes"]
    print("| " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * (len(columns) - 1))
    for workload, items in ITEMS.items():
        for library in LIBRARIES:
            rounds = [in_a_process(library, workload) for _ in range(ROUNDS)]
            times, sizes = zip(*rounds)
            figures = [statistics.median(times), min(times), max(times), statistics.median(sizes)]
            cells = [f"{workload} {library}", items, *(round(figure) for figure in figures)]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def in_a_process(library, workload):
    """The peak of memory is the process's own."""
    # eventlet warns about itself each time.
    command = [sys.executable, "-W", "ignore", __file__, library, workload]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    time_taken, size = map(float, said.split())
    return time_taken, size


def run(library, workload):
    """Nanoseconds and bytes an item."""
    green = LIBRARIES[library]()
    items = ITEMS[workload]
    work = globals()[workload.lower()]
    warm_up = items // 100
    work(green, warm_up)
    peak = peak_bytes()
    time_taken = work(green, items)
    return time_taken / items * 1e9, (peak_bytes() - peak) / (items - warm_up)


def w1(green, items):
    """A pool of 1000 slots: spawn trivial tasks, sum the results."""
    start = time.perf_counter()
    pool = green.pool(1000)
    greenlets = [pool.spawn(same, n) for n in range(items)]
    check(sum(map(green.result, greenlets)), sum(range(items)))
    return time.perf_counter() - start


def w3(green, items):
    """Ordered map through 100 slots, each item yields once."""

    def yielding(n):
        green.sleep(0)
        return n

    start = time.perf_counter()
    results = list(green.pool(100).imap(yielding, range(items)))
    taken = time.perf_counter() - start
    check(results, list(range(items)))
    return taken


def w6e(green, items):
    """Tasks parked on one event: wake them all."""
    event = green.event()
    pool = green.pool(items)
    greenlets = [pool.spawn(event.wait) for _ in range(items)]
    green.sleep(0)
    start = time.perf_counter()
    green.set(event)
    woken = [green.result(greenlet) for greenlet in greenlets]
    taken = time.perf_counter() - start
    check(woken, [True] * items)
    return taken


def w6t(green, items):
    """Tasks asleep until one moment: how late is the last."""
    due = time.perf_counter() + SLEEP

    def sleep():
        green.sleep(max(0.0, due - time.perf_counter()))
        return True

    pool = green.pool(items)
    greenlets = [pool.spawn(sleep) for _ in range(items)]
    woken = [green.result(greenlet) for greenlet in greenlets]
    taken = time.perf_counter() - due
    check(woken, [True] * items)
    return taken


class Gevent:
    def __init__(self):
        import gevent.event
        import gevent.pool

        self.pool = gevent.pool.Pool
        self.sleep = gevent.sleep
        self.event = gevent.event.Event

    @staticmethod
    def set(event):
        event.set()

    @staticmethod
    def result(greenlet):
        return greenlet.get()


class Eventlet:
    def __init__(self):
        import eventlet
        import eventlet.event

        self.pool = eventlet.GreenPool
        self.sleep = eventlet.sleep
        self.event = eventlet.event.Event

    @staticmethod
    def set(event):
        event.send(True)

    @staticmethod
    def result(greenlet):
        return greenlet.wait()


LIBRARIES = {"gevent": Gevent, "eventlet": Eventlet}


def same(n):
    return n


def check(answer, expected):
    if answer != expected:
        sys.exit("a wrong answer")


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
