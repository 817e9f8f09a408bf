"""Writes tf_serving_warmup_requests beside itself, as TensorFlow Serving's users make it: messages of
prediction_log.proto by Google's protobuf library, framed as TFRecords.

    .cache/test-venv/bin/python testdata/golden/tf_serving_warmup.py

The definitions below are the parts of TensorFlow's that are used, with its names and numbers.
"""

import struct
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

LABEL, TYPE = descriptor_pb2.FieldDescriptorProto, descriptor_pb2.FieldDescriptorProto


def message(name, *fields):
    """Fields are (name, number, type, label); a type that begins with '.' is a message's."""
    made = descriptor_pb2.DescriptorProto(name=name)
    for field, number, kind, label in fields:
        one = made.field.add(name=field, number=number, label=label)
        if isinstance(kind, str):
            one.type, one.type_name = TYPE.TYPE_MESSAGE, kind
        else:
            one.type = kind
    return made


def tensors(name, field, number, *others):
    """A message with a map of tensors."""
    made = message(name, (field, number, f".tf.{name}.{field.capitalize()}Entry",
                          LABEL.LABEL_REPEATED), *others)
    entry = message(f"{field.capitalize()}Entry", ("key", 1, TYPE.TYPE_STRING, ONE),
                    ("value", 2, ".tf.TensorProto", ONE))
    entry.options.map_entry = True
    made.nested_type.append(entry)
    return made


ONE, MANY = LABEL.LABEL_OPTIONAL, LABEL.LABEL_REPEATED
definitions = descriptor_pb2.FileDescriptorProto(name="warmup.proto", package="tf", syntax="proto3")
definitions.message_type.extend([
    message("Dim", ("size", 1, TYPE.TYPE_INT64, ONE), ("name", 2, TYPE.TYPE_STRING, ONE)),
    message("TensorShapeProto", ("dim", 2, ".tf.Dim", MANY)),
    message("TensorProto", ("dtype", 1, TYPE.TYPE_INT32, ONE),
            ("tensor_shape", 2, ".tf.TensorShapeProto", ONE),
            ("version_number", 3, TYPE.TYPE_INT32, ONE),
            ("tensor_content", 4, TYPE.TYPE_BYTES, ONE),
            ("float_val", 5, TYPE.TYPE_FLOAT, MANY)),
    message("ModelSpec", ("name", 1, TYPE.TYPE_STRING, ONE),
            ("signature_name", 3, TYPE.TYPE_STRING, ONE)),
    tensors("PredictRequest", "inputs", 2, ("model_spec", 1, ".tf.ModelSpec", ONE),
            ("output_filter", 3, TYPE.TYPE_STRING, MANY)),
    tensors("PredictResponse", "outputs", 1, ("model_spec", 2, ".tf.ModelSpec", ONE)),
    message("PredictLog", ("request", 1, ".tf.PredictRequest", ONE),
            ("response", 2, ".tf.PredictResponse", ONE)),
    message("ClassifyLog"),
    message("LogMetadata", ("model_spec", 1, ".tf.ModelSpec", ONE)),
    message("PredictionLog", ("log_metadata", 1, ".tf.LogMetadata", ONE),
            ("classify_log", 2, ".tf.ClassifyLog", ONE),
            ("predict_log", 6, ".tf.PredictLog", ONE)),
])
pool = descriptor_pool.DescriptorPool()
pool.Add(definitions)
PredictionLog = message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.PredictionLog"))
DT_FLOAT = 1


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(log):
    data = log.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def fill(tensor, shape):
    tensor.dtype = DT_FLOAT
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


def main():
    first = PredictionLog()
    first.log_metadata.model_spec.name = "echo"
    request = first.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "echo", "serving_default"
    fill(request.inputs["input"], [1, 4])
    request.inputs["input"].float_val.extend([1, 2, 3, 4])
    fill(first.predict_log.response.outputs["output"], [1, 4])
    first.predict_log.response.outputs["output"].tensor_content = struct.pack("<4f", 1, 2, 3, 4)
    other = PredictionLog()
    other.classify_log.SetInParent()
    second = PredictionLog()
    fill(second.predict_log.request.inputs["input"], [2, 4])
    second.predict_log.request.inputs["input"].float_val.append(0.5)  # stands for all
    path = Path(__file__).with_name("tf_serving_warmup_requests")
    path.write_bytes(b"".join(map(record, [first, other, second])))


if __name__ == "__main__":
    main()
