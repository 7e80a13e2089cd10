"""Decodes an OTLP metrics payload with the PyPI package opentelemetry-proto and checks its shape.

Usage: otlp_check.py PAYLOAD. Prints one line per metric, or a line starting with SKIPPED.
"""

import sys

try:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
except ImportError:
    print("SKIPPED check of the OTLP payload: the PyPI package opentelemetry-proto is absent")
    sys.exit(0)

with open(sys.argv[1], "rb") as file:
    payload = file.read()
request = ExportMetricsServiceRequest()
request.ParseFromString(payload)
# Nothing unknown: serialised again without unknown fields it has the same length.
again = ExportMetricsServiceRequest()
again.CopyFrom(request)
again.DiscardUnknownFields()
assert len(again.SerializeToString()) == len(payload), "fields that opentelemetry-proto does not know"

(resource_metrics,) = request.resource_metrics
attributes = {a.key: a.value for a in resource_metrics.resource.attributes}
for key in ("service.name", "device.id", "samara.model.version", "samara.bundle.digest"):
    assert attributes[key].string_value, key
assert attributes["samara.boot"].int_value >= 1
(scope_metrics,) = resource_metrics.scope_metrics
assert scope_metrics.scope.name == "samara-agent"
for metric in scope_metrics.metrics:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    (point,) = data.data_points
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    if kind == "exponential_histogram":
        assert data.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        assert point.count == point.zero_count + sum(point.positive.bucket_counts)
        base = 2.0 ** (2.0 ** -point.scale)
        # Bucket i of `positive` spans (base^(offset+i), base^(offset+i+1)]: it must hold the extremes.
        if point.positive.bucket_counts:
            first = point.positive.offset
            last = first + len(point.positive.bucket_counts) - 1
            assert base**first * (1 - 1e-9) <= point.min and point.max <= base ** (last + 1) * (1 + 1e-9)
        assert point.min <= point.sum / point.count <= point.max
        print(f"{metric.name} count={point.count} scale={point.scale}")
    else:
        if kind == "sum":
            assert data.is_monotonic and data.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        assert point.WhichOneof("value") == "as_int"
        print(f"{metric.name} value={point.as_int}")
