#include "memory/probe.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/random.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

std::string RandomBytes(Random& random, size_t size, int distinct = 256) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random.Int(0, distinct - 1));
  }
  return bytes;
}

std::vector<std::pair<Probe, size_t>> FindAll(const ProbeSet& set,
                                              const std::string& bytes) {
  std::vector<std::pair<Probe, size_t>> all;
  set.Find(bytes, [&](Probe probe, size_t at) { all.push_back({probe, at}); });
  return all;
}

// Every window of `bytes`, hashed from its start.
std::vector<std::pair<Probe, size_t>> FindSlowly(const std::set<Probe>& probes,
                                                 const std::string& bytes) {
  std::vector<std::pair<Probe, size_t>> all;
  for (size_t at = 0; at + kProbeBytes <= bytes.size(); ++at) {
    for (const Probe probe : ProbesOf(bytes.substr(at, kProbeBytes), 1)) {
      if (probes.contains(probe)) all.push_back({probe, at});
    }
  }
  return all;
}

TEST(Probe, AProbeIsFoundWhereItsWindowLiesAndNowhereElse) {
  Random random(Seed());
  for (int round = 0; round < 200; ++round) {
    const std::string content =
        RandomBytes(random, static_cast<size_t>(random.Int(32, 500)));
    const std::vector<Probe> probes =
        ProbesOf(content, static_cast<size_t>(random.Int(1, 40)));
    ASSERT_FALSE(probes.empty());
    // Few distinct bytes, so that windows repeat.
    std::string haystack = RandomBytes(random, 3000, 10);
    const auto at = static_cast<size_t>(random.Int(0, 2000));
    if (round % 2 == 0) haystack.replace(at, content.size(), content);
    const auto found = FindAll(ProbeSet(probes), haystack);
    EXPECT_EQ(found, FindSlowly({probes.begin(), probes.end()}, haystack));
    EXPECT_EQ(found.size(), round % 2 == 0 ? probes.size() : 0);
  }
}

TEST(Probe, AFileReadInOverlappingPiecesIsSearchedWhole) {
  Random random(Seed());
  for (int round = 0; round < 100; ++round) {
    const std::string file = RandomBytes(random, 1000);
    const std::vector<Probe> probes = ProbesOf(file, 1000);
    ASSERT_EQ(probes.size(), 1000 - kProbeBytes + 1);
    const ProbeSet set(probes);
    std::set<size_t> offsets;
    const auto piece = static_cast<size_t>(random.Int(1, 300));
    for (size_t at = 0; at < file.size(); at += piece) {
      const size_t begin = at - std::min(at, kProbeBytes - 1);
      set.Find(std::string_view(file).substr(begin, at + piece - begin),
               [&](Probe, size_t offset) {
                 EXPECT_TRUE(offsets.insert(begin + offset).second);
               });
    }
    EXPECT_EQ(offsets.size(), probes.size());
  }
}

TEST(Probe, AWindowThatDiffersInOneByteIsAnother) {
  Random random(Seed());
  const std::string window = RandomBytes(random, kProbeBytes);
  const ProbeSet set(ProbesOf(window, 1));
  ASSERT_EQ(FindAll(set, window).size(), 1u);
  for (size_t at = 0; at < kProbeBytes; ++at) {
    for (int change = 1; change < 256; ++change) {
      std::string other = window;
      other[at] = static_cast<char>(other[at] ^ change);
      EXPECT_TRUE(FindAll(set, other).empty());
    }
  }
}

TEST(Probe, ZerosAndRulersHaveNoProbe) {
  EXPECT_TRUE(ProbesOf(std::string(4096, '\0'), 8).empty());
  EXPECT_TRUE(ProbesOf(std::string(100, '-'), 8).empty());
  EXPECT_TRUE(ProbesOf("too short for one", 8).empty());
  EXPECT_TRUE(ProbesOf("", 8).empty());
  EXPECT_TRUE(ProbesOf(std::string(100, 'x'), 0).empty());
}

TEST(Probe, TheTellingPartOfMostlyZerosIsFound) {
  std::string bytes(4096, '\0');
  const std::string secret = "the safe opens with 4711 and a kick";
  bytes.replace(1234, secret.size(), secret);
  const std::vector<Probe> probes = ProbesOf(bytes, 1);
  ASSERT_EQ(probes.size(), 1u);
  EXPECT_EQ(FindAll(ProbeSet(probes), "... " + bytes).size(), 1u);
}

TEST(Probe, ManyProbesAreFoundAsFewAre) {
  Random random(Seed());
  const std::string file = RandomBytes(random, 200'000);
  for (const size_t count : {1, 2, 3, 1000, 150'000}) {
    const std::vector<Probe> probes = ProbesOf(file, count);
    EXPECT_EQ(probes.size(), count);
    EXPECT_EQ(FindAll(ProbeSet(probes), file).size(), count);
  }
}

TEST(Probe, NothingToSearchForIsFoundNowhere) {
  const ProbeSet set({});
  EXPECT_EQ(set.size(), 0u);
  EXPECT_TRUE(FindAll(set, std::string(100, 'x')).empty());
}

// Probes lie on disk: those of an earlier release must mean the same.
TEST(Probe, AProbeIsTheSameForEver) {
  EXPECT_EQ(ProbesOf("0123456789abcdefghijklmnopqrstuv", 1),
            (std::vector<Probe>{17281758471615274584u}));
}

}  // namespace
}  // namespace mneme::memory
