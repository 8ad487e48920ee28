"""`penstock demo`: this machine's metrics through a stream and back, each record accounted for.

Theory.  The demo is an ordinary client: what it does, any program can do with boto3 and `penstock.consumer`.  A feeder puts records, a
fleet of consumers in three processes reads them, one of which is killed on the way, and a checker holds that what went in came out once
and in order, key by key.
Rules of this package:
  1. boto3 and psutil are an extra: this module imports neither before it has looked for both, and everything that does import them
     lies beneath `session`.
  2. The stream is the demo's own: made by it, deleted by it.  One that exists already is refused.
  3. Memory does not grow with the number of records.
"""

import importlib

from penstock.demo.options import DemoError, Options

__all__ = ["DemoError", "Options", "run"]


def run(options: Options) -> int:
    """Run the demo; 0 if every record came back once and in order, 1 if not.

    Raises DemoError where it cannot begin.  The first Ctrl-C ends the feeding, the second the demo (KeyboardInterrupt).
    """
    for module in ("boto3", "psutil"):
        try:
            importlib.import_module(module)
        except ImportError:
            raise DemoError(f"the demo needs {module}: pip install 'penstock[demo]'") from None
    from penstock.demo import session

    return session.run(options)
