"""The error table of functions (Lambda), beside the rows that every service shares.

The rules are those of errors.py; a status that the API model gives stands in the model and not here.  Source of texts, where no other is
named: the API reference, and answers of Lambda that users' reports quote.
"""

from penstock.core.errors import Row, Table


class FunctionError(Table):
    """The rows."""

    # Functions and what they are named by
    NO_FUNCTION = Row("ResourceNotFoundException", "Function not found: {arn}", 404)
    OTHER_REGION = Row(
        "ResourceNotFoundException", "Functions from '{asked}' are not reachable in this region ('{region}')", 404
    )
    EXISTS = Row("ResourceConflictException", "Function already exist: {name}", 409)  # AWS's grammar
    CHANGED = Row(  # ours: another call was quicker
        "ResourceConflictException", "The function was changed at the same time: {arn}", 409
    )
    NOT_ACTIVE = Row(
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: {state}",
        409,
    )
    UPDATING = Row(
        "ResourceConflictException",
        "The operation cannot be performed at this time. An update is in progress for resource: {arn}",
        409,
    )
    QUALIFIER_TWICE = Row(
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    )
    NAME_TOO_LONG = Row(
        "ValidationException",
        "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint:"
        " Member must have length less than or equal to {limit}",
    )
    CONSTRAINT = Row(
        "ValidationException",
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}",
    )
    REVISION = Row(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the {operation} API to retrieve the latest"
        " Revision Id",
        412,
    )
    RUNTIME = Row(  # source: awslabs/amazon-redshift-monitoring#25
        "InvalidParameterValueException",
        "Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{known}] or be a"
        " valid ARN",
    )
    INVALID = Row("InvalidParameterValueException", "{text}")
    UNSUPPORTED = Row(  # ours
        "InvalidParameterValueException", "{what} is not supported by Penstock; docs/functions.md lists what is."
    )
    MARKER = Row("InvalidParameterValueException", "Invalid Marker.")  # UNVERIFIED: wording

    # Code
    NO_CODE = Row("InvalidParameterValueException", "Please provide a source for function code.")
    CODE_TWICE = Row(
        "InvalidParameterValueException",
        "Please do not provide other FunctionCode parameters when providing a ZipFile.",
    )
    NOT_A_ZIP = Row(
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )
    EMPTY_ZIP = Row("InvalidParameterValueException", "Uploaded file must be a non-empty zip")
    UNSAFE_ZIP = Row(  # ours: Lambda takes some of these, and its own file system bears them
        "InvalidParameterValueException", "The uploaded file holds an entry that is not taken: {entry}: {why}"
    )
    UNZIPPED_TOO_LARGE = Row("InvalidParameterValueException", "Unzipped size must be smaller than {limit} bytes")
    ZIPPED_TOO_LARGE = Row(
        "RequestEntityTooLargeException",
        "Request must be smaller than {limit} bytes for the {operation} operation",
        413,
    )
    DIRECTORY = Row("InvalidParameterValueException", "{path} is not taken as code: {why}.")  # ours
    NO_BUCKET = Row(
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
    )
    NO_OBJECT = Row(
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
    )
    BUCKET_DENIED = Row(
        "InvalidParameterValueException",
        "Error occurred while GetObject. S3 Error Code: AccessDenied. S3 Error Message: Access Denied",
    )
    RUNTIME_AND_HANDLER = Row(
        "InvalidParameterValueException",
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    )
    ROLE_NOT_ASSUMABLE = Row(
        "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
    )

    # Versions and aliases
    LATEST_STAYS = Row(
        "InvalidParameterValueException", "$LATEST version cannot be deleted without deleting the function."
    )
    VERSION_IN_USE = Row(
        "ResourceConflictException",
        "Unable to delete version because the following aliases reference it: [{aliases}]",
        409,
    )
    ALIAS_EXISTS = Row("ResourceConflictException", "Alias already exists: {arn}", 409)
    NO_ALIAS = Row("ResourceNotFoundException", "Cannot find alias arn: {arn}", 404)

    # Permissions
    STATEMENT_EXISTS = Row(
        "ResourceConflictException",
        "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing"
        " statement.",
        409,
    )
    NO_STATEMENT = Row("ResourceNotFoundException", "Statement {sid} is not found in resource policy.", 404)
    NO_POLICY = Row("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    NO_POLICY_TO_CHANGE = Row("ResourceNotFoundException", "No policy is associated with the given resource.", 404)
    POLICY_TOO_LONG = Row(
        "PolicyLengthExceededException", "The final policy size ({size}) is bigger than the limit ({limit})."
    )
    POLICY_OF_LATEST = Row("InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
    PRINCIPAL = Row(
        "InvalidParameterValueException",
        "The provided principal was invalid. Please check the principal and try again.",
    )

    # Settings
    RESERVED_TOO_MUCH = Row(
        "InvalidParameterValueException",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its"
        " minimum value of [{minimum}].",
    )
    NO_EVENT_CONFIG = Row("ResourceNotFoundException", "The function {arn} doesn't have an EventInvokeConfig", 404)
    EVENT_CONFIG_EMPTY = Row(
        "InvalidParameterValueException", "You must specify at least one of error handling or destination setting."
    )
    TAGS_OF_QUALIFIED = Row(
        "InvalidParameterValueException",
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    )
    TAG_LIMIT = Row("InvalidParameterValueException", "Number of tags exceeds resource tag limit.")

    # Invocations
    PAYLOAD_NOT_JSON = Row("InvalidRequestContentException", "Could not parse request body into json: {problem}")
    PAYLOAD_TOO_LARGE = Row(
        "RequestTooLargeException",
        "Request must be smaller than {limit} bytes for the InvokeFunction operation",
        413,
    )
    EVENT_TOO_LARGE = Row(
        "RequestTooLargeException",
        "{size} byte payload is too large for the Event invocation type (limit {limit} bytes)",
        413,
    )
    CONTEXT_MALFORMED = Row(
        "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
    )
    NOT_RUN = Row(  # ours
        "InvalidParameterValueException",
        "This server runs no functions: start it with --functions process or sandbox (docs/functions.md).",
    )
    QUEUE_FULL = Row("TooManyRequestsException", "Rate Exceeded.", 429)
