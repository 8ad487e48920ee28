"""The options of `top`, `tail`, `put`, `shards` and `plan`, and the help that teaches them.

Rule of this file: it declares and hands over; a verb is imported when it is called.
"""

import re
import sys
from collections.abc import Callable
from typing import Any, Final

import click

STREAM: Final = click.argument("stream", metavar="STREAM")


class _Account(click.ParamType[str]):
    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """An account id, or a refusal."""
        if not re.fullmatch(r"[0-9]{12}", str(value)):
            self.fail(f"{value!r} must be 12 digits", param, ctx)
        return str(value)


def where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which server is meant."""
    for option in reversed(
        (
            click.option(
                "--endpoint", metavar="URL", help="The server; `aws` for Amazon's own. [default: $AWS_ENDPOINT_URL]"
            ),
            click.option(
                "--data-dir",
                metavar="DIR",
                help="Or the data directory of the server. [default: ./penstock-data, then http://127.0.0.1:4566]",
            ),
            click.option("--region", metavar="NAME", help="[default: $AWS_REGION, or the server's]"),
            click.option(
                "--account",
                metavar="ID",
                type=_Account(),
                help="Account, of 12 digits. [default: that of $AWS_ACCESS_KEY_ID]",
            ),
        )
    ):
        command = option(command)
    return command


def split_where(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The options of `where_options`, and the others."""
    from penstock.commands.place import Where

    names = ("endpoint", "data_dir", "region", "account")
    return Where(**{name: given[name] for name in names}), {
        name: value for name, value in given.items() if name not in names
    }


@click.command(epilog="Example:  penstock top --stream orders --sort out")
@click.option("--stream", metavar="NAME", help="Show the shards of one stream.")
@click.option(
    "--sort",
    type=click.Choice(["in", "out", "throttles", "age", "shards", "name"]),
    default="in",
    show_default=True,
    help="What comes first; on the live table i, o, t, a, s and n change it.",
)
@click.option("--once", is_flag=True, help="Print one table and end.")
@click.option(
    "--every",
    "every_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="How often to look.",
)
@where_options
def top(**given: Any) -> None:
    """Watch streams: throughput, throttles, the age of what is read, consumers.  q ends.

    Rates are the server's, over its last seconds.  Needs a Penstock server.
    """
    from penstock.commands import top as verb

    where, rest = split_where(given)
    sys.exit(verb.run(where, verb.Options(**rest)))


@click.command(
    epilog="""\b
    Examples:
      penstock tail orders --from -10m --key user-7
      penstock tail orders --from trim --no-follow --json | jq -r .data"""
)
@STREAM
@click.option(
    "--from",
    "begin",
    metavar="TIME",
    default="latest",
    show_default=True,
    help="trim, latest, -10m (s, h, d), 2026-11-20T10:00:00Z, or seconds since the epoch.  Without a zone: UTC.",
)
@click.option("--shard", metavar="ID", help="Only this shard; shardId-000000000001 or just 1.")
@click.option("--key", metavar="KEY", help="Only records with this partition key.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="End after so many records.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--follow/--no-follow", default=True, help="Wait for more at the tip, or end there. [default: wait]")
@click.option(
    "--raw", is_flag=True, help="Show aggregates of the Kinesis Producer Library as they are, not the records in them."
)
@where_options
def tail(**given: Any) -> None:
    """Show the records of a stream as they come.  Ctrl-C ends.

    All shards are read; the records of a key come in their order, also across a reshard.  On a terminal JSON is spread out and binary
    data shown as a dump; in a pipe a record is a line: arrival, shard, key, data.
    """
    from penstock.commands import tail as verb

    where, rest = split_where(given)
    sys.exit(verb.run(where, verb.Options(**rest)))


@click.command(
    epilog="""\b
    Examples:
      penstock put orders hello --key user-7
      penstock put orders --file orders.jsonl --key-field user
      tail -f app.log | penstock put logs"""
)
@STREAM
@click.argument("data", metavar="[DATA]...", nargs=-1)
@click.option("--file", metavar="FILE", help="Put each line of a file. [default: of standard input, without DATA]")
@click.option("--key", metavar="KEY", help="Partition key of every record. [default: a random one for each]")
@click.option("--hash-key", metavar="N", help="Explicit hash key of every record, 0 .. 2^128-1.")
@click.option("--json", "as_json", is_flag=True, help="Each line must be a JSON object.")
@click.option("--key-field", metavar="FIELD", help="Take the partition key from this field of the line's JSON object.")
@where_options
def put(**given: Any) -> None:
    """Put records into a stream: arguments, lines of a file, or lines of standard input as they come.

    Empty lines are passed over.  What the stream refuses for the moment is put again; with one key, a record that was refused may then
    land behind later ones of its request.  Exit code 0: everything was taken; 1: something was not; 2: nothing could begin.
    """
    from penstock.commands import put as verb

    where, rest = split_where(given)
    if rest["data"] and rest["file"] is not None:
        raise click.UsageError("say DATA or --file, not both")
    sys.exit(verb.run(where, verb.Options(**rest)))


@click.command(epilog="Example:  penstock shards orders --open")
@STREAM
@click.option("--open", "only_open", is_flag=True, help="Only the open shards, by hash range.")
@click.option("--full-keys", "whole_keys", is_flag=True, help="All 32 digits of the hash keys.")
@where_options
def shards(**given: Any) -> None:
    """Draw the family tree of a stream's shards: splits, merges, hash ranges.

    A merged shard stands under its first parent; an arrow under the second points to it.  A Penstock server also tells records, sizes
    and heat: how much of the throughput that AWS allows a shard it takes in.
    """
    from penstock.commands import shards as verb

    where, rest = split_where(given)
    sys.exit(verb.run(where, **rest))


_AMOUNT: Final = click.FloatRange(min=0)


@click.command(epilog="Example:  penstock plan --write-mb 12 --records 9000 --read-mb 30 --consumers 3 --measure 3")
@click.option(
    "--write-mb",
    metavar="MB",
    type=_AMOUNT,
    help="Written each second, in MB of 1,000 KB. [default: 1,000 bytes a record]",
)
@click.option("--records", metavar="N", type=_AMOUNT, help="Records each second. [default: 1 for each 1,000 bytes]")
@click.option("--read-mb", metavar="MB", type=_AMOUNT, help="Read each second by GetRecords, all readers together.")
@click.option("--consumers", metavar="N", type=click.IntRange(min=0), help="Consumers with enhanced fan-out.")
@click.option(
    "--retention-hours", metavar="H", type=click.IntRange(24, 8760), help="How long records are kept. [default: 24]"
)
@click.option("--stream", metavar="NAME", help="Take what is not said from the recorded peaks of this stream.")
@click.option("--prices", metavar="FILE", help="Prices in TOML, instead of those that come with Penstock.")
@click.option(
    "--measure",
    "measure_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1, max=600),
    help="Measure for so long what the disk under the data directory takes.",
)
@where_options
def plan(**given: Any) -> None:
    """Work out the shards that a load needs, and what AWS would ask for them, provisioned and on demand.

    A shard takes 1,000 KB and 1,000 records a second, and gives 2,000 KB a second to all who read it with GetRecords; a fan-out
    consumer has 2,000 KB a second of its own.
    """
    from penstock.commands import plan as verb

    where, rest = split_where(given)
    sys.exit(verb.run(where, verb.Options(**rest)))


@click.command(
    epilog="""\b
    Examples:
      penstock kcl --properties sample.properties
      penstock kcl --properties sample.properties --endpoint http://127.0.0.1:4566"""
)
@click.option("--properties", metavar="FILE", required=True, help="The properties file of the program.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Kinesis, and DynamoDB too. [default: the file's, else $AWS_ENDPOINT_URL, else AWS]",
)
@click.option("--dynamodb-endpoint", metavar="URL", help="DynamoDB, where it is elsewhere.")
@click.option(
    "--store",
    metavar="WHERE",
    default="dynamodb",
    show_default=True,
    help="Where leases are kept: dynamodb, postgresql://..., or the path of a SQLite file.",
)
@click.option("--verbose", is_flag=True, help="Log what other libraries say, too.")
def kcl(**given: Any) -> None:
    """Run a program that was written for KCL's MultiLangDaemon, as it is, without Java.

    The program is started once for each shard that this worker has, and spoken to through its standard input and output.  Leases are
    kept as KCL 3 keeps them, so Java workers may share the application.  SIGTERM or Ctrl-C ends it, after shutdownRequested.
    """
    from penstock.commands import kcl as verb

    sys.exit(verb.run(verb.Options(**given)))


@click.group()
def firehose() -> None:
    """Delivery streams: what they do, and a flush of their buffers.  Needs a Penstock server."""


@firehose.command(epilog="Example:  penstock firehose status orders")
@click.argument("name", metavar="[NAME]", required=False)
@where_options
def status(**given: Any) -> None:
    """Show what delivery streams do: lag, buffers, what was delivered, the last errors.  With NAME, one in detail."""
    from penstock.commands import deliveries as verb

    where, rest = split_where(given)
    sys.exit(verb.show_status(where, **rest))


@firehose.command(epilog="Example:  penstock firehose flush orders")
@click.argument("name", metavar="NAME")
@where_options
def flush(**given: Any) -> None:
    """Deliver what is in the buffers of a delivery stream now, whatever their size and age."""
    from penstock.commands import deliveries as verb

    where, rest = split_where(given)
    sys.exit(verb.flush(where, **rest))


VERBS: Final = (top, tail, put, shards, plan, kcl, firehose)
