"""grpcio's client passes the suite of clients: what it asks is what gRPC means."""

import pytest
from clients import grpcio
from grpc_client_suite import Connect, GrpcClientSuite


class TestGrpcioClient(GrpcClientSuite):
    @pytest.fixture
    def connect(self) -> Connect:
        return grpcio
