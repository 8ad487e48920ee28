"""The error table of the data catalog (AWS Glue), beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: answers that users' reports quote.
"""

from typing import Final

from penstock.core.errors import Row, Table

_ABSENT: Final = "EntityNotFoundException"
_EXISTS: Final = "AlreadyExistsException"
_INPUT: Final = "InvalidInputException"


class CatalogError(Table):
    """The rows."""

    NO_DATABASE = Row(_ABSENT, "Database {name} not found.")
    NO_TABLE = Row(_ABSENT, "Table {name} not found.")
    NO_ENTITY = Row(_ABSENT, "Entity Not Found")
    NO_VERSION = Row(_ABSENT, "Table version not found.")  # UNVERIFIED: wording
    NO_CATALOG = Row(_INPUT, "Catalog {id} not found.")  # UNVERIFIED: code and wording
    DATABASE_EXISTS = Row(_EXISTS, "Database already exists.")
    TABLE_EXISTS = Row(_EXISTS, "Table already exists.")
    CHANGED = Row("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
    DATABASE_CHANGED = Row(  # UNVERIFIED: wording
        "ConcurrentModificationException", "Update database failed due to concurrent modifications."
    )
    NAMES_DIFFER = Row(_INPUT, "The name of the {entity} cannot be changed to {name}.")  # UNVERIFIED: wording
    NO_TABLE_INPUT = Row(_INPUT, "TableInput must be specified.")  # UNVERIFIED: wording
    CURRENT_VERSION = Row(_INPUT, "The current version of a table cannot be deleted.")  # UNVERIFIED: wording
    VERSION_ID = Row(_INPUT, "Invalid VersionId {id}.")  # UNVERIFIED: wording
    EXPRESSION = Row(_INPUT, "Invalid expression {expression}.")  # UNVERIFIED: wording
    TOKEN = Row(_INPUT, "Invalid NextToken.")  # UNVERIFIED: wording
    ARN = Row(_INPUT, "Invalid ResourceArn {arn}.")  # UNVERIFIED: wording
    TAGS = Row(_INPUT, "{problem}.")  # UNVERIFIED: wording
    TIME = Row(_INPUT, "A time of a table must be from 1970 to 9999.")  # UNVERIFIED: code and wording
