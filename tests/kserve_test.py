"""KServe v2 as its users speak it: tritonclient, unchanged."""

import json
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

import harness

# The datatype that each model identity_<key> takes.
DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "fp16": "FP16",
    "bf16": "BF16", "fp32": "FP32", "fp64": "FP64", "string": "BYTES",
}
# Half floats have no JSON form in tritonclient; a test below sends them as numbers.
BINARY_ONLY = {"FP16", "BF16"}


def example(datatype, rows=2):
    """Values at the ends of each type's range, [rows, 3]."""
    if datatype == "BYTES":
        values = [b"steam", "bāozi 包子".encode(), b""] * rows
        return np.array(values, dtype=np.object_).reshape(rows, 3)
    if datatype == "BOOL":
        return np.array([True, False, True] * rows).reshape(rows, 3)
    if datatype in ("BF16", "FP16", "FP32", "FP64"):
        dtype = ml_dtypes.bfloat16 if datatype == "BF16" else triton_to_np_dtype(datatype)
        return np.array([1.5, -0.25, 96.0] * rows).reshape(rows, 3).astype(dtype)
    dtype = triton_to_np_dtype(datatype)
    ends = np.iinfo(dtype)
    return np.array([ends.min, ends.max, 7] * rows, dtype=dtype).reshape(rows, 3)


class KserveTest(harness.ServerTest):
    config = {
        "models": [
            *({"path": harness.model(f"identity_{key}")} for key in DATATYPES),
            {"path": harness.model("add_sub")},
            {"path": harness.model("two_versions"), "versions": {"all": True}},
            {"path": harness.model("fixed_batch")},
            {"path": harness.model("dynamic_seq")},
            {"path": harness.model("argmax_logits"),
             "labels": harness.model("argmax_logits") + "/labels.txt"},
            {"path": harness.model("slow_loop")},
        ]
    }

    def setUp(self):
        self.client = http.InferenceServerClient(self.server.url, concurrency=8)

    def tearDown(self):
        self.client.close()

    def give(self, name, array, datatype=None, binary=True):
        datatype = datatype or {"f": "FP32", "i": "INT64"}[array.dtype.kind]
        tensor = http.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        return tensor

    def refused(self, call, status, *words):
        with self.assertRaises(InferenceServerException) as caught:
            call()
        self.assertEqual(caught.exception.status(), str(status), caught.exception.message())
        for word in words:
            self.assertIn(word, caught.exception.message())


class MetadataTest(KserveTest):
    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("add_sub"))
        self.assertTrue(self.client.is_model_ready("two_versions", "3"))
        self.assertFalse(self.client.is_model_ready("two_versions", "2"))
        self.assertFalse(self.client.is_model_ready("nobody"))

    def test_server_metadata(self):
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata["name"], "baozi")
        self.assertRegex(metadata["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn("binary_tensor_data", metadata["extensions"])
        self.assertIn("classification", metadata["extensions"])

    def test_model_metadata(self):
        metadata = self.client.get_model_metadata("add_sub")
        self.assertEqual(metadata["name"], "add_sub")
        self.assertEqual(metadata["versions"], ["1"])
        self.assertEqual(metadata["platform"], "onnxruntime_onnx")
        inputs = {t["name"]: (t["datatype"], t["shape"]) for t in metadata["inputs"]}
        outputs = {t["name"]: (t["datatype"], t["shape"]) for t in metadata["outputs"]}
        self.assertEqual(inputs, {"a": ("FP32", [-1, 4]), "b": ("FP32", [-1, 4])})
        self.assertEqual(outputs, {"sum": ("FP32", [-1, 4]), "difference": ("FP32", [-1, 4])})
        self.assertEqual(self.client.get_model_metadata("two_versions")["versions"], ["1", "3"])
        self.refused(lambda: self.client.get_model_metadata("nobody"), 404, "nobody")
        self.refused(lambda: self.client.get_model_metadata("two_versions", "2"), 404, "1, 3")

    def test_model_config(self):
        batched = self.client.get_model_config("add_sub")
        self.assertGreater(batched["max_batch_size"], 0)
        self.assertEqual(batched["input"][0],
                         {"name": "a", "data_type": "TYPE_FP32", "dims": [4]})
        fixed = self.client.get_model_config("fixed_batch")
        self.assertEqual(fixed["max_batch_size"], 0)
        self.assertEqual(fixed["output"][0]["dims"], [2, 3])

    def test_repository_index(self):
        index = self.client.get_model_repository_index()
        versions = {(entry["name"], entry["version"]): entry["state"] for entry in index}
        self.assertEqual(versions["two_versions", "1"], "READY")
        self.assertEqual(versions["two_versions", "3"], "READY")
        self.assertEqual(len(index), len(self.config["models"]) + 1)


class DatatypeTest(KserveTest):
    def infer(self, key, datatype, array, binary_in, binary_out):
        wanted = [http.InferRequestedOutput("output", binary_data=binary_out)]
        tensors = [self.give("input", array, datatype, binary_in)]
        return self.client.infer(f"identity_{key}", tensors, outputs=wanted)

    def test_every_datatype_in_binary_and_in_json(self):
        for key, datatype in DATATYPES.items():
            array = example(datatype)
            ways = [(True, True)] if datatype in BINARY_ONLY else [
                (True, True), (True, False), (False, True), (False, False)]
            for binary_in, binary_out in ways:
                with self.subTest(datatype=datatype, binary_in=binary_in, binary_out=binary_out):
                    result = self.infer(key, datatype, array, binary_in, binary_out)
                    self.assertEqual(result.get_output("output")["datatype"], datatype)
                    got = result.as_numpy("output")
                    if datatype == "BYTES":
                        as_bytes = [v if isinstance(v, bytes) else v.encode() for v in got.flat]
                        self.assertEqual(as_bytes, list(array.flat))
                    else:
                        np.testing.assert_array_equal(np.asarray(got, array.dtype), array)
                    self.assertEqual(got.shape, array.shape)

    def test_half_floats_in_json_are_numbers(self):
        for key, datatype in (("fp16", "FP16"), ("bf16", "BF16")):
            body = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": datatype,
                                "data": [1.5, -0.25, 96]}]}
            answer = self.server.post(f"/v2/models/identity_{key}/infer", body)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.body["outputs"], [
                {"name": "output", "datatype": datatype, "shape": [1, 3],
                 "data": [1.5, -0.25, 96.0]}])

    def test_bytes_that_are_no_text_travel_in_binary_only(self):
        array = np.array([[b"\xff\xfe", b"\x00"]], dtype=np.object_)
        result = self.infer("string", "BYTES", array, True, True)
        self.assertEqual(list(result.as_numpy("output").flat), [b"\xff\xfe", b"\x00"])
        self.refused(lambda: self.infer("string", "BYTES", array, True, False), 400, "output")

    def test_nested_json_data(self):
        body = {"inputs": [{"name": "input", "shape": [2, 2], "datatype": "INT32",
                            "data": [[1, 2], [3, 4]]}]}
        answer = self.server.post("/v2/models/identity_int32/infer", body)
        self.assertEqual(answer.body["outputs"][0]["data"], [1, 2, 3, 4])

    def test_too_few_and_too_many_rows(self):
        def ask(rows):
            self.infer("fp32", "FP32", np.zeros((rows, 3), np.float32), True, True)
        ask(32)
        self.refused(lambda: ask(33), 400, "33", "32")
        self.refused(lambda: ask(0), 400, "no rows")

    def test_a_large_tensor_comes_back_whole(self):
        array = np.random.default_rng(1).standard_normal((16, 65536), np.float32)  # 4 MiB
        result = self.infer("fp32", "FP32", array, True, True)
        np.testing.assert_array_equal(result.as_numpy("output"), array)

    def test_a_body_without_json_is_the_only_input(self):
        array = np.arange(4, dtype=np.float32)
        headers = {"Inference-Header-Content-Length": "0"}
        answer = self.server.post("/v2/models/identity_fp32/infer", array.tobytes(), headers)
        self.assertEqual(answer.status, 200, answer.body)
        size = int(answer.headers["Inference-Header-Content-Length"])
        header = json.loads(answer.body[:size])
        self.assertEqual(header["outputs"][0]["parameters"]["binary_data_size"], 16)
        self.assertEqual(answer.body[size:], array.tobytes())


class InferTest(KserveTest):
    def add_sub(self, rows=1, **options):
        a = np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)
        return self.client.infer("add_sub", [self.give("a", a), self.give("b", a)], **options)

    def test_requested_outputs_and_their_order(self):
        both = self.add_sub()
        self.assertEqual([o["name"] for o in both.get_response()["outputs"]],
                         ["sum", "difference"])
        one = self.add_sub(outputs=[http.InferRequestedOutput("difference")])
        self.assertEqual([o["name"] for o in one.get_response()["outputs"]], ["difference"])
        np.testing.assert_array_equal(one.as_numpy("difference"), np.zeros((1, 4), np.float32))
        self.assertIsNone(one.as_numpy("sum"))
        self.refused(lambda: self.add_sub(outputs=[http.InferRequestedOutput("product")]), 400,
                     "product", "sum, difference")

    def test_request_id_and_the_answering_model(self):
        response = self.add_sub(request_id="bun-42").get_response()
        self.assertEqual(response["id"], "bun-42")
        self.assertEqual((response["model_name"], response["model_version"]), ("add_sub", "1"))

    def test_parameters_are_accepted(self):
        self.add_sub(parameters={"flavour": "pork", "count": 3, "hot": True})
        self.add_sub(priority=1, timeout=60_000_000)

    def test_versions(self):
        tensors = [self.give("input", np.ones((1, 4), np.float32))]
        for version, factor in (("", 3), ("3", 3), ("1", 1)):
            result = self.client.infer("two_versions", tensors, model_version=version)
            np.testing.assert_array_equal(result.as_numpy("output"),
                                          np.full((1, 4), factor, np.float32))
            self.assertEqual(result.get_response()["model_version"], str(factor))
        self.refused(lambda: self.client.infer("two_versions", tensors, model_version="2"), 404,
                     "no version '2'")

    def test_a_timeout_ends_the_request(self):
        slow = [self.give("iterations", np.array([200_000], np.int64))]
        self.refused(lambda: self.client.infer("slow_loop", slow, timeout=50_000), 504)
        quick = [self.give("iterations", np.array([1], np.int64))]
        self.client.infer("slow_loop", quick)  # the instance is free again

    def test_classification(self):
        logits = np.zeros((2, 10), np.float32)
        logits[0, 7], logits[0, 2], logits[1, 3] = 5, 2.5, 9
        wanted = [http.InferRequestedOutput("logits", class_count=2)]
        result = self.client.infer("argmax_logits", [self.give("input", logits)], outputs=wanted)
        classes = result.as_numpy("logits")
        self.assertEqual(classes.shape, (2, 2))
        self.assertEqual(classes[0].tolist(), [b"5.000000:7:seven", b"2.500000:2:two"])
        self.assertEqual(classes[1, 0], b"9.000000:3:three")

    def test_many_in_flight(self):
        tensors = [self.give("input", np.full((1, 64), value, np.float32)) for value in range(100)]
        pending = [self.client.async_infer("identity_fp32", [tensor]) for tensor in tensors]
        for value, request in enumerate(pending):
            got = request.get_result().as_numpy("output")
            np.testing.assert_array_equal(got, np.full((1, 64), value, np.float32))

    def test_many_connections_of_unlike_shapes(self):
        def ask(size):
            client = http.InferenceServerClient(self.server.url)
            array = np.full((1 + size % 3, size), size, np.float32)
            result = client.infer("dynamic_seq", [self.give("input", array)])
            client.close()
            return size, result.as_numpy("sum"), result.as_numpy("passed").shape
        with ThreadPoolExecutor(8) as pool:
            for size, total, passed in pool.map(ask, range(1, 65)):
                self.assertEqual(passed, (1 + size % 3, size))
                np.testing.assert_array_equal(total, np.full((1 + size % 3, 1), size * size))

    def test_errors_have_tritonclients_type(self):
        fp32 = self.give("input", np.zeros((1, 3), np.float32))
        self.refused(lambda: self.client.infer("nobody", [fp32]), 404, "nobody")
        self.refused(lambda: self.client.infer("identity_int32", [fp32]), 400, "INT32")
        wide = self.give("a", np.zeros((1, 5), np.float32))
        other = self.give("b", np.zeros((1, 5), np.float32))
        self.refused(lambda: self.client.infer("add_sub", [wide, other]), 400, "a", "5")
        self.refused(lambda: self.client.infer("add_sub", [wide]), 400)


class ControlTest(KserveTest):
    def test_statistics(self):
        before = self.client.get_inference_statistics("add_sub")["model_stats"][0]
        a = np.zeros((3, 4), np.float32)
        self.client.infer("add_sub", [self.give("a", a), self.give("b", a)])
        after = self.client.get_inference_statistics("add_sub", "1")["model_stats"][0]
        self.assertEqual((after["name"], after["version"]), ("add_sub", "1"))
        self.assertEqual(after["inference_count"], before["inference_count"] + 3)
        self.assertEqual(after["execution_count"], before["execution_count"] + 1)
        self.assertGreater(after["last_inference"], 1_600_000_000_000)
        for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
            self.assertGreater(after["inference_stats"][part]["count"], 0, part)
        self.assertIn(3, [batch["batch_size"] for batch in after["batch_stats"]])
        names = [m["name"] for m in self.client.get_inference_statistics()["model_stats"]]
        self.assertIn("two_versions", names)
        self.refused(lambda: self.client.get_inference_statistics("nobody"), 404)

    def test_unload_and_load(self):
        tensors = [self.give("input", np.ones((2, 3), np.float32))]
        self.client.unload_model("fixed_batch")
        self.assertFalse(self.client.is_model_ready("fixed_batch"))
        self.assertTrue(self.client.is_server_ready(), "unloaded on purpose is no fault")
        self.refused(lambda: self.client.infer("fixed_batch", tensors), 503, "unloaded")
        states = {e["name"]: e for e in self.client.get_model_repository_index()}
        self.assertEqual(states["fixed_batch"]["state"], "UNAVAILABLE")
        self.client.load_model("fixed_batch")
        self.assertTrue(self.client.is_model_ready("fixed_batch"))
        np.testing.assert_array_equal(
            self.client.infer("fixed_batch", tensors).as_numpy("output"), 2 * np.ones((2, 3)))
        self.refused(lambda: self.client.load_model("nobody"), 404, "nobody")
        self.refused(lambda: self.client.unload_model("nobody"), 404, "nobody")


if __name__ == "__main__":
    harness.main()
