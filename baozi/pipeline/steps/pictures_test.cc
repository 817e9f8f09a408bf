#include "baozi/pipeline/steps/pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::filesystem::path& file) {
  try {
    open_pictures(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    return error.message();
  }
  return "it was opened";
}

TEST(Pictures, AreOpenedOnce) { EXPECT_EQ(&pictures(), &pictures()); }

TEST(Pictures, AnErrorOfThePlugInIsOurs) {
  const Image image = new_image({4, 4});
  EXPECT_THROW(crop(image, {.x = 3, .y = 0, .width = 2, .height = 2}), Error);
}

TEST(Pictures, WhatIsNoSharedObjectSaysSo) {
  EXPECT_THAT(error_of(BAOZI_SOURCE_DIR "/README.md"), HasSubstr("cannot be opened"));
  EXPECT_THAT(error_of("/nowhere/libbaozi_pictures.so"), HasSubstr("cannot be opened"));
}

TEST(Pictures, AnotherSharedObjectIsRefused) {
  EXPECT_THAT(error_of("libc.so.6"), HasSubstr("belongs to another version of baozi"));
}

}  // namespace
}  // namespace baozi::pipeline
