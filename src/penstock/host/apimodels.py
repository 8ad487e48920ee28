"""Where the API models come from: the data files of the installed botocore, read without importing it (that costs 40 ms)."""

import gzip
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

from penstock.wire.model import ServiceModel, parse_model

# patterns that we widen, by service and shape: our StreamIds have no hyphen (docs/adr/0011); deliveries may go to machines
# of one's own, without TLS and without AWS's names
_ENDPOINT: Final = "https?://.*"
_PATTERNS: Final = {
    "kinesis": {"StreamId": "[a-z0-9]{20}[a-z0-9-][a-z0-9]{3}"},
    "firehose": {
        "HttpEndpointUrl": _ENDPOINT,
        "ElasticsearchClusterEndpoint": _ENDPOINT,
        "AmazonopensearchserviceClusterEndpoint": _ENDPOINT,
        "AmazonOpenSearchServerlessCollectionEndpoint": _ENDPOINT,
        "ClusterJDBCURL": "jdbc:(redshift|postgresql)(:iam)?://.*",
    },
}


@cache
def load_model(service: str) -> ServiceModel:
    """The newest model of a service, by botocore's folder name (`kinesis`, `sts`)."""
    spec = importlib.util.find_spec("botocore")
    assert spec is not None, "botocore is a dependency of this package"
    assert spec.origin is not None
    folder = max((Path(spec.origin).parent / "data" / service).iterdir())
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return parse_model(gzip.decompress(packed.read_bytes()), _PATTERNS.get(service, {}))
    return parse_model((folder / "service-2.json").read_bytes(), _PATTERNS.get(service, {}))
