// AnswerFormat: how one endpoint of OpenAI's API writes the answers of a language model, as one
// JSON body or as server-sent events while they come.
//
//   std::unique_ptr<AnswerFormat> format = chat_format(head, wishes, interpreter, prompt);
//   body = format->whole(answers, usage);
// or
//   events = format->begin();  events += format->add(0, piece);  …  events += format->end(usage);
//
// Thread safety: by one task at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/api/openai_request.h"
#include "baozi/base/error.h"
#include "baozi/engine/language.h"
#include "baozi/llm/completion.h"

namespace baozi::api {

// What every body and event of an answer begins with.
struct AnswerHead {
  std::string id;            // behind the endpoint's prefix: "chatcmpl-<id>"
  std::int64_t created = 0;  // seconds since the epoch
  std::string model;
};

// A whole answer.
struct Answer {
  std::string text;
  std::vector<llm::TokenChances> chances;
  llm::Finish finish = llm::Finish::kEnd;
};

// What a format asks of the model whose answers it writes. Thread safety: all methods.
class Interpreter {
 public:
  virtual ~Interpreter() = default;

  // As engine::LanguageModel's, of special tokens, too.
  virtual std::string piece(engine::Token token) const = 0;
  virtual engine::ChatReply read_reply(const engine::ChatPrompt& prompt, std::string_view text,
                                       bool whole) const = 0;
};
using SharedInterpreter = std::shared_ptr<const Interpreter>;  // never null

// The model itself, which outlives it.
SharedInterpreter interpreter_of(const engine::LanguageModel& model);

class AnswerFormat {
 public:
  virtual ~AnswerFormat() = default;

  virtual std::string whole(const std::vector<Answer>& answers,
                            const llm::CompletionUsage& usage) = 0;

  virtual std::string begin() = 0;
  virtual std::string add(std::size_t index, const llm::CompletionPiece& piece) = 0;
  virtual std::string end(const llm::CompletionUsage& usage) = 0;
  // An error after begin(): the stream ends with it.
  virtual std::string fail(const Error& error) = 0;
};

std::unique_ptr<AnswerFormat> chat_format(AnswerHead head, const TextWishes& wishes,
                                          SharedInterpreter interpreter, engine::ChatPrompt prompt);
// `prompts`: what goes before the answers to each, when they are echoed; else empty texts.
std::unique_ptr<AnswerFormat> text_format(AnswerHead head, const TextWishes& wishes,
                                          SharedInterpreter interpreter,
                                          std::vector<std::string> prompts);
std::unique_ptr<AnswerFormat> responses_format(AnswerHead head, const ResponsesRequest& request,
                                               SharedInterpreter interpreter,
                                               engine::ChatPrompt prompt);

// A new identifier: letters and digits that nobody guesses.
std::string new_answer_id();

}  // namespace baozi::api
