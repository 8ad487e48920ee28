"""What the services count, in Prometheus form.  A service is handed its counters; nothing here knows who counts."""

from prometheus_client import CollectorRegistry, Counter


class StreamMetrics:
    """Counters of the streams service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, doc: str) -> Counter:
            return Counter(f"penstock_streams_{name}", doc, registry=registry)

        self.records_in = counter("records_in", "Records written.")
        self.bytes_in = counter("bytes_in", "Bytes written, data and partition keys.")
        self.records_out = counter("records_out", "Records read.")
        self.bytes_out = counter("bytes_out", "Bytes read, data and partition keys.")
        self.refused_writes = counter("refused_writes", "Records refused because their shard was over its quota.")
        self.refused_reads = counter("refused_reads", "Reads refused because their shard was over its quota.")
        self.refused_calls = counter(
            "refused_calls", "Control-plane calls refused because their account was over its rate."
        )
        self.events_out = counter("events_out", "Events with records pushed to fan-out consumers.")
        self.refused_subscriptions = counter(
            "refused_subscriptions", "Subscriptions refused: another was too recent, or calls too frequent."
        )
