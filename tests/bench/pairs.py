"""Two things measured in turns, and what is said about their ratio."""
import json
import os
import statistics
import subprocess

RUNS = int(os.environ.get("RUNS", "5"))
# On a busy machine CPU=1 counts processor time; not what the bars are about, but steadier.
SECONDS = "cpu_seconds" if os.environ.get("CPU") else "seconds"


def run(args):
    """The JSON object that a program prints."""
    return json.loads(subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout)


def pairs(a, b, runs=RUNS):
    """Call a and b in turns: [(a(), b()), ...]."""
    return [(a(), b()) for _ in range(runs)]


def spread(values, form="%.2f"):
    """median [min .. max]"""
    return (form + " [" + form + " .. " + form + "]") % (statistics.median(values), min(values),
                                                         max(values))


class Verdicts:
    """One line per bar, and whether all were met."""

    def __init__(self, name):
        self.name, self.met = name, True

    def bar(self, what, values, least=None, most=None, unit="", form="%.2f", note=""):
        """The median of values against a bar from below or above."""
        m = statistics.median(values)
        met = m >= least if least is not None else m <= most
        self.met &= met
        print("%s: %s %s %s%s: %s%s" % (
            self.name, what, ">=" if least is not None else "<=",
            form % (least if least is not None else most), unit,
            ("met, " if met else "NOT MET, ") + spread(values, form) + unit, note), flush=True)

    def status(self):
        return 0 if self.met else 1
