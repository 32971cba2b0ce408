"""What the inference server says of itself."""

from modelog_common.service import VERSION

SERVER_NAME = "modelog"
SERVER_VERSION = VERSION
EXTENSIONS = (
    "model_version_scoring",
    "sticky_key",
    "prediction_log",
    "binary_tensor_data",
    "model_repository",
    "model_configuration",
    "statistics",
)
