// ModelFiles: the files that a model consists of, and whether one of them has changed: an ONNX
// model may keep its weights in files of any name beside it, which only its graph tells.
//
//   ModelFiles files;
//   std::string before = files.known_stamp(model);   // at a start: nothing is read
//   … load …
//   before = files.stamp_at(model, before, since);   // the others' stamps are added to it
//   if (files.stamp(model) != before) … it is another one now
//
// Only the heads of a graph's messages are read, by engine/onnx_file, and again only when the
// model's own file has changed: a look costs one system call a file. What a start loads is not read
// for that before it is loaded, because a prepared model does not read its graph at all.
//
// Thread safety: all methods.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace baozi::serve {

class ModelFiles {
 public:
  using SystemTime = std::chrono::system_clock::time_point;

  // The model's own file, then those its weights lie in. A graph that cannot be read, or whose
  // weights are missing or too short, is its file alone: whoever loads it says what is wrong.
  std::vector<std::filesystem::path> of(const std::filesystem::path& model);

  // Differs when one of its files was written, replaced or removed; "" when there is no model.
  std::string stamp(const std::filesystem::path& model);
  // The same as far as it is known without reading anything: at least that of the model's own file.
  std::string known_stamp(const std::filesystem::path& model);
  // What stamp() would have said at `then`, when known_stamp() said `known`; something it does not
  // say now when a file has changed since.
  std::string stamp_at(const std::filesystem::path& model, const std::string& known,
                       SystemTime then);

 private:
  struct Known {
    std::string stamp;  // of the model's own file
    std::vector<std::filesystem::path> others;
  };

  std::vector<std::filesystem::path> others_of(const std::filesystem::path& model,
                                               const std::string& stamp);

  std::mutex mutex_;
  std::map<std::filesystem::path, Known> known_;  // guarded by mutex_
};

}  // namespace baozi::serve
