"""Services in threads of their own: they can answer callers that block the tests' loop."""

import threading
from concurrent import futures

import grpc

from lotwise.v1 import (
    explain_pb2,
    explain_pb2_grpc,
    predict_pb2,
    predict_pb2_grpc,
    referral_pb2,
    referral_pb2_grpc,
)


class FakePredict(predict_pb2_grpc.PredictServiceServicer):
    """Answers with the number of bytes of the tile.

    Args:
        statuses: What the first calls end with instead.
        headers: Whether headers are sent before, as services of ours do.
    """

    def __init__(self, statuses=(), headers=False):
        self.statuses = list(statuses)
        self.headers = headers
        self.calls = 0
        self.release = threading.Event()
        self.received = 0
        self.ended = threading.Event()

    def Predict(self, request, context):
        self.calls += 1
        if self.headers:
            context.send_initial_metadata((("traceparent", "00-1-2-01"),))
        if self.statuses:
            context.abort(self.statuses.pop(0), "not now")
        return self.answer(request)

    def PredictStream(self, request_iterator, context):
        context.add_callback(self.ended.set)
        for message in request_iterator:
            self.received += 1
            if self.statuses:
                context.abort(self.statuses.pop(0), "not now")
            self.release.wait(60)
            yield predict_pb2.PredictStreamResponse(
                tile_id=message.request.tile.tile_id, result=self.answer(message.request)
            )

    def answer(self, request):
        tile = request.tile
        return predict_pb2.PredictResponse(
            tile_id=tile.tile_id, property="bytes", unit="psi", value=len(tile.file)
        )


class FakeExplain(explain_pb2_grpc.ExplainServiceServicer):
    """Its model's property is in MPa; it reaches every target."""

    def __init__(self):
        self.targets = []
        self.release = threading.Event()

    def Backward(self, request, context):
        self.targets.append(request.target)
        return explain_pb2.BackwardResponse(
            unit="MPa", target=request.target, tolerance=request.tolerance
        )

    def BackwardStream(self, request_iterator, context):
        for message in request_iterator:
            yield explain_pb2.BackwardStreamResponse(result=self.Backward(message.request, context))


class FakeReferral(referral_pb2_grpc.ReferralServiceServicer):
    """Counts a lot's tiles by name, and breaks off.

    Args:
        breaks: After so many messages each of the first streams ends.
        every: Tiles between tokens; the token names what was counted.
        settled: Tiles after which a verdict is settled.
    """

    def __init__(self, breaks=(), every=3, settled=10**9):
        self.breaks, self.every, self.settled = list(breaks), every, settled
        self.streams = []
        self.release = threading.Event()

    def DecideLot(self, request_iterator, context):
        most = self.breaks.pop(0) if self.breaks else 10**9
        self.streams.append([])
        counted, complete = [], False
        for number, message in enumerate(request_iterator):
            self.streams[-1].append(message)
            if number == 0 and message.resume_token:
                counted = message.resume_token.decode().split(",")
            if number == most:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            if message.complete:
                complete = True
                break
            counted.append(message.tile.tile_id)
            token = ",".join(counted).encode() if len(counted) % self.every == 0 else b""
            yield referral_pb2.DecideLotResponse(
                acknowledged=referral_pb2.TileAcknowledged(
                    tile_id=message.tile.tile_id,
                    decision=referral_pb2.DecideResponse(
                        tile_id=message.tile.tile_id, decision=referral_pb2.DECISION_ACCEPT
                    ),
                    running=referral_pb2.LotVerdict(settled=len(counted) >= self.settled),
                    resume_token=token,
                )
            )
        yield referral_pb2.DecideLotResponse(
            verdict=referral_pb2.LotVerdict(
                tiles=len(counted), looks_like=",".join(counted), complete=complete
            )
        )


class Serving:
    """A fake that listens while it is entered; `address` says where."""

    def __init__(self, fake, credentials=None):
        self.fake = fake
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)]
        )
        if isinstance(fake, FakePredict):
            predict_pb2_grpc.add_PredictServiceServicer_to_server(fake, self._server)
        elif isinstance(fake, FakeReferral):
            referral_pb2_grpc.add_ReferralServiceServicer_to_server(fake, self._server)
        else:
            explain_pb2_grpc.add_ExplainServiceServicer_to_server(fake, self._server)
        port = (
            self._server.add_secure_port("127.0.0.1:0", credentials)
            if credentials
            else self._server.add_insecure_port("127.0.0.1:0")
        )
        self.address = f"127.0.0.1:{port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self.fake.release.set()
        self._server.stop(None).wait()
