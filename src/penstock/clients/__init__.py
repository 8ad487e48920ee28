"""What programs that talk to AWS share: the producer, the consumer and the agent.

Theory.  They work against this server and against AWS alike, so they are ordinary clients: `aws` makes their calls, `calls` judges those
that failed, `metrics` gathers what they measure and takes it where it is wanted.
Rule of this package: it meets the server on the wire only; no part of the server is imported.
"""
