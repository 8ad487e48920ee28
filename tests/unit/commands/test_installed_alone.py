"""What an installation without extras has."""

import subprocess
import sys

EXTRAS = "boto3 psutil pyarrow duckdb awslambdaric obstore psycopg cramjam isal jq aiohttp pyiceberg"
PROGRAM = f"""
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys({EXTRAS!r}.split()))  # None: cannot be imported
for name in ("commands", "producer", "consumer", "agent", "storage"):
    package = importlib.import_module("penstock." + name)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_commands_and_libraries_when_no_extra_is_installed_are_there() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
