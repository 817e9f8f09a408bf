#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "apps/commands.h"
#include "apps/language.h"
#include "baozi/base/error.h"
#include "baozi/coro/stop.h"
#include "baozi/llm/chat.h"
#include "baozi/serve/config.h"

namespace baozi::apps {
namespace {

struct ChatOptions {
  std::string path;
  std::string name;
  std::string system;
  AnswerOptions answer;
};

constexpr std::string_view kHelp =
    "/clear  begin a new conversation\n"
    "/help   this list\n"
    "/exit   leave (or Ctrl-D)\n"
    "Ctrl-C  stop the answer\n";

// A line of standard input; nothing at its end. An empty line when Ctrl-C was pressed.
std::optional<std::string> read_line() {
  std::string line;
  for (;;) {
    errno = 0;
    const int byte = std::getchar();
    if (byte == '\n') return line;
    if (byte != EOF) {
      line += static_cast<char>(byte);
    } else if (errno == EINTR) {
      std::clearerr(stdin);
      if (Interrupts::take()) return "";
    } else {
      return line.empty() ? std::nullopt : std::optional(line);
    }
  }
}

void answer(llm::Chat& chat, const std::string& words) {
  StopSource stop;
  const auto print = [&stop](std::string_view text) {
    print_now(text);
    if (Interrupts::take()) stop.request_stop();
  };
  try {
    chat.answer(words, print, stop.token());
    print_now("\n");
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) {
      print_now(" …\n");
      return;
    }
    if (error.code() != Code::kInvalidArgument) throw;
    fmt::print(stderr, "baozi: {} (/clear begins a new conversation)\n", error.message());
  }
}

int run(const ChatOptions& options) {
  const std::filesystem::path file = language_model(serve::config_for(options.path), options.name);
  if (file.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is no language model; give a .gguf file, or --name when there are "
                            "several models",
                            options.path));
  }
  const std::shared_ptr<engine::LanguageModel> model = open_language(file, options.answer);
  if (model->facts().chat_template.empty()) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{} has no chat template: it was not made for conversations; `baozi "
                            "run --raw` goes on with a text",
                            file.string()));
  }
  const std::unique_ptr<engine::LanguageContext> context = model->create_context();
  llm::Chat chat(*model, *context, {options.system, options.answer.generation()});
  const bool terminal = isatty(STDIN_FILENO) != 0;
  if (terminal) fmt::print("{}; /help lists what there is\n", model->facts().description);
  const Interrupts interrupts;
  for (;;) {
    if (terminal) print_now("> ");
    const std::optional<std::string> line = read_line();
    if (!line || *line == "/exit") break;
    if (*line == "/help") {
      print_now(kHelp);
    } else if (*line == "/clear") {
      chat.clear();
    } else if (!line->empty()) {
      answer(chat, *line);
    } else if (terminal) {
      print_now("\n");
    }
  }
  if (terminal) print_now("\n");
  return 0;
}

}  // namespace

void add_chat(CLI::App& app, Command& chosen) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a language model in the terminal");
  command->add_option("model", options->path, "A .gguf file, or what `serve` takes")->required();
  command->add_option("--name", options->name, "Which model, when there are several");
  command->add_option("--system", options->system, "What the model is told first");
  add_answer_options(*command, options->answer);
  command->footer(
      "Ctrl-C stops an answer, Ctrl-D leaves. Lines that do not come from a terminal are answered "
      "in turn.");
  command->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace baozi::apps
