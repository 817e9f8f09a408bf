#include "baozi/pipeline/steps/sample_image.h"

#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <memory>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {
namespace {

constexpr std::array<const char*, 4> kLines{"Steamed buns 4.80", "Jasmine tea 2.50", "Table 7",
                                            "Thank you"};
constexpr int kQuality = 90;

void shade(Image& page) {
  std::uint8_t* at = page.mutable_data();
  for (int y = 0; y < page.height(); ++y) {
    const auto grey = static_cast<std::uint8_t>(255 - 55 * y / page.height());
    std::fill_n(at, 3 * page.width(), grey);
    at += 3 * page.width();
  }
}

}  // namespace

Bytes sample_image(Size size) {
  Image page = new_image(size);
  shade(page);
  pictures().write_lines(page, kLines);
  struct Close {
    void operator()(void* opened) const { tjDestroy(opened); }
  };
  struct Free {
    void operator()(unsigned char* bytes) const { tjFree(bytes); }
  };
  const std::unique_ptr<void, Close> encoder{tjInitCompress()};
  unsigned char* made = nullptr;
  unsigned long length = 0;
  const int status = tjCompress2(encoder.get(), page.data(), size.width, 0, size.height, TJPF_RGB,
                                 &made, &length, TJSAMP_420, kQuality, 0);
  const std::unique_ptr<unsigned char, Free> bytes{made};
  if (status != 0) {
    throw Error(Code::kInternal,
                fmt::format("a sample image cannot be encoded: {}", tjGetErrorStr2(encoder.get())));
  }
  return Bytes::copy_of(std::string_view(reinterpret_cast<const char*>(made), length));
}

}  // namespace baozi::pipeline
