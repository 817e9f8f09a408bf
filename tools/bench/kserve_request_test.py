"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import json
import struct
import unittest

from kserve_request import binary_request

INPUTS = [
    {"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]},
    {"name": "attention_mask", "datatype": "INT64", "shape": ["-1", "-1"]},
    {"name": "image", "datatype": "FP32", "shape": [-1, 3, 2, 2]},
]


class KserveRequestTest(unittest.TestCase):
    def test_tensors_follow_the_head_with_the_sizes_it_names(self) -> None:
        request = binary_request(INPUTS, 4)
        head = json.loads(request.body[:request.header_bytes])
        self.assertEqual([tensor["shape"] for tensor in head["inputs"]],
                         [[1, 4], [1, 4], [1, 3, 2, 2]])
        sizes = [tensor["parameters"]["binary_data_size"] for tensor in head["inputs"]]
        self.assertEqual(sizes, [32, 32, 48])
        self.assertEqual(len(request.body), request.header_bytes + sum(sizes))
        mask = request.body[request.header_bytes + 32:request.header_bytes + 64]
        self.assertEqual(struct.unpack("<4q", mask), (1, 1, 1, 1))

    def test_requests_are_the_same_every_time(self) -> None:
        self.assertEqual(binary_request(INPUTS, 4), binary_request(INPUTS, 4))

    def test_an_unknown_datatype_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "BYTES"):
            binary_request([{"name": "text", "datatype": "BYTES", "shape": [-1]}], 4)


if __name__ == "__main__":
    unittest.main()
