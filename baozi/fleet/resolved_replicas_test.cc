#include "baozi/fleet/resolved_replicas.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> all(const ResolvedReplicas& replicas) {
  std::vector<std::string> texts;
  for (const ReplicaAddress& replica : replicas.all()) texts.push_back(endpoint(replica));
  return texts;
}

TEST(ResolvedReplicas, AddressesStandForThemselvesAndNamesForWhatTheyAreResolvedTo) {
  ResolvedReplicas replicas(
      {parse_replica("10.0.0.9:1"), parse_replica("bun.svc:8000"), parse_replica("[::1]:2")});
  EXPECT_THAT(replicas.names(), ElementsAre(1));
  EXPECT_THAT(all(replicas), ElementsAre("10.0.0.9:1", "[::1]:2"));
  replicas.resolved(1, {"10.0.0.8", "10.0.0.7"});
  EXPECT_THAT(all(replicas),
              ElementsAre("10.0.0.9:1", "10.0.0.7:8000", "10.0.0.8:8000", "[::1]:2"));
  replicas.resolved(1, {"10.0.0.8"});
  EXPECT_THAT(all(replicas), ElementsAre("10.0.0.9:1", "10.0.0.8:8000", "[::1]:2"));
}

TEST(ResolvedReplicas, AnEmptyAnswerKeepsWhoWasThere) {
  ResolvedReplicas replicas({parse_replica("bun.svc:8000")});
  EXPECT_THAT(all(replicas), ElementsAre());
  replicas.resolved(0, {"10.0.0.7"});
  replicas.resolved(0, {});
  EXPECT_THAT(all(replicas), ElementsAre("10.0.0.7:8000"));
  replicas.resolved(0, {"fe80::1%eth0", "nonsense;"});
  EXPECT_THAT(all(replicas), ElementsAre("10.0.0.7:8000"));
}

TEST(ResolvedReplicas, AReplicaWithTwoAddressesIsOne) {
  ResolvedReplicas replicas({parse_replica("localhost:8000")});
  replicas.resolved(0, {"::1", "127.0.0.1", "127.0.0.1"});
  EXPECT_THAT(all(replicas), ElementsAre("127.0.0.1:8000"));
  replicas.resolved(0, {"::1"});
  EXPECT_THAT(all(replicas), ElementsAre("[::1]:8000"));
}

TEST(ResolvedReplicas, TwoNamesOfOneReplicaAreOne) {
  ResolvedReplicas replicas({parse_replica("a:8000"), parse_replica("b:8000")});
  replicas.resolved(0, {"10.0.0.7"});
  replicas.resolved(1, {"10.0.0.7", "10.0.0.8"});
  EXPECT_THAT(all(replicas), ElementsAre("10.0.0.7:8000", "10.0.0.8:8000"));
}

TEST(ResolvedReplicas, NobodyTooManyAndTwiceAreRefused) {
  EXPECT_THROW(ResolvedReplicas({}), Error);
  EXPECT_THROW(ResolvedReplicas({parse_replica("a:1"), parse_replica("a:1,agent=2")}), Error);
  EXPECT_THROW(
      ResolvedReplicas(std::vector<ReplicaAddress>(ResolvedReplicas::kReplicasMax + 1, {"a", 1})),
      Error);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back(fmt::format("10.0.{}.{}", i / 250, i % 250));
  ResolvedReplicas replicas({parse_replica("a:1")});
  replicas.resolved(0, many);
  EXPECT_EQ(replicas.all().size(), ResolvedReplicas::kReplicasMax);
}

}  // namespace
}  // namespace baozi::fleet
