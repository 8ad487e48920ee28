"""The error table of the lease endpoint (DynamoDB), beside the rows that every service shares.

The rules are those of errors.py.  Source of texts, where no other is named: the API reference, and answers of DynamoDB that users report.
"""

from penstock.core.errors import Row, Table


class LeaseError(Table):
    """The rows."""

    # Tables
    NO_TABLE = Row("ResourceNotFoundException", "Requested resource not found")  # of operations on items
    NO_TABLE_NAMED = Row("ResourceNotFoundException", "Requested resource not found: Table: {table} not found")
    NO_TABLE_BACKED_UP = Row("TableNotFoundException", "Table not found: {table}")
    NO_TAGGED = Row(
        "ResourceNotFoundException", "Requested resource not found: ResourcArn: {arn} not found"
    )  # AWS's spelling
    TABLE_EXISTS = Row("ResourceInUseException", "Table already exists: {table}")
    TABLE_CREATING = Row(
        "ResourceInUseException", "Attempt to change a resource which is still in use: Table is being created: {table}"
    )
    TABLE_UPDATING = Row(
        "ResourceInUseException", "Attempt to change a resource which is still in use: Table is being updated: {table}"
    )
    TABLE_DELETING = Row(
        "ResourceInUseException", "Attempt to change a resource which is still in use: Table is being deleted: {table}"
    )
    TABLE_CHANGED = Row(  # ours: another process was quicker
        "ResourceInUseException",
        "Attempt to change a resource which is still in use: {table} was changed at the same time",
    )
    TABLE_PROTECTED = Row(
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
    TABLES_MAX = Row(
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of {limit} tables per subscriber",
    )
    TABLE_NAME_SHORT = Row(
        "ValidationException", "{member} must be at least 3 characters long and at most 255 characters long"
    )
    TABLE_NAME = Row(
        "ValidationException",
        "1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint:"
        " Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    )
    TABLE_ARN = Row("ValidationException", "Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    KEY_SCHEMA = Row("ValidationException", "{text}")
    UNSUPPORTED = Row(
        "ValidationException", "{what} is not supported by Penstock; docs/leases.md lists what is."
    )  # ours
    MISSING = Row(
        "ValidationException",
        "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null",
    )
    THROUGHPUT_NEEDED = Row(
        "ValidationException",
        "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified"
        " when BillingMode is PROVISIONED",
    )
    THROUGHPUT_UNWANTED = Row(
        "ValidationException",
        "One or more parameter values were invalid: Neither ReadCapacityUnits nor WriteCapacityUnits can be specified"
        " when BillingMode is PAY_PER_REQUEST",
    )
    UPDATE_NOTHING = Row(
        "ValidationException",
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or"
        " SSESpecification or ReplicaUpdates is required",
    )
    INDEX_UPDATES_MAX = Row(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
    INDEX_EXISTS = Row("ValidationException", "Attempting to create an index which already exists")
    NO_INDEX_NAMED = Row(
        "ResourceNotFoundException", "Requested resource not found: Index: {index} not found for table: {table}"
    )
    TAGS = Row("ValidationException", "{problem}")
    TAG_LIMIT = Row(
        "ValidationException", "One or more parameter values were invalid: Too many tags: {count}, limit {limit}"
    )
    TTL_SAME = Row("ValidationException", "TimeToLive is already {state}")
    TTL_ATTRIBUTE = Row(
        "ValidationException", "TimeToLive is active on a different AttributeName: current AttributeName is {name}"
    )

    # Items and their keys
    CONDITION_FAILED = Row("ConditionalCheckFailedException", "The conditional request failed")
    KEY_SHAPE = Row("ValidationException", "The provided key element does not match the schema")
    KEY_COUNT = Row("ValidationException", "The number of conditions on the keys is invalid")
    KEY_MISSING = Row(
        "ValidationException", "One or more parameter values were invalid: Missing the key {name} in the item"
    )
    KEY_TYPE = Row(
        "ValidationException",
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}",
    )
    KEY_EMPTY = Row(
        "ValidationException",
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"
        " {kind} value. Key: {name}",
    )
    KEY_SIZE = Row(
        "ValidationException",
        "One or more parameter values were invalid: Size of {role} has exceeded the maximum size limit of {limit} bytes",
    )
    KEY_CHANGED = Row(
        "ValidationException",
        "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key",
    )
    INDEX_KEY_TYPE = Row(
        "ValidationException",
        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {expected}"
        " Actual: {actual} IndexName: {index}",
    )
    INDEX_KEY_EMPTY = Row(
        "ValidationException",
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported."
        " The AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: {name}",
    )
    ITEM_SIZE = Row("ValidationException", "Item size has exceeded the maximum allowed size")
    ITEM_SIZE_UPDATED = Row("ValidationException", "Item size to update has exceeded the maximum allowed size")
    MEMORY_FULL = Row(  # ours: the code is the one of DynamoDB's that is nearest
        "ItemCollectionSizeLimitExceededException",
        "The items of this server's lease tables take {limit_bytes} bytes, which is the most that --lease-memory allows.",
    )

    # Attribute values
    VALUE_EMPTY = Row(
        "ValidationException",
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    )
    VALUE_AMBIGUOUS = Row(
        "ValidationException",
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    )
    VALUE_NULL = Row(
        "ValidationException",
        "One or more parameter values were invalid: Null attribute value types must have the value of true",
    )
    SET_EMPTY = Row("ValidationException", "One or more parameter values were invalid: An {kind} set  may not be empty")
    BINARY_SET_EMPTY = Row(
        "ValidationException", "One or more parameter values were invalid: Binary sets should not be empty"
    )
    SET_DUPLICATES = Row(
        "ValidationException",
        "One or more parameter values were invalid: Input collection {shown} contains duplicates.",
    )
    NUMBER_DUPLICATES = Row("ValidationException", "Input collection contains duplicates")
    VALUE_NESTING = Row(
        "ValidationException",
        "Nesting Levels have exceeded supported limits: Attributes have nested beyond supported limits",
    )
    NUMBER_TEXT = Row("ValidationException", "A value provided cannot be converted into a number")
    NUMBER_EMPTY = Row("ValidationException", "The parameter cannot be converted to a numeric value")
    NUMBER_DIGITS = Row("ValidationException", "Attempting to store more than 38 significant digits in a Number")
    NUMBER_OVERFLOW = Row(
        "ValidationException",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    )
    NUMBER_UNDERFLOW = Row(
        "ValidationException",
        "Number underflow. Attempting to store a number with magnitude smaller than supported range",
    )

    # Expressions
    EXPRESSION_EMPTY = Row("ValidationException", "Invalid {kind}: The expression can not be empty;")
    EXPRESSION_SIZE = Row(
        "ValidationException",
        "Invalid {kind}: Expression size has exceeded the maximum allowed size; expression size: {size}",
    )
    EXPRESSION_NESTING = Row(  # ours
        "ValidationException", "Invalid {kind}: The expression is nested more than {limit} levels deep;"
    )
    SYNTAX = Row("ValidationException", 'Invalid {kind}: Syntax error; token: "{token}", near: "{near}"')
    PARENTHESES = Row("ValidationException", "Invalid {kind}: The expression has redundant parentheses;")
    RESERVED_WORD = Row(
        "ValidationException", "Invalid {kind}: Attribute name is a reserved keyword; reserved keyword: {word}"
    )
    NAME_UNDEFINED = Row(
        "ValidationException",
        "Invalid {kind}: An expression attribute name used in the document path is not defined; attribute name: {name}",
    )
    VALUE_UNDEFINED = Row(
        "ValidationException",
        "Invalid {kind}: An expression attribute value used in expression is not defined; attribute value: {name}",
    )
    PATH_DEPTH = Row(  # UNVERIFIED: wording
        "ValidationException", "Invalid {kind}: The document path has too many nesting elements;"
    )
    PATHS_OVERLAP = Row(
        "ValidationException",
        "Invalid {kind}: Two document paths overlap with each other; must remove or rewrite one of these paths;"
        " path one: {one}, path two: {two}",
    )
    PATHS_CONFLICT = Row(
        "ValidationException",
        "Invalid {kind}: Two document paths conflict with each other; must remove or rewrite one of these paths;"
        " path one: {one}, path two: {two}",
    )
    FUNCTION_UNKNOWN = Row("ValidationException", "Invalid {kind}: Invalid function name; function: {function}")
    FUNCTION_FORBIDDEN = Row(
        "ValidationException",
        "Invalid {kind}: The function is not allowed in an update expression; function: {function}",
    )
    FUNCTION_MISPLACED = Row(
        "ValidationException",
        "Invalid {kind}: The function is not allowed to be used this way in an expression; function: {function}",
    )
    FUNCTION_TYPE = Row(
        "ValidationException",
        "Invalid {kind}: Incorrect operand type for operator or function; operator or function: {name}, operand type: {type}",
    )
    OPERATOR_TYPE = Row(
        "ValidationException",
        "Invalid {kind}: Incorrect operand type for operator or function; operator: {name}, operand type: {type}",
    )
    OPERAND_COUNT = Row(
        "ValidationException",
        "Invalid {kind}: Incorrect number of operands for operator or function; operator or function: {name},"
        " number of operands: {count}",
    )
    OPERANDS_SAME = Row(
        "ValidationException",
        "Invalid {kind}: The first operand must be distinct from the remaining operands for this operator or function;"
        " operator: {sign}, first operand: {path}",
    )
    PATH_NEEDED = Row(
        "ValidationException",
        "Invalid {kind}: Operator or function requires a document path; operator or function: {name}",
    )
    TYPE_UNKNOWN = Row(
        "ValidationException",
        "Invalid {kind}: Invalid attribute type name found; type: {type}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}",
    )
    BOUNDS_TYPES = Row(
        "ValidationException",
        "Invalid {kind}: The BETWEEN operator requires same data type for lower and upper bounds;"
        " lower bound operand: AttributeValue: {low}, upper bound operand: AttributeValue: {high}",
    )
    BOUNDS_ORDER = Row(
        "ValidationException",
        "Invalid {kind}: The BETWEEN operator requires upper bound to be greater than or equal to lower bound;"
        " lower bound operand: AttributeValue: {low}, upper bound operand: AttributeValue: {high}",
    )
    SECTION_TWICE = Row(
        "ValidationException",
        'Invalid UpdateExpression: The "{section}" section can only be used once in an update expression;',
    )
    SECTION_TYPE = Row(
        "ValidationException",
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: {section},"
        " operand type: {type}, typeSet: ALLOWED_FOR_{section}_OPERAND",
    )
    UPDATE_ATTRIBUTE = Row(
        "ValidationException", "The provided expression refers to an attribute that does not exist in the item"
    )
    UPDATE_PATH = Row(
        "ValidationException", "The document path provided in the update expression is invalid for update"
    )
    UPDATE_TYPE = Row("ValidationException", "An operand in the update expression has an incorrect data type")
    UPDATE_TYPE_LEGACY = Row("ValidationException", "Type mismatch for attribute to update")

    # Substitutions
    SUBSTITUTIONS_EMPTY = Row("ValidationException", "{parameter} must not be empty")
    SUBSTITUTION_KEY = Row("ValidationException", '{parameter} contains invalid key: Syntax error; key: "{key}"')
    SUBSTITUTIONS_ALONE = Row("ValidationException", "{parameter} can only be specified when using expressions{absent}")
    UNUSED = Row("ValidationException", "Value provided in {parameter} unused in expressions: keys: {{{keys}}}")
    VALUE_IN_SUBSTITUTION = Row("ValidationException", "{parameter} contains invalid value: {problem} for key {key}")
    MIXED = Row(
        "ValidationException",
        "Can not use both expression and non-expression parameters in the same request:"
        " Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}",
    )

    # Parameters as a whole
    PARAMETERS = Row("ValidationException", "One or more parameter values were invalid: {problem}")
    CONDITIONAL_OPERATOR = Row(
        "ValidationException",
        "ConditionalOperator cannot be used without Filter or Expected",
    )
    CONDITIONAL_OPERATOR_ALONE = Row(
        "ValidationException",
        "ConditionalOperator can only be used when Filter or Expected has two or more elements",
    )
    RETURN_VALUES = Row("ValidationException", "ReturnValues can only be ALL_OLD or NONE")

    # Queries and scans
    KEY_CONDITIONS_NEEDED = Row(
        "ValidationException",
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    )
    KEY_CONDITION_MISSED = Row("ValidationException", "Query condition missed key schema element: {name}")
    KEY_CONDITION = Row("ValidationException", "Query key condition not supported")
    KEY_CONDITIONS_MAX = Row("ValidationException", "Conditions can be of length 1 or 2 only")
    KEY_CONDITION_TWICE = Row(
        "ValidationException",
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
    )
    KEY_CONDITION_OPERATOR = Row(
        "ValidationException", "Invalid KeyConditionExpression: Invalid operator used in KeyConditionExpression: {name}"
    )
    KEY_CONDITION_PATH = Row(
        "ValidationException",
        "Invalid KeyConditionExpression: KeyConditionExpressions cannot contain nested operations or nested paths",
    )
    KEY_CONDITION_TYPE = Row(
        "ValidationException",
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    )
    FILTER_ON_KEY = Row(
        "ValidationException",
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}",
    )
    NO_INDEX = Row("ValidationException", "The table does not have the specified index: {index}")
    INDEX_BACKFILLING = Row("ValidationException", "Cannot read from backfilling global secondary index: {index}")
    INDEX_CONSISTENT = Row("ValidationException", "Consistent reads are not supported on global secondary indexes")
    INDEX_NOT_ALL = Row(
        "ValidationException",
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index"
        " {index} because its projection type is not ALL",
    )
    SELECT_PROJECTED = Row(
        "ValidationException", "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    )
    SELECT_SPECIFIC = Row(
        "ValidationException",
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    )
    SELECT_WITH_PROJECTION = Row("ValidationException", "Cannot specify the {parameter} when choosing to get {select}")
    START_KEY = Row("ValidationException", "The provided starting key is invalid{why}")
    START_KEY_OUTSIDE = Row(
        "ValidationException", "The provided starting key is outside query boundaries based on provided conditions"
    )
    START_KEY_SEGMENT = Row(
        "ValidationException", "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey"
        " with correct Segment. TotalSegments: {total} Segment: {segment}",
    )  # fmt: skip
    SEGMENTS_NEEDED = Row(
        "ValidationException",
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
    )
    SEGMENT_NEEDED = Row(
        "ValidationException",
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
    )
    SEGMENT_RANGE = Row(
        "ValidationException",
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not"
        " less than TotalSegments: {total}",
    )

    # Several items at once
    BATCH_MAX = Row("ValidationException", "Too many items requested for the {operation} call")
    BATCH_DUPLICATES = Row("ValidationException", "Provided list of item keys contains duplicates")
    BATCH_REQUEST = Row(
        "ValidationException",
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
    )
    TRANSACT_REQUEST = Row(
        "ValidationException",
        "TransactItems can only contain one of Check, Put, Update or Delete",
    )
    TRANSACT_DUPLICATES = Row(
        "ValidationException", "Transaction request cannot include multiple operations on one item"
    )
    TRANSACT_SIZE = Row(
        "ValidationException", "Transaction request size exceeds the limit of {limit_bytes} bytes"
    )  # UNVERIFIED: wording
    TRANSACTION_CANCELED = Row(
        "TransactionCanceledException",
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
    )
    TOKEN_REUSED = Row(
        "IdempotentParameterMismatchException",
        "The request uses the same client token as a previous, but non-identical request.",
    )
