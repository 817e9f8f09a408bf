// Cascade: two servables that answer for each other. A small one answers while the large one is not
// there, or for good when it is sure enough of its answer; the answer says which one spoke.
//
//   Cascade cascade({.name = "classify", .small = "effnet", .large = "resnet", .threshold = 0.8},
//                   repository);
//   InferResponse response = co_await cascade.infer(request);
//   response.parameters.at("answered_by");   // "effnet" or "resnet"
//
// Both are looked up in the repository by name for every request, so that one that is loaded anew,
// or unloaded, is seen. The large one is asked to be loaded, and not waited for. Nothing that a
// cascade answers is kept by a response cache; its models may have caches of their own.
//
// Thread safety: all methods.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/model/repository.h"
#include "baozi/model/servable.h"

namespace baozi::model {

// Parameters of a cascade's response: the name of the model that spoke, and whether it is the
// "small" or the "large" one.
inline constexpr std::string_view kAnsweredBy = "answered_by";
inline constexpr std::string_view kCascadePart = "cascade";

struct CascadeOptions {
  std::string name = "";
  std::string version = "1";
  std::string small = "";  // names in the repository
  std::string large = "";
  // The small one's answer stands when its confidence in every row is at least this. Without, the
  // large one answers as soon as it is there.
  std::optional<double> threshold = std::nullopt;
  std::string output = "";  // of probabilities, for the threshold; "": the only one that may be
  bool logits = false;      // they are none yet, softmax makes them
  bool fall_back = false;   // where the large one fails the small one answers
};

class Cascade final : public Servable {
 public:
  // Its signature, class names and files are those of the large one when that is there, else of the
  // small one. `before`, an older form of it, may be null: counting goes on where it was. The
  // repository outlives it. Errors: NotReady when neither is there; kFailedPrecondition when they
  // do not fit each other, or there is no such output.
  Cascade(CascadeOptions options, const Repository& repository, const Cascade* before = nullptr);
  ~Cascade() override;

  const std::string& name() const noexcept override { return options_.name; }
  const std::string& version() const noexcept override { return options_.version; }
  std::string_view platform() const noexcept override { return "baozi_cascade"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  const Origin& origin() const noexcept override { return origin_; }
  bool ready() const noexcept override;
  bool cached() const noexcept override;
  Statistics statistics() const override;
  std::optional<Refusal> refusal() const noexcept override;
  // Errors: NotReady when neither is there; those of the model that was to answer.
  Task<InferResponse> infer(InferRequest request) override;

  // For answers that are no InferResponse, such as texts: the model that gives the whole of it, the
  // large one when it is there. It is as if it had been asked. Errors: NotReady.
  std::shared_ptr<Servable> choose();
  // As choose, for whoever is only curious. Null: neither is there.
  std::shared_ptr<Servable> peek() const noexcept;

 private:
  enum class Reason : std::uint8_t { kLoading, kConfident, kAsked, kFailed };
  class Part;
  struct Counts;
  struct Attempt;

  Task<Attempt> attempt(Part* part, std::shared_ptr<Servable> servable, InferRequest request);
  Task<InferResponse> answer(InferRequest request, bool counts);
  bool is_sure(const InferResponse& response) const;
  InferRequest to_small(const InferRequest& request) const;
  InferResponse from_small(InferResponse response, const InferRequest& request) const;
  InferResponse said(Part& part, InferResponse response) const;
  std::shared_ptr<Servable> find(const Part& part) const;
  std::string find_scores() const;
  [[noreturn]] void throw_absent() const;

  const CascadeOptions options_;
  const Repository& repository_;
  const std::shared_ptr<Counts> counts_;
  const std::unique_ptr<Part> small_;
  const std::unique_ptr<Part> large_;
  engine::Signature signature_;  // constant after construction, as the rest
  std::vector<std::string> labels_;
  Origin origin_;
  std::string scores_;  // the output of probabilities; "": there is no threshold
};

// How the inputs and outputs of two models differ, by which one cannot answer for the other: names,
// types, and sizes that are fixed. "": they do not.
std::string difference(const engine::Signature& a, const engine::Signature& b);

}  // namespace baozi::model
