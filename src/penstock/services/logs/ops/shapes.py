"""Bases of this service's inputs and outputs: its members begin in lower case."""

from penstock.wire import operation


class Input(operation.Input, rename="camel"):
    """Base of operation inputs."""


class Output(operation.Output, rename="camel"):
    """Base of operation outputs and of the structures in them."""
