// From a parsed request to its completions.
#include <fmt/format.h>

#include <random>
#include <utility>

#include "baozi/api/openai_error.h"
#include "baozi/api/openai_parse.h"
#include "baozi/api/openai_text.h"

namespace baozi::api {
namespace {

using engine::Token;

AnswerHead head_of(const llm::LanguageServable& servable, const TextWishes& wishes) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int adapter = wishes.completion.adapter;
  return {
      new_answer_id(), std::chrono::duration_cast<std::chrono::seconds>(now).count(),
      adapter > 0 ? servable.adapters()[static_cast<std::size_t>(adapter) - 1] : servable.name()};
}

std::uint32_t random_seed() {
  static thread_local std::random_device source;
  return static_cast<std::uint32_t>(source());
}

void check_length(const llm::LanguageServable& servable, const llm::CompletionRequest& request,
                  std::string_view field) {
  if (request.overflow != llm::Overflow::kRefuse) return;
  const auto window = static_cast<std::size_t>(servable.window());
  if (request.prompt.size() < window) return;
  throw FieldError(
      field,
      fmt::format("the prompt has {} tokens, but the context window of model '{}' holds {}, the "
                  "answer included; shorten it, or send \"overflow\": \"truncate\"",
                  request.prompt.size(), servable.name(), window),
      kContextLengthExceeded);
}

// One completion a choice of each prompt; their seeds differ by one.
std::unique_ptr<Answers> start_all(llm::LanguageServable& servable, TextWishes wishes,
                                   std::vector<std::vector<Token>> prompts, std::string client,
                                   std::string_view field, TextNote* note) {
  llm::CompletionRequest& request = wishes.completion;
  if (request.client.empty()) request.client = std::move(client);
  const std::uint32_t seed = wishes.seed ? *wishes.seed : random_seed();
  std::vector<std::unique_ptr<llm::Completion>> completions;
  for (std::vector<Token>& prompt : prompts) {
    request.prompt = std::move(prompt);
    check_length(servable, request, field);
    for (int i = 0; i < wishes.n; ++i) {
      request.sampling.seed = seed + static_cast<std::uint32_t>(i);
      if (note != nullptr) note->asks(request);
      completions.push_back(servable.start(request));
    }
  }
  return std::make_unique<Answers>(std::move(completions), static_cast<std::size_t>(wishes.n));
}

engine::ChatPrompt template_chat(const llm::LanguageServable& servable, const ChatRequest& request,
                                 const engine::LanguageModel& model) {
  try {
    return model.chat({.messages = request.messages,
                       .tools = request.tools,
                       .tool_choice = request.tool_choice,
                       .parallel_tool_calls = request.parallel_tool_calls,
                       .schema = request.wishes.json_schema,
                       .grammar = request.wishes.completion.sampling.grammar,
                       .options = request.template_arguments});
  } catch (const Error& error) {
    // Which of them it is about, the message says.
    const bool only_messages = request.tools.empty() && request.wishes.json_schema.empty() &&
                               request.template_arguments.empty() &&
                               request.wishes.completion.sampling.grammar.empty();
    if (error.code() == Code::kInvalidArgument && only_messages)
      throw FieldError("messages", error.message());
    if (error.code() == Code::kFailedPrecondition)
      throw FieldError("model", fmt::format("model '{}': {}", servable.name(), error.message()));
    throw;
  }
}

// The prompt; the request's sampling and stops become those of the template.
std::vector<Token> read_prompt(const engine::ChatPrompt& prompt, TextWishes& wishes,
                               const engine::LanguageModel& model) {
  llm::CompletionRequest& completion = wishes.completion;
  completion.sampling.grammar = prompt.grammar;
  completion.sampling.grammar_prefix = prompt.grammar_prefix;
  completion.sampling.grammar_triggers = prompt.grammar_triggers;
  completion.visible = prompt.visible;
  completion.stops.insert(completion.stops.end(), prompt.stops.begin(), prompt.stops.end());
  return model.tokenize(prompt.text, true, true);
}

TextCall call_of(std::shared_ptr<llm::LanguageServable> servable, const TextWishes& wishes,
                 std::unique_ptr<TextNote> note) {
  TextCall call;
  call.model = servable->name();
  call.servable = std::move(servable);
  call.note = std::move(note);
  call.stream = wishes.stream;
  return call;
}

// All but the format.
void start_conversation(TextCall& call, ChatRequest& request, engine::ChatPrompt& prompt,
                        std::string client, std::string_view field) {
  std::vector<std::vector<Token>> prompts;
  prompts.push_back(read_prompt(prompt, request.wishes, call.servable->language()));
  if (call.note != nullptr) call.note->is_read_by(prompt.format);
  call.answers = start_all(*call.servable, request.wishes, std::move(prompts), std::move(client),
                           field, call.note.get());
}

void start_ask(TextCall& call, ChatRequest request, std::string client) {
  llm::LanguageServable& servable = *call.servable;
  engine::ChatPrompt prompt = template_chat(servable, request, servable.language());
  start_conversation(call, request, prompt, std::move(client), "messages");
  call.format = chat_format(head_of(servable, request.wishes), request.wishes,
                            interpreter_of(servable.language()), std::move(prompt));
}

void start_ask(TextCall& call, ResponsesRequest request, std::string client) {
  llm::LanguageServable& servable = *call.servable;
  engine::ChatPrompt prompt = template_chat(servable, request.chat, servable.language());
  start_conversation(call, request.chat, prompt, std::move(client), "input");
  call.format = responses_format(head_of(servable, request.chat.wishes), request,
                                 interpreter_of(servable.language()), std::move(prompt));
}

void start_ask(TextCall& call, TextRequest request, std::string client) {
  llm::LanguageServable& servable = *call.servable;
  const engine::LanguageModel& model = servable.language();
  if (!request.wishes.json_schema.empty())
    request.wishes.completion.sampling.grammar =
        model.grammar_of_schema(request.wishes.json_schema);
  std::vector<std::vector<Token>> prompts;
  std::vector<std::string> echoes;
  for (Prompt& prompt : request.prompts) {
    std::string echo;
    if (auto* text = std::get_if<std::string>(&prompt)) {
      prompts.push_back(model.tokenize(*text, true, true));
      if (request.echo) echo = std::move(*text);
    } else {
      prompts.push_back(std::move(std::get<std::vector<Token>>(prompt)));
      for (const Token token : prompts.back()) {
        if (token >= model.facts().vocabulary)
          throw FieldError("prompt", fmt::format("model '{}' has no token {}: there are {}",
                                                 servable.name(), token, model.facts().vocabulary));
        if (request.echo) echo += model.piece(token, true);
      }
    }
    echoes.push_back(std::move(echo));
  }
  if (call.note != nullptr && request.echo) call.note->echoes(echoes);
  call.answers = start_all(servable, request.wishes, std::move(prompts), std::move(client),
                           "prompt", call.note.get());
  call.format = text_format(head_of(servable, request.wishes), request.wishes,
                            interpreter_of(model), std::move(echoes));
}

}  // namespace

TextAsk parse_ask(Verb verb, std::string_view body, std::size_t spare) {
  switch (verb) {
    case Verb::kChatCompletions:
      return parse_chat_request(body, spare);
    case Verb::kResponses:
      return parse_responses_request(body, spare);
    default:
      return parse_text_request(body, spare);
  }
}

TextCall start_text(std::shared_ptr<llm::LanguageServable> servable, TextAsk ask,
                    std::string client, std::unique_ptr<TextNote> note) {
  TextCall call = call_of(std::move(servable), wishes_of(ask), std::move(note));
  std::visit(
      [&call, &client](auto& request) { start_ask(call, std::move(request), std::move(client)); },
      ask);
  return call;
}

}  // namespace baozi::api
