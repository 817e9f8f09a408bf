#include "baozi/api/openai_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "baozi/api/json_writer.h"
#include "baozi/api/openai_error.h"
#include "baozi/model/cascade.h"
#include "baozi/model/face.h"

namespace baozi::api {
namespace {

using model::State;
using model::VersionStatus;

std::string_view status_value(const VersionStatus& status) {
  switch (status.state) {
    case State::kReady:
      return "loaded";
    case State::kFailed:
      return "failed";
    case State::kAbsent:
      return status.on_demand ? "unloaded" : "loading";
    case State::kUnloaded:
      return "unloaded";
    case State::kDraining:
      return "unloading";
    default:
      return "loading";
  }
}

// `servable`: null when it is not there.
std::string_view value_of(const VersionStatus& status, const model::Servable* servable) {
  return servable != nullptr ? "loaded" : status_value(status);
}

void append_meta(std::string& out, const engine::LanguageFacts& facts) {
  out += R"(,"meta":{"n_ctx_train":)";
  append_json_number(out, facts.context_trained);
  out += R"(,"n_vocab":)";
  append_json_number(out, facts.vocabulary);
  out += R"(,"n_embd":)";
  append_json_number(out, facts.embedding);
  out += R"(,"n_params":)";
  append_json_number(out, facts.parameters);
  out += R"(,"size":)";
  append_json_number(out, facts.memory.weights);
  out += '}';
}

// A cascade's answers are given by one of its models as a whole.
std::shared_ptr<model::Servable> who_speaks(std::shared_ptr<model::Servable> servable) {
  while (const auto* cascade = dynamic_cast<const model::Cascade*>(servable.get()))
    servable = cascade->peek();
  return servable;
}

// Empty: no language model.
std::string model_object(const model::Repository& repository, const VersionStatus& status,
                         std::int64_t created) {
  const auto servable = who_speaks(repository.peek(status.name, status.version));
  auto* const language = dynamic_cast<llm::LanguageServable*>(servable.get());
  if (language == nullptr && (servable != nullptr || !status.language)) return "";
  std::string out = R"({"id":)";
  append_json_text(out, status.name);
  out += R"(,"object":"model","created":)";
  append_json_number(out, created);
  out += R"(,"owned_by":"baozi","status":{"value":")";
  out += value_of(status, language);
  out += '"';
  if (!status.reason.empty()) {
    out += R"(,"reason":)";
    append_json_text(out, status.reason);
  }
  out += '}';
  if (language != nullptr) append_meta(out, language->language().facts());
  out += '}';
  return out;
}

// An adapter, as vLLM lists it.
std::string adapter_object(std::string_view name, std::string_view parent, std::string_view status,
                           std::int64_t created) {
  std::string out = R"({"id":)";
  append_json_text(out, name);
  out += R"(,"object":"model","created":)";
  append_json_number(out, created);
  out += R"(,"owned_by":"baozi","parent":)";
  append_json_text(out, parent);
  out += R"(,"status":{"value":")";
  out += status;
  out += R"("}})";
  return out;
}

// Each name's version that a request gets: the highest that is ready, else the highest.
std::vector<VersionStatus> one_a_name(std::vector<VersionStatus> index) {
  std::vector<VersionStatus> chosen;
  for (VersionStatus& status : index) {  // by name, then version
    if (chosen.empty() || chosen.back().name != status.name) {
      chosen.push_back(std::move(status));
    } else if (status.state == State::kReady || chosen.back().state != State::kReady) {
      chosen.back() = std::move(status);
    }
  }
  return chosen;
}

bool is_language(const model::Servable& servable) {
  return dynamic_cast<const llm::LanguageServable*>(&servable) != nullptr;
}

bool embeds(const model::Servable& servable) { return model::makes_vectors(servable.signature()); }

bool is_to_embed(const VersionStatus& status) { return status.embeds; }
bool is_to_speak(const VersionStatus& status) { return status.language; }

// The name of the only model of a kind, for a request that has none.
// `will`: of one that is not there.
std::string only_name(const model::Repository& repository, std::string_view kind,
                      bool (*fits)(const model::Servable&), bool (*will)(const VersionStatus&)) {
  std::vector<std::string> names;
  for (const VersionStatus& status : one_a_name(repository.index())) {
    const auto servable = repository.peek(status.name, status.version);
    if (servable != nullptr ? fits(*servable) : will(status)) names.push_back(status.name);
  }
  if (names.size() == 1) return names.front();
  if (names.empty()) {
    throw FieldError(Code::kNotFound, "model", fmt::format("no {} is served", kind),
                     kModelNotFound);
  }
  throw FieldError(
      "model", fmt::format("the request has no 'model'; there are: {}", fmt::join(names, ", ")));
}

// A servable's adapter of that name; its number 0: there is none.
LanguageChoice find_adapter(const model::Repository& repository, std::string_view name) {
  for (const VersionStatus& status : one_a_name(repository.index())) {
    auto language = std::dynamic_pointer_cast<llm::LanguageServable>(
        repository.peek(status.name, status.version));
    if (language == nullptr) continue;
    const auto& adapters = language->adapters();
    const auto at = std::ranges::find(adapters, name) - adapters.begin();
    if (at < std::ssize(adapters)) return {std::move(language), static_cast<int>(at) + 1};
  }
  return {};
}

// The model that is not there and will have an adapter of that name.
std::optional<VersionStatus> find_absent_adapter(const model::Repository& repository,
                                                 std::string_view name) {
  for (VersionStatus& status : one_a_name(repository.index())) {
    const bool has_it = std::ranges::find(status.adapters, name) != status.adapters.end();
    if (has_it && repository.peek(status.name, status.version) == nullptr) return std::move(status);
  }
  return std::nullopt;
}

std::shared_ptr<model::Servable> find_model(const model::Repository& repository,
                                            const std::string& name) {
  try {
    return repository.find(name, "");
  } catch (const Error& error) {
    if (error.code() != Code::kNotFound) throw;
    throw FieldError(Code::kNotFound, "model", error.message(), kModelNotFound);
  }
}

}  // namespace

bool is_embedding_model(const model::Servable& servable) { return embeds(servable); }

std::string format_models(const model::Repository& repository, std::int64_t created) {
  std::string data;
  for (const VersionStatus& status : one_a_name(repository.index())) {
    const std::string object = model_object(repository, status, created);
    if (object.empty()) continue;
    if (!data.empty()) data += ',';
    data += object;
    const auto servable = repository.peek(status.name, status.version);
    const auto* language = dynamic_cast<const llm::LanguageServable*>(servable.get());
    for (const std::string& adapter : language != nullptr ? language->adapters() : status.adapters)
      data += "," + adapter_object(adapter, status.name, value_of(status, language), created);
  }
  return R"({"object":"list","data":[)" + data + "]}";
}

std::optional<std::string> format_model(const model::Repository& repository, std::string_view name,
                                        std::int64_t created) {
  for (const VersionStatus& status : one_a_name(repository.index())) {
    if (status.name != name) continue;
    std::string object = model_object(repository, status, created);
    if (!object.empty()) return object;
  }
  if (const LanguageChoice adapter = find_adapter(repository, name); adapter.servable != nullptr)
    return adapter_object(name, adapter.servable->name(), "loaded", created);
  const std::optional<VersionStatus> absent = find_absent_adapter(repository, name);
  if (!absent) return std::nullopt;
  return adapter_object(name, absent->name, status_value(*absent), created);
}

LanguageChoice find_language_model(const model::Repository& repository, const std::string& name) {
  const std::string wanted =
      name.empty() ? only_name(repository, "language model", is_language, is_to_speak) : name;
  std::shared_ptr<model::Servable> servable;
  try {
    servable = find_model(repository, wanted);
  } catch (const FieldError& error) {
    // Adapters are looked for where no model has the name: most requests pay nothing for them.
    if (error.code() != Code::kNotFound) throw;
    LanguageChoice adapter = find_adapter(repository, wanted);
    if (adapter.servable != nullptr) return adapter;
    std::optional<VersionStatus> absent = find_absent_adapter(repository, wanted);
    if (!absent) throw;
    throw model::NotReady(*std::move(absent));
  }
  while (auto* const cascade = dynamic_cast<model::Cascade*>(servable.get()))
    servable = cascade->choose();
  auto language = std::dynamic_pointer_cast<llm::LanguageServable>(servable);
  if (language != nullptr) return {std::move(language), 0};
  throw FieldError("model", fmt::format("'{}' is no language model{}", wanted,
                                        embeds(*servable) ? "; ask it for /v1/embeddings" : ""));
}

std::shared_ptr<model::Servable> find_embedding_model(const model::Repository& repository,
                                                      const std::string& name) {
  const std::string wanted =
      name.empty() ? only_name(repository, "model for embeddings", embeds, is_to_embed) : name;
  std::shared_ptr<model::Servable> servable = find_model(repository, wanted);
  if (embeds(*servable)) return servable;
  throw FieldError(
      "model",
      is_language(*servable)
          ? fmt::format("'{}' is a language model, which makes texts and no vectors; serve "
                        "a pipeline of type 'embed' and ask that",
                        wanted)
          : fmt::format("'{}' makes no vectors of texts: it must have one input of strings "
                        "[n] and one output FP32 [n,d], as the pipeline 'embed' has",
                        wanted));
}

}  // namespace baozi::api
