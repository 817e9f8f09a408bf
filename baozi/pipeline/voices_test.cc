#include "baozi/pipeline/voices.h"

#include <gtest/gtest.h>

#include "baozi/model/cascade.h"

namespace baozi::pipeline {
namespace {

model::InferResponse by(const std::string& name) {
  model::InferResponse response;
  if (!name.empty()) response.parameters[std::string(model::kAnsweredBy)] = name;
  return response;
}

std::string said(const Voices& voices) {
  model::InferResponse response = by("");
  voices.say_in(response);
  const auto at = response.parameters.find(std::string(model::kAnsweredBy));
  return at == response.parameters.end() ? "" : std::get<std::string>(at->second);
}

TEST(Voices, SayWhoWasHeard) {
  Voices voices;
  voices.hear(by(""));
  EXPECT_EQ(said(voices), "") << "no cascade was asked";
  voices.hear(by("small"));
  voices.hear(by("small"));
  EXPECT_EQ(said(voices), "small");
  voices.hear(by("large"));
  EXPECT_EQ(said(voices), "large, small");
  voices.hear(by("large, other"));
  EXPECT_EQ(said(voices), "large, other, small") << "a pipeline's own answer";
}

TEST(Voices, AParameterOfAnotherKindIsNobody) {
  Voices voices;
  model::InferResponse odd;
  odd.parameters[std::string(model::kAnsweredBy)] = std::int64_t{7};
  voices.hear(odd);
  EXPECT_EQ(said(voices), "");
}

}  // namespace
}  // namespace baozi::pipeline
