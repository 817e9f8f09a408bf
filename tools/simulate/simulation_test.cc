// The model against closed forms, and the laws that every run must obey.
#include "tools/simulate/simulation.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>

#include "baozi/base/error.h"
#include "tools/simulate/fleet_model.h"
#include "tools/simulate/latencies.h"
#include "tools/simulate/traffic.h"

namespace baozi::simulate {
namespace {

Traffic constant(double per_second, double seconds) {
  return Traffic({{0, per_second}, {seconds, per_second}});
}

SimulationOptions fixed(int replicas) {
  SimulationOptions options;
  options.replicas_start = replicas;
  options.scaling.replicas_min = replicas;
  options.scaling.replicas_max = replicas;
  return options;
}

// One server, Poisson arrivals, a constant service time is M/D/1: Pollaczek and Khinchine's mean
// wait is rho / (2 (1 - rho)) service times. In steps far below a service time.
TEST(FleetModel, OneServerWaitsAsPollaczekAndKhinchineSay) {
  for (const double rho : {0.5, 0.8}) {
    const ReplicaOptions replica{.servers = 1, .service_seconds = 0.1, .queue_max = 1e6};
    FleetModel fleet(replica, Balancing::kReady, 1);
    Latencies latencies(1);
    std::mt19937_64 random(7);
    const double step = 0.002;
    std::poisson_distribution<int> come(rho / replica.service_seconds * step);
    double waiting = 0;
    const int steps = 5'000'000;
    for (int i = 0; i < steps; ++i) {
      fleet.advance(i * step, step, come(random), latencies);
      waiting += fleet.waiting();
    }
    // The time average of the work that is there is the mean wait (PASTA), in service times.
    const double formula = rho / (2 * (1 - rho));
    EXPECT_NEAR(waiting / steps, formula, 0.05 * formula) << "at " << rho;
  }
}

TEST(FleetModel, UtilisationIsWhatComesByWhatItCouldServe) {
  FleetModel fleet({}, Balancing::kReady, 10);  // 2000 a second
  Latencies latencies(1);
  for (int i = 0; i < 150; ++i) fleet.advance(i * 0.1, 0.1, 130, latencies);
  const FleetSample sample = fleet.sample(15);
  EXPECT_EQ(sample.cpu_pods, 10);
  EXPECT_NEAR(sample.cpu_sum / sample.cpu_pods, 65, 1e-6);
  EXPECT_NEAR(sample.queue_sum, 0, 1e-6);
}

// Above its capacity the fluid limit holds: the queue grows by the difference, then it refuses.
TEST(FleetModel, AnOverloadedReplicaQueuesTheDifferenceAndThenRefusesIt) {
  FleetModel fleet({}, Balancing::kReady, 1);  // 200 a second, 1000 wait
  Latencies latencies(0.2);
  for (int i = 0; i < 50; ++i) fleet.advance(i * 0.1, 0.1, 30, latencies);
  EXPECT_NEAR(fleet.waiting(), 500, 1e-6);
  EXPECT_NEAR(latencies.quantile(1), 2.5 + 0.02, 0.15);
  for (int i = 50; i < 200; ++i) fleet.advance(i * 0.1, 0.1, 30, latencies);
  EXPECT_NEAR(fleet.waiting(), 1000, 1e-6);
  EXPECT_NEAR(fleet.refused(), 1000, 1e-6);
}

TEST(FleetModel, AColdReplicaHoldsAndALukewarmOneIsSlow) {
  FleetModel fleet({}, Balancing::kBlind, 1);
  Latencies latencies(0.2);
  fleet.scale_to(0, 2);
  double now = 0;
  const auto run = [&](double until) {
    for (; now < until - 0.05; now += 0.1) fleet.advance(now, 0.1, 2, latencies);
  };
  run(20);  // no port: all goes to the hot one
  EXPECT_NEAR(latencies.quantile(1), 0.02, 0.002);
  run(28);  // half of 20 a second, for 8 seconds
  EXPECT_NEAR(fleet.waiting(), 80, 11);
  EXPECT_NEAR(latencies.quantile(1), 8, 1);
  run(40);
  EXPECT_EQ(fleet.waiting(), 0);
  latencies.clear();
  run(50);
  EXPECT_NEAR(latencies.quantile(1), 0.02, 0.002);
}

TEST(FleetModel, BalancersDifferInWhatAColdReplicaGets) {
  const auto held = [](Balancing balancing) {
    FleetModel fleet({}, balancing, 1);
    Latencies latencies(0.2);
    fleet.scale_to(0, 2);
    for (int i = 0; i < 270; ++i) fleet.advance(i * 0.1, 0.1, 10, latencies);
    return fleet.waiting();
  };
  EXPECT_GT(held(Balancing::kBlind), 200);
  EXPECT_NEAR(held(Balancing::kSteered), 2, 1e-6);  // kLukewarmConnections
  EXPECT_EQ(held(Balancing::kReady), 0);
}

TEST(FleetModel, WhoIsTakenAwayEndsWhatItHas) {
  FleetModel fleet({}, Balancing::kReady, 2);
  Latencies latencies(0.2);
  fleet.advance(0, 0.1, 240, latencies);
  EXPECT_NEAR(fleet.waiting(), 200, 1e-6);
  fleet.scale_to(0.1, 1);
  EXPECT_EQ(fleet.leaving(), 1);
  for (int i = 1; i < 20; ++i) fleet.advance(i * 0.1, 0.1, 0, latencies);
  EXPECT_EQ(fleet.leaving(), 0);
  EXPECT_NEAR(fleet.answered(), 240, 1e-6);
}

TEST(Simulation, NothingIsLostUnderAnyPolicy) {
  for (const Balancing balancing : {Balancing::kBlind, Balancing::kReady, Balancing::kSteered}) {
    SimulationOptions options{.balancing = balancing, .queue_target = 30};
    const Result result = simulate(options, crowd_traffic(2000));
    EXPECT_GT(result.replicas_most, 30);
    EXPECT_NEAR(result.answered + result.refused + result.waiting, result.requests,
                1e-9 * result.requests);
  }
}

TEST(Simulation, TheSameSeedIsTheSameRunAndAnotherIsNot) {
  SimulationOptions options{.balancing = Balancing::kSteered, .queue_target = 100};
  const Result one = simulate(options, step_traffic(1000));
  const Result same = simulate(options, step_traffic(1000));
  options.seed = 2;
  const Result other = simulate(options, step_traffic(1000));
  ASSERT_EQ(one.windows.size(), same.windows.size());
  for (std::size_t i = 0; i < one.windows.size(); ++i) {
    EXPECT_EQ(one.windows[i].offered, same.windows[i].offered);
    EXPECT_EQ(one.windows[i].late_share, same.windows[i].late_share);
  }
  EXPECT_EQ(one.late_share, same.late_share);
  EXPECT_NE(one.requests, other.requests);
}

TEST(Simulation, ASteadyLoadKeepsTheFleetAsItIs) {
  SimulationOptions options;
  const Result result = simulate(options, constant(1400, 900));
  EXPECT_EQ(result.replicas_most, 10);
  EXPECT_NEAR(result.replica_hours, 10 * 0.25, 1e-3);
  EXPECT_EQ(result.seconds_above, 0);
  EXPECT_EQ(result.windows.size(), 90u);
}

TEST(Simulation, WhoCannotGrowRefusesWhatIsTooMuch) {
  const Result result = simulate(fixed(10), constant(4000, 600));
  EXPECT_NEAR(result.refused_share, 0.5, 0.02);
  EXPECT_EQ(result.seconds_above, 600);
}

// Ten times the load: the autoscaler gets there, and the step's end is seen five minutes later.
TEST(Simulation, TheAutoscalerFollowsAStepUpAndDown) {
  const Result result = simulate({.balancing = Balancing::kReady}, step_traffic(2000));
  const auto replicas_at = [&result](double seconds) {
    return result.windows[static_cast<std::size_t>(seconds / kWindowSeconds)].replicas;
  };
  EXPECT_NEAR(replicas_at(290), 15, 1);
  EXPECT_NEAR(replicas_at(2000), 143, 15);
  EXPECT_NEAR(replicas_at(2300), 143, 15);
  EXPECT_LT(replicas_at(2600), 25);
}

TEST(Simulation, OptionsThatMakeNoSenseAreRefused) {
  EXPECT_THROW(simulate({.cpu_target = 0}, constant(1, 10)), Error);
  EXPECT_THROW(simulate({.step_seconds = 0}, constant(1, 10)), Error);
  EXPECT_THROW(simulate({.replica = {.servers = 0}}, constant(1, 10)), Error);
  EXPECT_THROW(simulate({.scaling = {.replicas_min = 5, .replicas_max = 4}}, constant(1, 10)),
               Error);
}

}  // namespace
}  // namespace baozi::simulate
