"""REST over the contracts: routes, JSON and the OpenAPI document all come from the protos."""
