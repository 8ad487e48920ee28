"""What processing measures, told to whoever keeps it.

Names are those of the metrics in AWS/Firehose: `SucceedProcessing.Records`, `SucceedProcessing.Bytes`, `ExecuteProcessing.Duration`,
`ExecuteProcessing.Success`, `JQProcessing.Duration`, `SucceedConversion.Records`, `SucceedConversion.Bytes`, `FailedConversion.Records`,
`FailedConversion.Bytes`.  Durations are milliseconds; Success is 0 or 1 for each invocation.
"""

from typing import Protocol


class Measures(Protocol):
    """Takes values of one delivery stream."""

    def add(self, name: str, value: float) -> None:
        """One value of a metric."""
        ...


class NoMeasures:
    """Keeps nothing."""

    def add(self, name: str, value: float) -> None:
        """Forget it."""
