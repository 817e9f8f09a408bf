"""TensorFlow Serving's REST by plain HTTP, as its documentation shows it."""

import base64

import harness

PICTURE = "coffee.png"


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


class TfServingTest(harness.ServerTest):
    config = {
        "models": [
            {"path": harness.model("add_sub")},
            {"path": harness.model("two_versions"), "versions": {"all": True}},
            {"path": harness.model("identity_string")},
            {"path": harness.model("not_finite")},
            {"path": harness.model("dynamic_seq")},
            {"path": harness.model("argmax_logits"),
             "labels": harness.model("argmax_logits") + "/labels.txt"},
            {"path": harness.model("efficientnet_lite0"),
             "labels": harness.model("efficientnet_lite0") + "/labels.txt"},
        ],
        "pipelines": [{"type": "classify", "options": {"model": "efficientnet_lite0"}}],
    }

    def predict(self, model, body, verb="predict"):
        return self.server.post(f"/v1/models/{model}:{verb}", body)

    def test_rows_of_one_input(self):
        answer = self.predict("two_versions", {"instances": [[1, 2, 3, 4], [0.5, 0, 0, 0]]})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.body, {"predictions": [[3.0, 6.0, 9.0, 12.0], [1.5, 0, 0, 0]]})

    def test_rows_of_several_inputs(self):
        rows = [{"a": [1, 2, 3, 4], "b": [1, 1, 1, 1]}, {"b": [0, 0, 0, 0], "a": [5, 6, 7, 8]}]
        answer = self.predict("add_sub", {"signature_name": "serving_default", "instances": rows})
        self.assertEqual(answer.body["predictions"], [
            {"sum": [2.0, 3.0, 4.0, 5.0], "difference": [0.0, 1.0, 2.0, 3.0]},
            {"sum": [5.0, 6.0, 7.0, 8.0], "difference": [5.0, 6.0, 7.0, 8.0]}])

    def test_columns(self):
        one = self.predict("two_versions", {"inputs": [[1, 2, 3, 4]]})
        self.assertEqual(one.body, {"outputs": [[3.0, 6.0, 9.0, 12.0]]})
        several = self.predict("add_sub", {"inputs": {"a": [[1, 2, 3, 4]], "b": [[1, 1, 1, 1]]}})
        self.assertEqual(several.body, {"outputs": {
            "sum": [[2.0, 3.0, 4.0, 5.0]], "difference": [[0.0, 1.0, 2.0, 3.0]]}})

    def test_versions(self):
        body = {"instances": [[1, 1, 1, 1]]}
        for version, factor in (("1", 1.0), ("3", 3.0)):
            answer = self.server.post(f"/v1/models/two_versions/versions/{version}:predict", body)
            self.assertEqual(answer.body["predictions"], [[factor] * 4])
        missing = self.server.post("/v1/models/two_versions/versions/2:predict", body)
        self.error_of(missing, 404, "no version '2'")

    def test_strings_and_base64(self):
        answer = self.predict("identity_string", {"instances": [["steam", b64(b"bun")]]})
        self.assertEqual(answer.body, {"predictions": [["steam", "bun"]]})
        raw = self.predict("identity_string", {"instances": [[b64(b"\xff\x00")]]})
        self.assertEqual(raw.body, {"predictions": [[b64(b"\xff\x00")]]})

    def test_not_a_number_is_written_as_tensorflow_serving_does(self):
        connection = self.server.connect()
        connection.request("POST", "/v1/models/not_finite:predict", b'{"instances":[[-1,0,1,1]]}')
        text = connection.getresponse().read().decode()
        connection.close()
        self.assertEqual(text, '{"predictions":[[NaN,-Infinity,0.0,0.0]]}')

    def test_a_picture_goes_straight_into_a_pipeline(self):
        picture = (harness.DATA / PICTURE).read_bytes()
        rows = self.predict("classify", {"instances": [b64(picture), {"image": b64(picture)}]})
        self.assertEqual(rows.status, 200, rows.body)
        for prediction in rows.body["predictions"]:
            self.assertEqual(prediction["label"][0], "espresso")
            self.assertEqual(prediction["class"][0], 967)
            self.assertGreater(prediction["score"][0], prediction["score"][1])
        columns = self.predict("classify", {"inputs": {"image": [b64(picture)]}})
        self.assertEqual(columns.body["outputs"]["label"][0][0], "espresso")

    def test_classify(self):
        picture = (harness.DATA / PICTURE).read_bytes()
        answer = self.predict("classify", {"examples": [{"image": b64(picture)}]}, "classify")
        self.assertEqual(answer.status, 200, answer.body)
        label, score = answer.body["results"][0][0]
        self.assertEqual(label, "espresso")
        self.assertGreater(score, 0.5)
        scores = list(range(10))
        model = self.predict("argmax_logits", {"examples": [{"input": scores}]}, "classify")
        self.assertEqual(model.body["results"][0][9], ["nine", 9.0])

    def test_regress(self):
        body = {"examples": [{"input": [1, 2, 3]}, {"input": [4, 5, 6]}]}
        answer = self.predict("dynamic_seq", body, "regress")
        self.assertEqual(answer.body, {"results": [6.0, 15.0]})

    def test_status(self):
        status = self.server.get("/v1/models/two_versions").body["model_version_status"]
        self.assertEqual([entry["version"] for entry in status], ["1", "3"])
        self.assertEqual(status[0], {"version": "1", "state": "AVAILABLE",
                                     "status": {"error_code": "OK", "error_message": ""}})
        one = self.server.get("/v1/models/two_versions/versions/3").body
        self.assertEqual([e["version"] for e in one["model_version_status"]], ["3"])
        self.error_of(self.server.get("/v1/models/two_versions/versions/2"), 404)
        self.error_of(self.server.get("/v1/models/nobody"), 404, "nobody")

    def test_metadata(self):
        metadata = self.server.get("/v1/models/add_sub/metadata").body
        self.assertEqual(metadata["model_spec"],
                         {"name": "add_sub", "signature_name": "", "version": "1"})
        signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
        self.assertEqual(signature["inputs"]["a"]["dtype"], "DT_FLOAT")
        sizes = [dim["size"] for dim in signature["outputs"]["sum"]["tensor_shape"]["dim"]]
        self.assertEqual(sizes, ["-1", "4"])
        self.assertEqual(signature["method_name"], "tensorflow/serving/predict")

    def test_errors(self):
        for body, words in (
            (b"{", ()),
            ({"instances": []}, ("no rows",)),
            ({"rows": [[1]]}, ("instances", "inputs")),
            ({"instances": [[1, 2, 3, 4]], "inputs": [[1]]}, ("either",)),
            ({"instances": [[1, 2, 3]]}, ("input", "3")),
            ({"instances": [[1, 2, 3, 4], [1]]}, ("different lengths",)),
            ({"instances": [["steam", 2, 3, 4]]}, ("input",)),
            ({"instances": [{"nothing": [1]}]}, ("nothing", "[input]")),
            ({"signature_name": "other", "instances": [[1, 2, 3, 4]]}, ("other",)),
        ):
            with self.subTest(body=body):
                self.error_of(self.predict("two_versions", body), 400, *words)
        self.error_of(self.predict("classify", {"instances": [{"b64": "%%%"}]}), 400, "base64")
        self.error_of(self.predict("nobody", {"instances": [1]}), 404, "nobody")
        self.error_of(self.server.get("/v1/models/add_sub:predict"), 405, "POST")
        self.error_of(self.server.post("/v1/models/add_sub:guess", {}), 404)


if __name__ == "__main__":
    harness.main()
