"""OpenAI's API as its users speak it: the openai package, unchanged."""

import base64
import json
import struct
from concurrent.futures import ThreadPoolExecutor

import openai

import harness

CHAT = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"]}}}
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20},
                                           "age": {"type": "integer", "minimum": 0,
                                                   "maximum": 99}},
          "required": ["name", "age"], "additionalProperties": False}


class OpenAiTest(harness.ServerTest):
    config = {
        "models": [
            {"path": harness.model("smollm2"),
             "language": {"context": 4096, "window": 1024, "answers_max": 4, "prefixes": "off"}},
            {"path": harness.model("minilm")},
            {"path": harness.model("noop")},
        ],
        "pipelines": [{"type": "embed", "options": {"model": "minilm"}}],
    }

    def setUp(self):
        self.client = openai.OpenAI(base_url=f"http://{self.server.url}/v1", api_key="none",
                                    max_retries=0, timeout=harness.ANSWER_SECONDS_MAX)

    def tearDown(self):
        self.client.close()

    def chat(self, messages=None, **fields):
        fields = {"model": "smollm2", "temperature": 0, "max_tokens": 16, **fields}
        return self.client.chat.completions.create(messages=messages or CHAT, **fields)

    def complete(self, prompt="The capital of France is", **fields):
        fields = {"model": "smollm2", "temperature": 0, "max_tokens": 8, **fields}
        return self.client.completions.create(prompt=prompt, **fields)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["smollm2"])
        model = self.client.models.retrieve("smollm2")
        self.assertEqual(model.status["value"], "loaded")
        self.assertGreater(model.meta["n_params"], 1e8)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nothing")

    def test_chat(self):
        answer = self.chat()
        self.assertEqual(answer.object, "chat.completion")
        choice = answer.choices[0]
        self.assertIn("Paris", choice.message.content)
        self.assertEqual((choice.message.role, choice.finish_reason), ("assistant", "stop"))
        self.assertGreater(answer.usage.prompt_tokens, 10)
        self.assertEqual(answer.usage.total_tokens,
                         answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_streamed_chat_says_the_same(self):
        whole = self.chat()
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        self.assertEqual(text, whole.choices[0].message.content)
        reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        self.assertEqual(reasons[-1], "stop")
        self.assertEqual(set(reasons[:-1]), {None})
        self.assertEqual(chunks[-1].usage.completion_tokens, whole.usage.completion_tokens)

    def test_a_stream_that_is_left_makes_room(self):
        for _ in range(8):  # twice what may run at once
            stream = self.chat([{"role": "user", "content": "Count to a thousand."}],
                               stream=True, max_tokens=900)
            next(iter(stream))
            stream.close()
        harness.wait_until(
            lambda: self.server.metrics()["vllm:num_requests_running"].samples[0].value == 0,
            "the end of what nobody reads")

    def test_completion(self):
        answer = self.complete()
        self.assertEqual(answer.object, "text_completion")
        self.assertIn("Paris", answer.choices[0].text)
        self.assertEqual(answer.choices[0].finish_reason, "length")
        self.assertEqual(answer.usage.completion_tokens, 8)
        streamed = "".join(chunk.choices[0].text for chunk in self.complete(stream=True))
        self.assertEqual(streamed, answer.choices[0].text)

    def test_several_prompts_and_echo(self):
        answer = self.complete(["The capital of France is", "One, two, three,"], echo=True)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1])
        self.assertTrue(answer.choices[1].text.startswith("One, two, three, four"))

    def test_prompt_of_tokens(self):
        tokens = self.server.post("/tokenize", {"content": "The capital of France is"}).body
        self.assertEqual(self.complete(tokens["tokens"]).choices[0].text,
                         self.complete().choices[0].text)
        self.assertEqual(self.server.post("/detokenize", tokens).body,
                         {"content": "The capital of France is"})

    def test_choices_and_seed(self):
        fields = {"temperature": 1.2, "seed": 7, "n": 3, "max_tokens": 12}
        story = [{"role": "user", "content": "Tell a story about a dumpling."}]
        first, second = ([choice.message.content for choice in self.chat(story, **fields).choices]
                         for _ in range(2))
        self.assertEqual(first, second)
        self.assertEqual(len(set(first)), 3)
        # The second choice is what its seed gives alone.
        alone = self.chat(story, **{**fields, "seed": 8, "n": 1}).choices[0].message.content
        self.assertEqual(alone, first[1])
        streamed = ["", "", ""]
        for chunk in self.chat(story, stream=True, **fields):
            streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
        self.assertEqual(streamed, first)

    def test_stop(self):
        answer = self.complete("One, two, three,", stop=[" five", "seven"], max_tokens=30)
        self.assertEqual(answer.choices[0].text, " four,")
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_log_probabilities(self):
        content = self.chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content
        self.assertEqual(len(content[0].top_logprobs), 3)
        self.assertLessEqual(content[0].logprob, 0)
        self.assertEqual(content[0].token, content[0].top_logprobs[0].token)  # temperature 0
        self.assertEqual(bytes(content[0].bytes).decode(), content[0].token)
        chances = self.complete(logprobs=2).choices[0].logprobs
        self.assertEqual(len(chances.tokens), 8)
        self.assertEqual(len(chances.token_logprobs), 8)
        self.assertEqual(chances.text_offset[0], 0)

    def test_logit_bias(self):
        paris = self.server.post("/tokenize", {"content": " Paris"}).body["tokens"][0]
        self.assertNotIn("Paris", self.complete(logit_bias={str(paris): -100}).choices[0].text)

    def test_json_schema(self):
        answer = self.chat(
            [{"role": "user", "content": "Invent a person, as JSON."}], max_tokens=80,
            response_format={"type": "json_schema",
                             "json_schema": {"name": "person", "schema": PERSON}})
        person = json.loads(answer.choices[0].message.content)
        self.assertEqual(sorted(person), ["age", "name"])
        self.assertIsInstance(person["age"], int)

    def test_grammar(self):
        answer = self.chat(extra_body={"grammar": 'root ::= "yes" | "no"'})
        self.assertIn(answer.choices[0].message.content, ("yes", "no"))

    def test_tools_that_the_template_does_not_know(self):
        with self.assertRaisesRegex(openai.BadRequestError, "knows no tools"):
            self.chat(tools=[WEATHER])
        self.assertIn("Paris", self.chat(tools=[WEATHER], tool_choice="none")
                      .choices[0].message.content)

    def test_responses(self):
        fields = {"model": "smollm2", "instructions": "You answer in one word.",
                  "input": "What is the capital of France?", "temperature": 0,
                  "max_output_tokens": 16}
        response = self.client.responses.create(**fields)
        self.assertEqual(response.status, "completed")
        self.assertIn("Paris", response.output_text)
        text, last = "", None
        for last in self.client.responses.create(stream=True, **fields):
            if last.type == "response.output_text.delta":
                text += last.delta
        self.assertEqual(last.type, "response.completed")
        self.assertEqual(last.response.output_text, response.output_text)
        self.assertEqual(text, response.output_text)

    def test_embeddings(self):
        texts = ["A man is eating food.", "A man is eating a piece of bread.", "It rains."]
        plain = self.client.embeddings.create(model="embed", input=texts, encoding_format="float")
        vectors = [entry.embedding for entry in plain.data]
        self.assertEqual([len(vector) for vector in vectors], [384] * 3)

        def alike(a, b):
            return sum(x * y for x, y in zip(vectors[a], vectors[b]))
        self.assertGreater(alike(0, 1), alike(0, 2))
        raw = self.server.post("/v1/embeddings", {"model": "embed", "input": texts[0],
                                                  "encoding_format": "base64"}).body
        packed = struct.unpack("<384f", base64.b64decode(raw["data"][0]["embedding"]))
        for number, same in zip(packed, vectors[0]):
            self.assertAlmostEqual(number, same, places=5)
        with self.assertRaisesRegex(openai.BadRequestError, "384 dimensions"):
            self.client.embeddings.create(model="embed", input="x", dimensions=5)
        with self.assertRaisesRegex(openai.BadRequestError, "language model"):
            self.client.embeddings.create(model="smollm2", input="x")

    def test_errors(self):
        with self.assertRaises(openai.NotFoundError) as unknown:
            self.chat(model="nothing")
        self.assertEqual(unknown.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as wrong:
            self.chat(temperature=3)
        self.assertEqual(wrong.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as long:
            self.complete("word " * 2000)
        self.assertEqual(long.exception.code, "context_length_exceeded")
        with self.assertRaisesRegex(openai.BadRequestError, "no language model"):
            self.chat(model="noop")
        tensors = self.server.post("/v2/models/smollm2/infer", {"inputs": []})
        self.assertEqual(tensors.status, 400)

    def test_overflow(self):
        answer = self.complete("word " * 2000, extra_body={"overflow": "truncate"})
        self.assertLess(answer.usage.prompt_tokens, 1024)

    def test_many_at_once(self):
        alone = self.complete().choices[0].text
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: self.complete().choices[0].text, range(24)))
        self.assertEqual(set(answers), {alone})

    def test_metrics(self):
        self.chat()
        metrics = self.server.metrics()
        self.assertIn("vllm:kv_cache_usage_perc", metrics)
        blocks = metrics["vllm:cache_config_info"].samples[0].labels
        self.assertEqual((blocks["block_size"], blocks["num_gpu_blocks"]), ("1", "4096"))
        self.assertIn("baozi_time_to_first_token_seconds", metrics)


if __name__ == "__main__":
    harness.main()
