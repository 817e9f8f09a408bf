#include "baozi/engine/llama/chat/common_chat.h"
#include "baozi/engine/llama/llama_chat.h"

namespace baozi::engine {
namespace {

class CommonChatLibrary final : public LlamaChatLibrary {
 public:
  std::unique_ptr<LlamaChat> open(const llama_model* model,
                                  const std::string& jinja) const override {
    return open_common_chat(model, jinja);
  }
  std::string grammar_of_schema(std::string_view json_schema) const override {
    return common_grammar_of_schema(json_schema);
  }
};

}  // namespace
}  // namespace baozi::engine

extern "C" __attribute__((visibility("default"))) const baozi::engine::LlamaChatLibrary*
baozi_llama_chat_library() {
  static const baozi::engine::CommonChatLibrary library;
  return &library;
}
