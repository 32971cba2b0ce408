"""What the inference server says of itself."""

from modelog_common.service import VERSION

SERVER_NAME = "modelog"
SERVER_VERSION = VERSION
# Of answers that something else gave than the version that the request was for; its value says why.
FALLBACK_HEADER = "x-modelog-fallback"
EXTENSIONS = (
    "model_version_scoring",
    "sticky_key",
    "prediction_log",
    "binary_tensor_data",
    "model_repository",
    "model_configuration",
    "statistics",
)
