#include "baozi/serve/warm_up.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include "baozi/api/kserve_samples.h"
#include "baozi/base/cold_start.h"
#include "baozi/base/crc32c.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/llm/language_warmup.h"
#include "baozi/model/redaction.h"
#include "baozi/model/traffic_recorder.h"
#include "baozi/model/warmup_records.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/model_warmup.h"
#include "baozi/pipeline/request_warmup.h"
#include "baozi/serve/config.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using model::WarmupSample;

constexpr const char* kTfServingFile = "tf_serving_warmup_requests";
// Whoever waited for the model has the machine for a first answer before it is heated.
constexpr auto kGrace = std::chrono::milliseconds(5);
// How long it may take who waited to come with the request, which is read and parsed by then.
constexpr auto kComing = std::chrono::milliseconds(100);
// Who asks first may ask for more than noise does: so many budgets' time.
constexpr int kFirstBudgets = 4;
constexpr std::uintmax_t kFileBytesMax = std::uintmax_t{256} << 20;

bool is_json(const fs::path& file) {
  return file.extension() == ".json" || file.extension() == ".jsonl";
}

bool is_records(const fs::path& file) {
  return file.filename() == kTfServingFile || file.extension() == ".tfrecord";
}

std::vector<WarmupSample> read_file(const fs::path& file) {
  if (!is_json(file) && !is_records(file)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: warm-up samples are read from *.json, *.jsonl, *.tfrecord and {}",
                            file.string(), kTfServingFile));
  }
  std::error_code failed;
  const std::uintmax_t size = fs::file_size(file, failed);
  std::ifstream stream(file, std::ios::binary);
  if (failed || !stream)
    throw Error(Code::kNotFound, fmt::format("{} cannot be read", file.string()));
  if (size > kFileBytesMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: {} bytes of warm-up samples, at most {} are read", file.string(),
                            size, kFileBytesMax));
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return is_json(file) ? api::parse_kserve_samples(std::move(text), file.string())
                       : model::parse_warmup_records(text, file.string());
}

}  // namespace

std::vector<WarmupSample> read_samples(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_directory(path, failed)) return read_file(path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<WarmupSample> samples;
  for (const fs::path& file : files)
    std::ranges::move(read_file(file), std::back_inserter(samples));
  if (samples.empty()) {
    throw Error(Code::kNotFound, fmt::format("there are no warm-up samples in {}", path.string()));
  }
  return samples;
}

fs::path samples_beside(const fs::path& model_file) {
  if (model_file.empty()) return {};
  const fs::path file = model_file.parent_path() / "assets.extra" / kTfServingFile;
  std::error_code failed;
  return fs::is_regular_file(file, failed) ? file : fs::path();
}

fs::path recorded_file(const model::Servable& servable) {
  const fs::path prefixes = default_prefixes();
  if (prefixes.empty()) return {};
  std::error_code failed;
  const fs::path& model = servable.origin().file;
  const std::string whose = model.empty() ? servable.name() : fs::absolute(model, failed).string();
  std::string name = servable.name();
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return prefixes.parent_path() / "warmup" /
         fmt::format("{}-{}-{:08x}.tfrecord", name, servable.version(), crc32c(whose));
}

namespace {

void check_language(const WarmupConfig& config, const model::Servable& servable) {
  if (config.samples.empty() && !config.record) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("{} is a language model: it is warmed up with prompts of its own; leave "
                          "out 'samples' and 'record' of 'warmup'",
                          servable.name()));
}

// What an earlier process recorded. What cannot be read is not trusted, and will be written anew.
std::vector<WarmupSample> recorded_samples(const fs::path& file) {
  std::error_code failed;
  if (file.empty() || !fs::is_regular_file(file, failed)) return {};
  try {
    std::vector<WarmupSample> samples = read_samples(file);
    for (WarmupSample& sample : samples) sample.origin = model::SampleOrigin::kRecorded;
    return samples;
  } catch (const Error& error) {
    log().warn("recorded samples are left out: {}", error.message());
    return {};
  }
}

std::shared_ptr<model::Servable> record(std::shared_ptr<model::Servable> servable,
                                        const WarmupConfig& config, const fs::path& file,
                                        const std::vector<WarmupSample>& before) {
  if (file.empty()) {
    log().warn("{}: requests are not recorded: neither HOME nor XDG_CACHE_HOME is set",
               servable->name());
    return servable;
  }
  auto recorded = std::make_shared<model::RecordedServable>(
      std::move(servable),
      model::RecorderOptions{.file = file, .redact = model::find_redaction(config.redact)});
  recorded->recorder().restore(before);
  return recorded;
}

}  // namespace

WarmStart::WarmStart(std::shared_ptr<model::Servable> servable, const WarmupConfig& config,
                     std::function<void(double)> progress)
    : served_(servable), budget_(config.budget) {
  model::WarmupLimits limits{
      .budget = config.budget, .tolerance = config.tolerance, .progress = std::move(progress)};
  if (auto language = std::dynamic_pointer_cast<llm::LanguageServable>(servable)) {
    check_language(config, *language);
    warmup_ = std::make_unique<llm::LanguageWarmup>(std::move(language), std::move(limits));
    return;
  }
  std::vector<WarmupSample> samples;
  if (!config.samples.empty()) {
    samples = read_samples(config.samples);
  } else if (const fs::path beside = samples_beside(servable->origin().file); !beside.empty()) {
    samples = read_samples(beside);
  }
  if (config.record) {
    const fs::path file = recorded_file(*servable);
    std::vector<WarmupSample> before = recorded_samples(file);
    served_ = record(servable, config, file, before);
    if (samples.empty()) samples = std::move(before);
  }
  noise_only_ = samples.empty();
  if (noise_only_) samples = pipeline::own_samples(*servable);
  samples_ = samples;
  if (auto model = std::dynamic_pointer_cast<pipeline::BatchedModel>(servable)) {
    warmup_ = std::make_unique<pipeline::ModelWarmup>(std::move(model), std::move(samples),
                                                      std::move(limits));
  } else {
    warmup_ = std::make_unique<pipeline::RequestWarmup>(std::move(servable), std::move(samples),
                                                        std::move(limits));
  }
}

namespace {

// What the task gives; nothing when the time is over before.
std::optional<bool> in_time(Task<bool> task, Duration span, const Context& context) {
  try {
    return sync_wait(with_timeout(std::move(task), span), context);
  } catch (const Error& error) {
    if (error.code() != Code::kDeadlineExceeded) throw;
    return std::nullopt;
  }
}

}  // namespace

// Nobody proved it, nor will.
WarmStart::~WarmStart() {
  if (first_ == nullptr) return;
  first_->settle(std::make_exception_ptr(
      refusal(Error(Code::kUnavailable, "it was given up before it was proved"))));
}

// As those are told who come when it has failed.
model::NotReady WarmStart::refusal(const Error& error) const {
  return model::NotReady({.name = served_->name(),
                          .version = served_->version(),
                          .state = model::State::kFailed,
                          .reason = error.message()});
}

std::shared_ptr<model::Servable> WarmStart::servable() const noexcept {
  if (first_ != nullptr) return first_;
  return served_;
}

Duration WarmStart::patience() const noexcept { return kFirstBudgets * budget_; }

void WarmStart::prove(StopToken stop, bool awaited) {
  if (awaited && noise_only_) {
    first_ = std::make_shared<model::FirstAnswer>(served_);
    return;
  }
  const Context context{.stop = stop};
  sync_wait(warmup_->prove(), context);
}

// False: a run takes far longer than the budget. Noise beside the request that shows it would prove
// nothing in time either, and take the machine from it.
bool WarmStart::prove_the_rest(const Context& context) {
  if (in_time(first_->came(), kComing, context)) {
    const std::optional<bool> proved = in_time(first_->proved(), patience(), context);
    if (!proved) return false;
    if (*proved) return true;
  }
  sync_wait(warmup_->prove(), context);
  return true;
}

void WarmStart::settle(StopToken stop) {
  if (first_ == nullptr) return;
  const cold_start::Phase phase("prove", served_->name() + "/" + served_->version());
  try {
    worth_it_ = prove_the_rest({.stop = stop});
  } catch (const Error& error) {
    first_->settle(std::make_exception_ptr(refusal(error)));
    throw;
  }
  first_->settle(nullptr);
  first_.reset();
}

model::WarmupReport WarmStart::heat(StopToken stop) {
  if (first_ == nullptr) {
    std::this_thread::sleep_for(kGrace);
  } else {
    settle(stop);
  }
  if (!worth_it_) return {};
  const Context context{.stop = stop};
  return sync_wait(warmup_->heat(), context);
}

std::string describe(const model::WarmupReport& report) {
  std::string text = fmt::format("{} of {} batches steady after {} runs", report.converged,
                                 report.cells, report.runs);
  if (report.unsteady > 0) text += fmt::format(", {} not yet", report.unsteady);
  if (report.skipped > 0) text += fmt::format(", no time for {}", report.skipped);
  return text;
}

}  // namespace baozi::serve
