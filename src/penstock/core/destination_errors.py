"""What configurations of Firehose's destinations are refused with.  Rules: those of core/errors.py.

Source: the constraints stand in the API reference; the service's words for most of them were never recorded.
"""

from typing import Final

from penstock.core.errors import Row, Table

_INVALID: Final = "InvalidArgumentException"


class DestinationError(Table):
    """The rows."""

    # UNVERIFIED: wording, all of these
    URL_MALFORMED = Row(_INVALID, "{member} must be an http or https URL with a host.")
    HEADER_MALFORMED = Row(_INVALID, "{member} must be printable ASCII: it is sent as a header.")
    ONE_OF_TWO = Row(_INVALID, "Exactly one of {one} and {other} must be specified.")
    MISSING = Row(_INVALID, "{member} must be specified{why}.")
    JDBC_MALFORMED = Row(
        _INVALID, "ClusterJDBCURL must be jdbc:redshift://host:port/database or jdbc:postgresql://host:port/database."
    )
    STAGED_COMPRESSION = Row(
        _INVALID, "Redshift cannot copy objects whose compression is {compression}: use UNCOMPRESSED or GZIP."
    )
    STAGED_PREFIX = Row(_INVALID, "{member} of a Redshift destination must have no expressions.")
    COPY_OPTIONS = Row(_INVALID, "CopyOptions cannot be used here: {problem}.")
    SQL_NAME = Row(_INVALID, "{member} must be names of SQL.")
    NO_DOMAIN = Row(
        _INVALID,
        "The domain {arn} cannot be looked up here: specify {member}, or start the server with --search-endpoint.",
    )
    BACKUP_STAYS = Row(_INVALID, "S3BackupMode cannot be changed from {before} to {after}.")
    TABLE_TWICE = Row(_INVALID, "The table {table} is configured more than once.")
    NOT_INSTALLED = Row(_INVALID, "{what} deliveries need {extra} where the server runs.")
    SECRETS = Row(  # the first sentence is Secrets Manager's own of a secret that is not there
        _INVALID,
        "Secrets Manager can't find the specified secret. There is no Secrets Manager here: specify the credentials themselves.",
    )
