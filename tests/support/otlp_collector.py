"""A small collector of traces: the gRPC service of OpenTelemetry's protocol, on a free port of loopback."""
import collections
import concurrent.futures
import threading

Span = collections.namedtuple("Span", "trace_id span_id parent_id name kind start end attributes failed service")
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def fields(data):
    """(number, value) of each field of a protobuf message: int for varints and fixed widths, bytes for the rest."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            yield number, varint()
        elif wire == 2:
            size = varint()
            yield number, data[at:at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[wire]
            yield number, int.from_bytes(data[at:at + size], "little")
            at += size


def attribute(data):
    key, value = "", None
    for number, field in fields(data):
        if number == 1:
            key = field.decode()
        else:
            for kind, inner in fields(field):
                value = inner.decode() if kind == 1 else inner
    return key, value


def span_of(data, service):
    found = dict(trace=b"", id=b"", parent=b"", name="", kind=0, start=0, end=0, failed=False)
    attributes = {}
    for number, field in fields(data):
        if number == 9:
            key, value = attribute(field)
            attributes[key] = value
        elif number == 15:
            found["failed"] = dict(fields(field)).get(3) == 2
        else:
            name = {1: "trace", 2: "id", 4: "parent", 5: "name", 6: "kind", 7: "start", 8: "end"}.get(number)
            if name:
                found[name] = field.decode() if name == "name" else field
    return Span(found["trace"].hex(), found["id"].hex(), found["parent"].hex(), found["name"], found["kind"], found["start"],
                found["end"], attributes, found["failed"], service)


def spans_of(request):
    for _, resource_spans in fields(request):
        parts = list(fields(resource_spans))
        resource = dict(attribute(field) for number, data in parts if number == 1 for _, field in fields(data))
        for number, scope_spans in parts:
            if number != 2:
                continue
            for inner, data in fields(scope_spans):
                if inner == 2:
                    yield span_of(data, resource.get("service.name", ""))


class Collector:
    """`with Collector() as collector:`; collector.wait(condition) gives the spans once they fulfil it."""

    def __enter__(self):
        import grpc  # Debian's python3-grpcio

        collector = self

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                if details.method != METHOD:
                    return None
                return grpc.unary_unary_rpc_method_handler(collector.export)

        self.spans, self.changed = [], threading.Condition()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((Handler(),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(1).wait()

    def export(self, request, _):
        with self.changed:
            self.spans.extend(spans_of(request))
            self.changed.notify_all()
        return b""

    def wait(self, condition, seconds=60):
        with self.changed:
            self.changed.wait_for(lambda: condition(self.spans), seconds)
            return list(self.spans)
