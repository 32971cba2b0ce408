"""MLflow's own client of its scoring server: argv is JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

given: dict[str, Any] = json.loads(sys.argv[1])
# The client sends no headers of its own choice; as behind any server with tokens they come from the outside.
plain = requests.post
requests.post = lambda url, **kwargs: plain(
    url, **{**kwargs, "headers": {**kwargs.get("headers", {}), "Authorization": f"Bearer {given['token']}"}}
)
client = ScoringServerClient("127.0.0.1", int(given["http"].rpartition(":")[2]))
client.wait_server_ready(timeout=150)
rows = np.array(given["rows"], np.float32)
frame = pd.DataFrame(rows.astype(float), columns=given["columns"])
for data in (frame, frame.iloc[:, ::-1], rows.astype(float)):
    answer = client.invoke(data).get_predictions()
    np.testing.assert_allclose(np.asarray(answer).reshape(-1), given["expected"], atol=1e-6)
try:
    client.invoke(frame[["hour"]])
except Exception as error:
    refused = str(error)
else:
    refused = ""
assert "error code 400" in refused, refused
assert "has no column 'wind'" in refused, refused
