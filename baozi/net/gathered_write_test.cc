#include "baozi/net/gathered_write.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace baozi::net {
namespace {

class GatheredWriteTest : public ::testing::Test {
 protected:
  using Progress = GatheredWrite::Progress;

  GatheredWriteTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0); }
  ~GatheredWriteTest() override {
    close(ends_[0]);
    close(ends_[1]);
  }

  int socket() const { return ends_[0]; }
  std::string arrived() const {
    std::string all;
    char bytes[64 << 10];
    ssize_t count = 0;
    while ((count = recv(ends_[1], bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
      all.append(bytes, static_cast<std::size_t>(count));
    return all;
  }
  // Reads as often as the socket is full.
  std::string all_of(GatheredWrite& write, Progress progress) {
    std::string all;
    while (progress == Progress::kBlocked) {
      all += arrived();
      progress = write.send(socket());
    }
    EXPECT_EQ(progress, Progress::kDone);
    return all + arrived();
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST(ChunkLineTest, says_the_size_in_hexadecimal) {
  EXPECT_EQ(ChunkLine(0).text(), "");
  EXPECT_EQ(ChunkLine(1).text(), "1\r\n");
  EXPECT_EQ(ChunkLine(255).text(), "ff\r\n");
  EXPECT_EQ(ChunkLine(10'000'000).text(), "989680\r\n");
  EXPECT_EQ(ChunkLine(SIZE_MAX).text(), "ffffffffffffffff\r\n");
}

TEST_F(GatheredWriteTest, body_and_segments_are_one_chunk_behind_the_head) {
  HttpResponse response;
  response.body = "abc";
  response.segments = {Bytes::copy_of("defgh"), Bytes::copy_of(""), Bytes::copy_of("ijkl")};
  const ChunkLine line(response.content_length());
  GatheredWrite write("HEAD\r\n\r\n", line, response);
  EXPECT_EQ(write.send(socket()), Progress::kDone);
  EXPECT_EQ(arrived(), "HEAD\r\n\r\nc\r\nabcdefghijkl\r\n");
}

TEST_F(GatheredWriteTest, no_bytes_are_no_chunk) {
  const HttpResponse response;
  const ChunkLine line(response.content_length());
  GatheredWrite write("HEAD\r\n\r\n", line, response);
  EXPECT_EQ(write.send(socket()), Progress::kDone);
  EXPECT_EQ(arrived(), "HEAD\r\n\r\n");
}

TEST_F(GatheredWriteTest, keeps_what_is_left_of_the_head_when_the_socket_is_full) {
  std::string head(3'000'000, 'h');
  HttpResponse response;
  response.body = std::string(1'000'000, 'b');
  const std::string expected = head + response.body;
  GatheredWrite write(head, response, true);
  const Progress progress = write.send(socket());
  ASSERT_EQ(progress, Progress::kBlocked);
  head.assign(head.size(), 'x');
  EXPECT_TRUE(all_of(write, progress) == expected);
}

TEST_F(GatheredWriteTest, a_large_chunk_arrives_whole_in_several_goes) {
  HttpResponse piece;
  piece.body = std::string(5'000'000, 'p');
  const ChunkLine line(piece.content_length());
  GatheredWrite write({}, line, piece);
  const Progress progress = write.send(socket());
  ASSERT_EQ(progress, Progress::kBlocked);
  EXPECT_TRUE(all_of(write, progress) == "4c4b40\r\n" + piece.body + "\r\n");
}

}  // namespace
}  // namespace baozi::net
