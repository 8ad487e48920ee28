"""Actions: what each operation of each service must be allowed, and on what kind of resource.

Theory.  An operation is authorised as the action of its name on the resource that its input names.  What differs is data: the kind of that
resource, and what else must be allowed when a member of the input asks for more.  Finding the resource's ARN in the input is the business
of whoever calls.
Rules of this file:
  1. One row for each operation.  A test holds the rows of Kinesis and STS against the API models, and those of the others against theirs.
  2. An action on `*` is one that names no resource: only a policy whose Resource is `*` speaks of it.
Source: service authorization reference (streams, IAM, STS, KMS, DynamoDB); the API model's words on tags at creation.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from penstock.services.iam.evaluate import Need


class ResourceKind(Enum):
    """Kinds of resources, by the form of their ARN."""

    ANY = "*"
    STREAM = "arn:{partition}:kinesis:{region}:{account}:stream/{name}"
    CONSUMER = "arn:{partition}:kinesis:{region}:{account}:stream/{name}/consumer/{consumer}:{created}"
    QUEUE = "arn:{partition}:kinesis:{region}:{account}:queue/{name}"  # UNVERIFIED: form
    CHANNEL = "arn:{partition}:kinesis:{region}:{account}:channel/{id}"
    GIVEN = "the ARN in ResourceARN, of a stream, consumer, queue or channel"
    USER = "arn:{partition}:iam::{account}:user{path}{name}"
    ROLE = "arn:{partition}:iam::{account}:role{path}{name}"
    POLICY = "arn:{partition}:iam::{account}:policy{path}{name}"
    PROFILE = "arn:{partition}:iam::{account}:instance-profile{path}{name}"
    FEDERATED_USER = "arn:{partition}:sts::{account}:federated-user/{name}"
    KEY = "arn:{partition}:kms:{region}:{account}:key/{id}"
    ALIAS = "arn:{partition}:kms:{region}:{account}:alias/{name}"
    SQS_QUEUE = "arn:{partition}:sqs:{region}:{account}:{name}"
    TOPIC = "arn:{partition}:sns:{region}:{account}:{name}"
    LOG_GROUP = "arn:{partition}:logs:{region}:{account}:log-group:{name}"
    LOG_STREAM = "arn:{partition}:logs:{region}:{account}:log-group:{name}:log-stream:{stream}"
    TABLE = "arn:{partition}:dynamodb:{region}:{account}:table/{name}, with /index/{index} where an index is read"
    FUNCTION = "arn:{partition}:lambda:{region}:{account}:function:{name}, with :{qualifier} where one is given"
    MAPPING = "arn:{partition}:lambda:{region}:{account}:event-source-mapping:{uuid}"
    FUNCTION_GIVEN = "the ARN in Resource, of a function or a mapping"
    CATALOG = "arn:{partition}:glue:{region}:{account}:catalog"
    DATABASE = "arn:{partition}:glue:{region}:{account}:database/{name}"
    CATALOG_TABLE = "arn:{partition}:glue:{region}:{account}:table/{database}/{name}"
    CATALOG_GIVEN = "the ARN in ResourceArn, of a database"
    DELIVERY_STREAM = "arn:{partition}:firehose:{region}:{account}:deliverystream/{name}"
    SEVERAL = "each of several, under actions of their own"


class Also(NamedTuple):
    """What else must be allowed."""

    action: str
    kind: ResourceKind
    member: str | None  # only if the input has this member; None: always
    need: Need = Need.UNION


class Action(NamedTuple):
    """One row."""

    name: str  # "kinesis:PutRecord"
    kind: ResourceKind
    need: Need = Need.UNION  # what the resource's policy must do
    also: tuple[Also, ...] = ()
    free: bool = False  # allowed to whoever has credentials, whatever policies say


def _rows(
    service: str,
    kinds: dict[ResourceKind, str],
    need: Need = Need.UNION,
    also: Mapping[str, tuple[Also, ...]] = MappingProxyType({}),
) -> dict[str, Action]:
    """Rows of the operations, named in one text for each kind of resource."""
    names = [(name, kind) for kind, text in kinds.items() for name in text.split()]
    assert len({name for name, _ in names}) == len(names), "an operation has one row"
    return {name: Action(f"{service}:{name}", kind, need, also.get(name, ())) for name, kind in names}


_STREAM: Final = """
    AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteStream DescribeStream DescribeStreamSummary DisableEnhancedMonitoring
    EnableEnhancedMonitoring GetRecords GetShardIterator IncreaseStreamRetentionPeriod ListShards ListStreamConsumers ListTagsForStream
    MergeShards PutRecord PutRecords RegisterStreamConsumer RemoveTagsFromStream SplitShard StartStreamEncryption StopStreamEncryption
    UpdateMaxRecordSize UpdateShardCount UpdateStreamMode UpdateStreamRecordDistributionStrategy UpdateStreamWarmThroughput
"""
# UNVERIFIED: Enable/DisableEnhancedMonitoring, UpdateShardCount, UpdateStreamMode on a stream; the reference names no resource for them

KINESIS: Final = _rows(
    "kinesis",
    {
        ResourceKind.STREAM: _STREAM,
        ResourceKind.CONSUMER: "DeregisterStreamConsumer DescribeStreamConsumer SubscribeToShard",
        ResourceKind.GIVEN: """DeleteResourcePolicy GetResourcePolicy ListTagsForResource PutResourcePolicy TagResource UntagResource""",
        ResourceKind.ANY: """DescribeAccountSettings DescribeLimits ListChannels ListQueues ListStreams UpdateAccountSettings""",
        ResourceKind.QUEUE: """AcknowledgeDeadLetterQueueRecords AcknowledgeQueueRecords CreateQueue DeleteQueue DescribeQueue
            ReceiveDeadLetterQueueRecords ReceiveQueueRecords RestoreDeadLetterQueueRecords
            UpdateDeadLetterQueueRecordsVisibility UpdateQueue UpdateQueueRecordsVisibility""",
        ResourceKind.CHANNEL: "CreateChannel DeleteChannel DescribeChannel UpdateChannel",
    },
    also={
        "CreateStream": (Also("kinesis:AddTagsToStream", ResourceKind.STREAM, "Tags"),),
        "RegisterStreamConsumer": (Also("kinesis:TagResource", ResourceKind.CONSUMER, "Tags"),),
        # UNVERIFIED: tagging a queue or a channel at its creation needs TagResource, as for consumers
        "CreateQueue": (Also("kinesis:TagResource", ResourceKind.QUEUE, "Tags"),),
        "CreateChannel": (
            Also("iam:PassRole", ResourceKind.ROLE, None),
            Also("kinesis:TagResource", ResourceKind.CHANNEL, "Tags"),
        ),
    },
)

_SESSION_TAGS: Final = (Also("sts:TagSession", ResourceKind.ROLE, "Tags", Need.TRUST),)

STS: Final[dict[str, Action]] = {
    "AssumeRole": Action("sts:AssumeRole", ResourceKind.ROLE, Need.TRUST, _SESSION_TAGS),
    "AssumeRoleWithSAML": Action("sts:AssumeRoleWithSAML", ResourceKind.ROLE, Need.TRUST),
    "AssumeRoleWithWebIdentity": Action("sts:AssumeRoleWithWebIdentity", ResourceKind.ROLE, Need.TRUST),
    "AssumeRoot": Action("sts:AssumeRoot", ResourceKind.ANY),
    "DecodeAuthorizationMessage": Action("sts:DecodeAuthorizationMessage", ResourceKind.ANY),
    "GetAccessKeyInfo": Action("sts:GetAccessKeyInfo", ResourceKind.ANY),
    "GetCallerIdentity": Action("sts:GetCallerIdentity", ResourceKind.ANY, free=True),
    "GetDelegatedAccessToken": Action("sts:GetDelegatedAccessToken", ResourceKind.ANY),
    "GetFederationToken": Action("sts:GetFederationToken", ResourceKind.FEDERATED_USER),
    "GetSessionToken": Action("sts:GetSessionToken", ResourceKind.ANY, free=True),
    "GetWebIdentityToken": Action("sts:GetWebIdentityToken", ResourceKind.ANY),
}

# The operations of IAM that there are, or will be; the model has three times as many.
IAM: Final[dict[str, Action]] = _rows(
    "iam",
    {
        ResourceKind.USER: """AttachUserPolicy CreateAccessKey CreateUser DeleteAccessKey DeleteUser DeleteUserPermissionsBoundary
            DeleteUserPolicy DetachUserPolicy GetAccessKeyLastUsed GetUser GetUserPolicy ListAccessKeys ListAttachedUserPolicies
            ListGroupsForUser ListUserPolicies ListUserTags PutUserPermissionsBoundary PutUserPolicy TagUser UntagUser UpdateAccessKey
            UpdateUser""",
        ResourceKind.ROLE: """AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy DetachRolePolicy
            GetRole GetRolePolicy ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies ListRoleTags
            PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription""",
        ResourceKind.POLICY: """CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion
            ListEntitiesForPolicy ListPolicyTags ListPolicyVersions SetDefaultPolicyVersion TagPolicy UntagPolicy""",
        ResourceKind.PROFILE: """AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile
            RemoveRoleFromInstanceProfile""",
        ResourceKind.ANY: "ListInstanceProfiles ListPolicies ListRoles ListUsers",
    },
)

KMS: Final[dict[str, Action]] = {
    **_rows(
        "kms",
        {
            ResourceKind.KEY: """CancelKeyDeletion CreateAlias Decrypt DeleteAlias DescribeKey DisableKey DisableKeyRotation
                EnableKey EnableKeyRotation Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext GetKeyPolicy
                GetKeyRotationStatus ListKeyPolicies ListKeyRotations ListResourceTags PutKeyPolicy RotateKeyOnDemand
                ScheduleKeyDeletion TagResource UntagResource UpdateAlias UpdateKeyDescription""",
        },
        Need.REQUIRED,
        also={  # on the key, and on the alias, which has no policy
            name: (Also(f"kms:{name}", ResourceKind.ALIAS, None),)
            for name in ("CreateAlias", "DeleteAlias", "UpdateAlias")
        },
    ),
    **_rows("kms", {ResourceKind.ANY: "CreateKey GenerateRandom ListAliases ListKeys"}),
    "ReEncrypt": Action(  # on the key that it was encrypted with, and on the one that it will be
        "kms:ReEncryptFrom",
        ResourceKind.KEY,
        Need.REQUIRED,
        (Also("kms:ReEncryptTo", ResourceKind.KEY, "DestinationKeyId", Need.REQUIRED),),
    ),
}

# Source: service authorization reference; none of these is about a resource, and PutMetricData's namespace is a condition key.
CLOUDWATCH: Final[dict[str, Action]] = _rows(
    "cloudwatch", {ResourceKind.ANY: "GetMetricData GetMetricStatistics ListMetrics PutMetricData"}
)

DYNAMODB: Final[dict[str, Action]] = _rows(
    "dynamodb",
    {
        ResourceKind.TABLE: """CreateTable DeleteItem DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive GetItem
            ListTagsOfResource PutItem Query Scan TagResource UntagResource UpdateContinuousBackups UpdateItem UpdateTable
            UpdateTimeToLive""",
        ResourceKind.SEVERAL: "BatchGetItem BatchWriteItem TransactGetItems TransactWriteItems",
        ResourceKind.ANY: "DescribeEndpoints DescribeLimits ListTables",
    },
    also={"CreateTable": (Also("dynamodb:TagResource", ResourceKind.TABLE, "Tags"),)},
)

# UNVERIFIED: of a table or a database; AWS asks for the catalog and the database above it, too
GLUE: Final[dict[str, Action]] = _rows(
    "glue",
    {
        ResourceKind.CATALOG: "GetDatabases",
        ResourceKind.DATABASE: "CreateDatabase DeleteDatabase GetDatabase UpdateDatabase",
        ResourceKind.CATALOG_TABLE: """BatchDeleteTable BatchDeleteTableVersion CreateTable DeleteTable DeleteTableVersion
            GetPartitionIndexes GetTable GetTableVersion GetTableVersions GetTables UpdateTable""",
        ResourceKind.CATALOG_GIVEN: "GetTags TagResource UntagResource",
    },
    also={"CreateDatabase": (Also("glue:TagResource", ResourceKind.DATABASE, "Tags"),)},
)

# Source: service authorization reference; which form of the ARN is judged: refusals that users report.
LOGS: Final[dict[str, Action]] = _rows(
    "logs",
    {
        ResourceKind.LOG_STREAM: """CreateLogGroup CreateLogStream DeleteLogGroup DeleteLogStream DeleteRetentionPolicy DescribeLogGroups
            DescribeLogStreams FilterLogEvents GetLogEvents ListTagsLogGroup PutLogEvents PutLogGroupDeletionProtection PutRetentionPolicy
            TagLogGroup UntagLogGroup""",
        ResourceKind.LOG_GROUP: "ListTagsForResource TagResource UntagResource",
    },
    also={"CreateLogGroup": (Also("logs:TagResource", ResourceKind.LOG_GROUP, "tags"),)},
)

# Source: service authorization reference of Amazon Data Firehose.
FIREHOSE: Final[dict[str, Action]] = _rows(
    "firehose",
    {
        ResourceKind.DELIVERY_STREAM: """CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream ListTagsForDeliveryStream
            PutRecord PutRecordBatch StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream
            UntagDeliveryStream UpdateDestination""",
        ResourceKind.ANY: "ListDeliveryStreams",
    },
    also={"CreateDeliveryStream": (Also("firehose:TagDeliveryStream", ResourceKind.DELIVERY_STREAM, "Tags"),)},
)

_PASSED_ROLE: Final = (Also("iam:PassRole", ResourceKind.ROLE, "Role"),)

# The operations of Lambda that there are.  Source: service authorization reference; a mapping that is to be made is no resource yet, its
# function is a condition key.
LAMBDA: Final[dict[str, Action]] = {
    **_rows(
        "lambda",
        {
            ResourceKind.FUNCTION: """AddPermission CreateAlias CreateFunction DeleteAlias DeleteFunction DeleteFunctionConcurrency
                DeleteFunctionEventInvokeConfig GetAlias GetFunction GetFunctionCodeSigningConfig GetFunctionConcurrency
                GetFunctionConfiguration GetFunctionEventInvokeConfig GetFunctionRecursionConfig GetPolicy
                GetRuntimeManagementConfig ListAliases ListFunctionEventInvokeConfigs ListVersionsByFunction PublishVersion
                PutFunctionConcurrency PutFunctionEventInvokeConfig PutFunctionRecursionConfig RemovePermission UpdateAlias
                UpdateFunctionCode UpdateFunctionConfiguration UpdateFunctionEventInvokeConfig""",
            ResourceKind.MAPPING: "DeleteEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping",
            ResourceKind.FUNCTION_GIVEN: "ListTags TagResource UntagResource",
            ResourceKind.ANY: "CreateEventSourceMapping GetAccountSettings ListEventSourceMappings ListFunctions",
        },
        also={
            "CreateFunction": (*_PASSED_ROLE, Also("lambda:TagResource", ResourceKind.FUNCTION, "Tags")),
            "UpdateFunctionConfiguration": _PASSED_ROLE,
        },
    ),
    "Invoke": Action("lambda:InvokeFunction", ResourceKind.FUNCTION),
    "InvokeAsync": Action("lambda:InvokeFunction", ResourceKind.FUNCTION),
}

# Source: service authorization reference; a batch is allowed as its single form is.
SQS: Final[dict[str, Action]] = {
    **_rows(
        "sqs",
        {
            ResourceKind.SQS_QUEUE: """ChangeMessageVisibility CreateQueue DeleteMessage DeleteQueue GetQueueAttributes GetQueueUrl
                ListQueueTags PurgeQueue ReceiveMessage SendMessage SetQueueAttributes TagQueue UntagQueue""",
            ResourceKind.ANY: "ListQueues",
        },
        also={"CreateQueue": (Also("sqs:TagQueue", ResourceKind.SQS_QUEUE, "tags"),)},
    ),
    **{
        f"{name}Batch": Action(f"sqs:{name}", ResourceKind.SQS_QUEUE)
        for name in ("ChangeMessageVisibility", "DeleteMessage", "SendMessage")
    },
}

# Source: service authorization reference; operations on a subscription name no resource.
SNS: Final[dict[str, Action]] = _rows(
    "sns",
    {
        ResourceKind.TOPIC: """CreateTopic DeleteTopic GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource Publish
            SetTopicAttributes Subscribe TagResource UntagResource""",
        ResourceKind.ANY: """GetSubscriptionAttributes ListSubscriptions ListTopics SetSubscriptionAttributes Unsubscribe""",
    },
    also={"CreateTopic": (Also("sns:TagResource", ResourceKind.TOPIC, "Tags"),)},
)

ACTIONS: Final[dict[str, dict[str, Action]]] = {
    "kinesis": KINESIS, "sts": STS, "iam": IAM, "kms": KMS, "cloudwatch": CLOUDWATCH, "dynamodb": DYNAMODB,
    "glue": GLUE, "logs": LOGS, "firehose": FIREHOSE, "lambda": LAMBDA, "sqs": SQS, "sns": SNS,
}  # fmt: skip


def action_of(service: str, operation: str) -> Action:
    """The row of an operation.  Raises KeyError for one that is in no table: nothing unknown is ever allowed."""
    return ACTIONS[service][operation]
