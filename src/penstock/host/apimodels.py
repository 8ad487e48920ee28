"""Where the API models come from: the data files of the installed botocore, read without importing it (that costs 40 ms)."""

import gzip
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

from penstock.wire.model import QueryForm, ServiceModel, parse_model

# patterns that we widen, by service and shape: our StreamIds have no hyphen (docs/adr/0011); deliveries may go to machines
# of one's own, without TLS and without AWS's names
_ENDPOINT: Final = "https?://.*"
_PATTERNS: Final = {
    "kinesis": {"StreamId": "[a-z0-9]{20}[a-z0-9-][a-z0-9]{3}"},
    "sqs": {"QueueAttributeName": ".*", "MessageSystemAttributeName": ".*"},  # refused in words of its own
    "lambda": {"Runtime": ".*"},  # refused in words of its own
    "firehose": {
        "HttpEndpointUrl": _ENDPOINT,
        "ElasticsearchClusterEndpoint": _ENDPOINT,
        "AmazonopensearchserviceClusterEndpoint": _ENDPOINT,
        "AmazonOpenSearchServerlessCollectionEndpoint": _ENDPOINT,
        "ClusterJDBCURL": "jdbc:(redshift|postgresql)(:iam)?://.*",
    },
}


# the query protocol of SQS, which older clients speak; source: its model before it took JSON
_SQS_CODES: Final = (
    *(
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "EmptyBatchRequest",
        "InvalidBatchEntryId",
        "MessageNotInflight",
    ),
    *("PurgeQueueInProgress", "QueueDeletedRecently", "TooManyEntriesInBatchRequest", "UnsupportedOperation"),
)
_QUERY_FORMS: Final = {
    "sqs": QueryForm(
        "http://queue.amazonaws.com/doc/2012-11-05/",
        flat={
            "AttributeNameList": "AttributeName",
            "MessageSystemAttributeList": "MessageSystemAttributeName",
            "MessageAttributeNameList": "MessageAttributeName",
            "QueueAttributeMap": "Attribute",
            "MessageSystemAttributeMap": "Attribute",
            "MessageBodyAttributeMap": "MessageAttribute",
            "MessageBodySystemAttributeMap": "MessageSystemAttribute",
            "QueueUrlList": "QueueUrl",
            "MessageList": "Message",
            "TagMap": "Tag",
            "TagKeyList": "TagKey",
            "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
            "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
            "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
            "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
            "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
            "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
            "BatchResultErrorEntryList": "BatchResultErrorEntry",
        },
        keys={"TagMap": "Key"},
        codes={
            **{name: f"AWS.SimpleQueueService.{name}" for name in _SQS_CODES},
            "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
            "QueueNameExists": "QueueAlreadyExists",
        },
    ),
}


@cache
def load_model(service: str) -> ServiceModel:
    """The newest model of a service, by botocore's folder name (`kinesis`, `sts`)."""
    spec = importlib.util.find_spec("botocore")
    assert spec is not None, "botocore is a dependency of this package"
    assert spec.origin is not None
    folder = max((Path(spec.origin).parent / "data" / service).iterdir())
    packed = folder / "service-2.json.gz"
    document = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "service-2.json").read_bytes()
    return parse_model(document, _PATTERNS.get(service, {}), _QUERY_FORMS.get(service))
