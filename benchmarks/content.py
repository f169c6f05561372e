from benchmarks.figures import Figure
def measure(): return iter(())
